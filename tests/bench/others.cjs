// The real others, in a process that stays: BullMQ's own getters, and bull-board's handlers.
//
// node others.cjs <bullmq package> <bull-board's api package> <socket>
//
// For each line on stdin, {"do": NAME, …}, one on stdout: {"seconds", "cpu"}. Work that another
// row needs is one more function in `WORK`.
"use strict";

const Module = require("node:module");
const { join } = require("node:path");
const readline = require("node:readline");

const [, , bullmq, boardApi, path] = process.argv;
const { Queue } = require(bullmq);
const ioredis = require(require.resolve("ioredis", { paths: [bullmq] }));

// bull-board's adapter is to see the same BullMQ as we do.
const resolve = Module._resolveFilename;
Module._resolveFilename = (request, ...rest) =>
  resolve(request === "bullmq" ? bullmq : request, ...rest);
const { BullMQAdapter } = require(join(boardApi, "bullMQAdapter"));
const board = (name) => require(join(boardApi, "dist", "handlers", `${name}.js`));

// One connection for all queues, which is faster than one for each.
const connection = new ioredis({ path, maxRetriesPerRequest: null });
const queues = new Map();

function queue(name) {
  if (!queues.has(name)) queues.set(name, new Queue(name, { connection }));
  return queues.get(name);
}

async function open({ names }) {
  await Promise.all(names.map((name) => queue(name).waitUntilReady()));
}

const WORK = {
  open,
  // The counts of all queues: BullMQ's getter, queue by queue, all at once.
  counts: ({ names }) => Promise.all(names.map((name) => queue(name).getJobCounts())),
  // What bull-board's server reads for its page, again and again.
  boardQueues: async ({ names }) => {
    const adapters = new Map(names.map((name) => [name, new BullMQAdapter(queue(name))]));
    const query = { activeQueue: "", page: 1, jobsPerPage: 10 };
    const { body } = await board("queues").queuesHandler({ queues: adapters, query });
    if (body.queues.length !== names.length) throw new Error("not all queues were read");
  },
  // All failed jobs of a queue, again: BullMQ's script, 1,000 jobs a call, with no record of them.
  retryJobs: async ({ name }) => {
    await queue(name).retryJobs({ state: "failed" });
    if (await queue(name).getFailedCount()) throw new Error("not all jobs were retried");
  },
  // The same as bull-board's server does it when its button is pressed.
  boardRetry: async ({ name }) => {
    const queues = new Map([[name, new BullMQAdapter(queue(name))]]);
    const params = { queueName: name, queueStatus: "failed" };
    const { status } = await board("retryAll").retryAllHandler({ params, queues });
    if (status !== 200) throw new Error("bull-board refused");
  },
  // Pages of failed jobs, one after the other: BullMQ's getter.
  pages: async ({ name, firsts, jobs }) => {
    for (const first of firsts) {
      const found = await queue(name).getJobs(["failed"], first, first + jobs - 1);
      if (found.length !== jobs) throw new Error("not all jobs were read");
    }
  },
  // The same as bull-board's server answers its page.
  boardPages: async ({ name, firsts, jobs }) => {
    const adapters = new Map([[name, new BullMQAdapter(queue(name))]]);
    for (const first of firsts) {
      const page = first / jobs + 1;
      const query = { activeQueue: name, status: "failed", page, jobsPerPage: jobs };
      const { body } = await board("queues").queuesHandler({ queues: adapters, query });
      if (body.queues[0].jobs.length !== jobs) throw new Error("not all jobs were read");
    }
  },
};

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const asked = JSON.parse(line);
    const before = process.cpuUsage();
    const begin = process.hrtime.bigint();
    await WORK[asked.do](asked);
    const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
    const { user, system } = process.cpuUsage(before);
    process.stdout.write(`${JSON.stringify({ seconds, cpu: (user + system) / 1e6 })}\n`);
  }
  process.exit(0);
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
