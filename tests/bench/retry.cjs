// Retries all failed jobs of a queue with the real BullMQ, in one of four ways.
//
// node retry.cjs <bullmq package> <bull-board's api package> <socket> <queue> <way>
//
// Ways: retryJobs, bullBoard, each, inTurn. Says {"jobs", "seconds"} on stdout: jobs are those that
// have left `failed`.
"use strict";

const Module = require("node:module");
const { join } = require("node:path");

const [, , bullmq, bullBoardApi, path, name, how] = process.argv;
const { Queue } = require(bullmq);
const queue = new Queue(name, { connection: { path, maxRetriesPerRequest: null } });

// BullMQ's own way: a script that moves 1,000 jobs a call, reads none, and keeps no record.
const retryJobs = () => queue.retryJobs({ state: "failed" });

// bull-board's "retry all", as its server does it when the button is pressed.
async function bullBoard() {
  // Its adapter is to see the same BullMQ as we do.
  const resolve = Module._resolveFilename;
  Module._resolveFilename = (request, ...rest) =>
    resolve(request === "bullmq" ? bullmq : request, ...rest);
  const { BullMQAdapter } = require(join(bullBoardApi, "bullMQAdapter"));
  const { retryAllHandler } = require(join(bullBoardApi, "dist", "handlers", "retryAll.js"));
  const queues = new Map([[name, new BullMQAdapter(queue)]]);
  const answer = await retryAllHandler({
    params: { queueName: name, queueStatus: "failed" },
    queues,
  });
  if (answer.status !== 200) throw new Error(JSON.stringify(answer));
}

// The way of older dashboards (bull-board up to 9.4): load every failed job, retry all at once.
async function each() {
  const jobs = await queue.getJobs(["failed"]);
  await Promise.all(jobs.map((job) => job.retry("failed")));
}

// The same, one after the other.
async function inTurn() {
  for (const job of await queue.getJobs(["failed"])) await job.retry("failed");
}

async function main() {
  await queue.waitUntilReady();
  const before = await queue.getFailedCount();
  const begin = process.hrtime.bigint();
  await { retryJobs, bullBoard, each, inTurn }[how]();
  const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
  const jobs = before - (await queue.getFailedCount());
  process.stdout.write(`${JSON.stringify({ jobs, seconds })}\n`);
  await queue.close();
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
