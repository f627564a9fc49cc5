// Retries all failed jobs of a queue with the real BullMQ, in one of three ways.
//
// node retry.cjs <folder of the bullmq package> <socket> <queue> retryJobs|each|inTurn
//
// Says {"jobs", "seconds"} on stdout: jobs are those that have left `failed`.
"use strict";

const [, , bullmq, path, name, how] = process.argv;
const { Queue } = require(bullmq);
const queue = new Queue(name, { connection: { path, maxRetriesPerRequest: null } });

// BullMQ's own way: a script that moves 1,000 jobs a call, reads none, and keeps no record.
const retryJobs = () => queue.retryJobs({ state: "failed" });

// A dashboard's way: load every failed job, then retry each, all at once.
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
  await { retryJobs, each, inTurn }[how]();
  const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
  const jobs = before - (await queue.getFailedCount());
  process.stdout.write(`${JSON.stringify({ jobs, seconds })}\n`);
  await queue.close();
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
