// Pages through a queue's failed jobs with the real BullMQ, newest first, as a dashboard does.
//
// node getfailed.cjs <folder of the bullmq package> <socket> <queue>
//
// For each line on stdin, {"start", "jobs"}, one on stdout, {"jobs", "seconds", "cpu"}.
"use strict";

const readline = require("node:readline");

const PAGE = 100;
const [, , bullmq, path, name] = process.argv;
const { Queue } = require(bullmq);
const queue = new Queue(name, { connection: { path, maxRetriesPerRequest: null } });

async function page({ start, jobs }) {
  let read = 0;
  const before = process.cpuUsage();
  const begin = process.hrtime.bigint();
  for (let at = start; at < start + jobs; at += PAGE) {
    read += (await queue.getFailed(at, Math.min(at + PAGE, start + jobs) - 1)).length;
  }
  const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
  const { user, system } = process.cpuUsage(before);
  return { jobs: read, seconds, cpu: (user + system) / 1e6 };
}

async function main() {
  await queue.waitUntilReady();
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await page(JSON.parse(line)))}\n`);
  }
  await queue.close();
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
