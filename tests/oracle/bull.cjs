// Fills a queue with the real Bull 4: two jobs that failed, one that completed, one that waits.
//
// node bull.cjs <folder of the bull package> <socket> <database> [paused]
"use strict";

const [, , bull, path, db, paused] = process.argv;
const Queue = require(bull);

async function main() {
  const queue = new Queue("q", { redis: { path, db: Number(db) } });
  let ends = 0;
  const three = new Promise((resolve) => {
    const end = () => { ends += 1; if (ends === 3) resolve(); };
    queue.on("completed", end);
    queue.on("failed", end);
  });
  queue.process(async (job) => {
    if (job.data.outcome === "fail") throw new Error("failed");
  });
  for (const outcome of ["fail", "fail", "ok"]) await queue.add({ outcome });
  await three;
  if (paused) await queue.pause();
  else await queue.pause(true);
  await queue.add({ outcome: "ok" });
  await queue.close();
}

main().then(() => process.exit(0), (error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
