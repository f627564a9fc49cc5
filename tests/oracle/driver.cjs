// Does what it is asked to with one real BullMQ release, as a process that lives for many tests.
//
// node driver.cjs <folder of the bullmq package>
//
// One JSON object a line on stdin, {"id", "command", ...arguments}; one a line on stdout, in the
// order in which they are done: {"id", "result"} or {"id", "error": {"message", "code"}}. Every
// command names its server by "socket" (a path) and "db". driver_python.py speaks the same.
"use strict";

const readline = require("node:readline");

const bullmq = require(process.argv[2]);

// BullMQ 4 and later give code -1 as a number; the earlier ones only in words.
const CODES_IN_WORDS = [
  [/missing key for job/i, -1],
  [/is not in the .* state/i, -3],
];

const queues = new Map();
const flows = new Map();
const workers = new Map();
const schedulers = [];
let lastWorker = 0;

function options({ socket, db, prefix = "bull" }) {
  return { connection: { path: socket, db, maxRetriesPerRequest: null }, prefix };
}

function queueOf(where) {
  const name = JSON.stringify([where.socket, where.db, where.prefix, where.queue]);
  if (!queues.has(name)) {
    const queue = new bullmq.Queue(where.queue, { ...options(where), ...where.options });
    queues.set(name, { queue, jobs: new Map() });
  }
  return queues.get(name);
}

async function jobOf(where, id) {
  const { queue, jobs } = queueOf(where);
  return jobs.get(id) ?? (await bullmq.Job.fromId(queue, id));
}

function codeOf(error) {
  if (typeof error.code === "number") return error.code;
  const found = CODES_IN_WORDS.find(([words]) => words.test(error.message));
  return found ? found[1] : null;
}

// What the children of a job say they have done, by full key.
async function valuesOf(job) {
  const values = Object.entries(await job.getChildrenValues());
  return Object.fromEntries(values.map(([key, value]) => [key, value.done]));
}

// What a worker has done, and who waits for it to do more.
class Work {
  constructor(outcome) {
    this.outcome = outcome;
    this.runs = [];
    this.ends = 0;
    this.open = () => {};
    this.gate = new Promise((resolve) => { this.open = resolve; });
    this.waiting = [];
  }

  noted() {
    this.waiting = this.waiting.filter((check) => !check());
  }

  async process(job) {
    const run = { id: job.id, name: job.name, data: job.data, at: Date.now(), began: performance.now() };
    this.runs.push(run);
    this.noted();
    const outcome = this.outcome === "data" ? job.data.outcome : this.outcome;
    if (outcome === "hold") await this.gate;
    if (outcome === "fail") throw new Error(`${job.name} failed`);
    const children = outcome === "values" ? await valuesOf(job) : undefined;
    run.ended = performance.now();
    if (children) return { done: job.name, children };
    return { done: job.name };
  }

  until(starts, ends, milliseconds) {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(
        `only ${this.runs.length} starts and ${this.ends} ends within ${milliseconds} ms`,
      )), milliseconds);
      const check = () => {
        if (this.runs.length < starts || this.ends < ends) return false;
        clearTimeout(late);
        resolve(this.runs);
        return true;
      };
      if (!check()) this.waiting.push(check);
    });
  }
}

const commands = {
  async open(where) {
    const { queue } = queueOf(where);
    await queue.waitUntilReady();
  },

  async add({ jobs, ...where }) {
    const added = await queueOf(where).queue.addBulk(jobs);
    return added.map((job) => job.id);
  },

  // A job scheduler (5.16.0 and later); the id of its first iteration.
  async scheduler({ scheduler, every, template, ...where }) {
    const { queue } = queueOf(where);
    return (await queue.upsertJobScheduler(scheduler, { every }, template)).id;
  },

  async flow({ tree, ...where }) {
    const name = JSON.stringify([where.socket, where.db, where.prefix]);
    if (!flows.has(name)) flows.set(name, new bullmq.FlowProducer(options(where)));
    const ids = ({ job, children = [] }) => ({ id: job.id, children: children.map(ids) });
    return ids(await flows.get(name).add(tree));
  },

  // Keeps the jobs as they are now, so that a later retry does not look for them again.
  async fetch({ ids, ...where }) {
    const { queue, jobs } = queueOf(where);
    for (const id of ids) jobs.set(id, await bullmq.Job.fromId(queue, id));
  },

  // Job.retry for each id, one after the other: [1] when it was done, else [code, message].
  async retry({ ids, state, resets = {}, ...where }) {
    const results = [];
    for (const id of ids) {
      try {
        await (await jobOf(where, id)).retry(state, resets);
        results.push([1, ""]);
      } catch (error) {
        results.push([codeOf(error), error.message]);
      }
    }
    return results;
  },

  // Queue.remove for each id, one after the other: the code of the script and words.
  async remove({ ids, children = false, ...where }) {
    const { queue } = queueOf(where);
    const results = [];
    for (const id of ids) {
      try {
        results.push([await queue.remove(id, { removeChildren: children }), ""]);
      } catch (error) {
        results.push([codeOf(error), error.message]);
      }
    }
    return results;
  },

  // What an application changes of one job: its data, its priority, its delay.
  async change({ job: id, data, priority, delay, ...where }) {
    const job = await bullmq.Job.fromId(queueOf(where).queue, id);
    if (data !== undefined) await (job.updateData ?? job.update).call(job, data);
    if (priority !== undefined) await job.changePriority({ priority });
    if (delay !== undefined) await job.changeDelay(delay);
  },

  // BullMQ 1.x needs a second process class to promote delayed jobs.
  async schedule(where) {
    if (!bullmq.QueueScheduler) return;
    const scheduler = new bullmq.QueueScheduler(where.queue, options(where));
    schedulers.push(scheduler);
    await scheduler.waitUntilReady();
  },

  async repeat({ name, every, data, ...where }) {
    const { queue } = queueOf(where);
    if (queue.upsertJobScheduler) await queue.upsertJobScheduler(name, { every }, { name, data });
    else await queue.add(name, data, { repeat: { every } });
  },

  // The next times of cron patterns: for each [pattern, time zone or null, ms], or null for none.
  async next({ asked }) {
    return asked.map(([pattern, tz, millis]) => {
      try {
        return bullmq.getNextMillis(millis, tz === null ? { pattern } : { pattern, tz }) ?? null;
      } catch {
        return null;
      }
    });
  },

  // A job scheduler (5.16.0 and later) with everything that it may have; its iteration's id.
  async upsert({ scheduler, repeat, template = {}, ...where }) {
    const made = await queueOf(where).queue.upsertJobScheduler(scheduler, repeat, template);
    return made ? made.id : null;
  },

  async unschedule({ scheduler, ...where }) {
    return queueOf(where).queue.removeJobScheduler(scheduler);
  },

  // A repeatable job as it was before job schedulers; its iteration's id.
  async repeatable({ name, data, opts, ...where }) {
    const made = await queueOf(where).queue.add(name, data, opts);
    return made ? made.id : null;
  },

  async unrepeat({ key, ...where }) {
    return queueOf(where).queue.removeRepeatableByKey(key);
  },

  async drain({ delayed = false, ...where }) {
    await queueOf(where).queue.drain(delayed);
  },

  async promote({ job, ...where }) {
    await (await bullmq.Job.fromId(queueOf(where).queue, job)).promote();
  },

  // Queue.promoteJobs (4.6.0 and later): all delayed jobs.
  async promoteAll(where) {
    await queueOf(where).queue.promoteJobs();
  },

  // Queue.retryJobs (1.68.0 and later): all failed jobs.
  async retryAll(where) {
    await queueOf(where).queue.retryJobs({ state: "failed" });
  },

  // Queue.clean without a grace and a limit.
  async clean({ state, ...where }) {
    return queueOf(where).queue.clean(0, 0, state);
  },

  async limit({ concurrency, ...where }) {
    await queueOf(where).queue.setGlobalConcurrency(concurrency);
  },

  async rate({ most, duration, ...where }) {
    await queueOf(where).queue.setGlobalRateLimit(most, duration);
  },

  // Removes what is named: GlobalConcurrency, GlobalRateLimit, RateLimitKey, DeduplicationKey.
  async unlimit({ what, id, ...where }) {
    await queueOf(where).queue[`remove${what}`](id);
  },

  // No job starts for so long (Queue.rateLimit, 5.27.0 and later).
  async limited({ milliseconds, ...where }) {
    await queueOf(where).queue.rateLimit(milliseconds);
  },

  async obliterate(where) {
    await queueOf(where).queue.obliterate({ force: true });
  },

  async pause(where) {
    await queueOf(where).queue.pause();
  },

  async resume(where) {
    await queueOf(where).queue.resume();
  },

  async state({ job, ...where }) {
    return (await bullmq.Job.fromId(queueOf(where).queue, job)).getState();
  },

  async counts(where) {
    return queueOf(where).queue.getJobCounts();
  },

  // Prometheus text of one queue (5.68.0 and later).
  async prometheus(where) {
    return queueOf(where).queue.exportPrometheusMetrics();
  },

  async work({ outcome, settings = {}, ...where }) {
    const work = new Work(outcome);
    const worker = new bullmq.Worker(where.queue, (job) => work.process(job), {
      ...options(where), ...settings,
    });
    const end = () => { work.ends += 1; work.noted(); };
    worker.on("completed", end);
    worker.on("failed", end);
    worker.on("error", () => {});
    lastWorker += 1;
    workers.set(lastWorker, { worker, work });
    await worker.waitUntilReady();
    return lastWorker;
  },

  async until({ worker, starts = 0, ends = 0, milliseconds }) {
    return workers.get(worker).work.until(starts, ends, milliseconds);
  },

  async release({ worker }) {
    workers.get(worker).work.open();
  },

  async stop({ worker }) {
    const { worker: closing, work } = workers.get(worker);
    workers.delete(worker);
    work.open();
    await closing.close();
    return work.runs;
  },

  async close() {
    const closing = [...workers.keys()].map((worker) => commands.stop({ worker }));
    await Promise.all(closing);
    const all = [...schedulers, ...flows.values(), ...[...queues.values()].map((one) => one.queue)];
    schedulers.length = 0;
    flows.clear();
    queues.clear();
    await Promise.all(all.map((one) => one.close()));
  },
};

async function answer(line) {
  const { id, command, ...rest } = JSON.parse(line);
  let reply;
  try {
    reply = { id, result: (await commands[command](rest)) ?? null };
  } catch (error) {
    reply = { id, error: { message: String(error.message ?? error), code: codeOf(error) } };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}

const lines = readline.createInterface({ input: process.stdin });
lines.on("line", answer);
lines.on("close", () => process.exit(0));
