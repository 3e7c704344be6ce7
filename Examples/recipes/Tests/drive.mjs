// Submits orders through onewrite-pipe.mjs and kills its process on the way: drive.mjs COMMAND... prints the figures.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { OnewritePipe } from "../onewrite-pipe.mjs";

const order = (number) => ({
  id: `node-${number}`, shop: `shop-${number % 5}`, customer: "Zoë", lines: [{ sku: "TEA", quantity: (number % 9) + 1 }],
});
const orders = (from, to) => Array.from({ length: to - from }, (_, index) => order(from + index));
const outcomes = (receipts) => {
  const counts = {};
  for (const { outcome } of receipts) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
};

/** A signal is sent before it has come: until each of its threads has stopped, the process may still read. */
const stop = async (process) => {
  process.kill("SIGSTOP");
  const threads = `/proc/${process.pid}/task`;
  const hasStopped = (thread) => /\) T /.test(readFileSync(`${threads}/${thread}/stat`, "utf8"));
  const deadline = Date.now() + 10_000;
  while (!readdirSync(threads).every(hasStopped)) {
    assert.ok(Date.now() < deadline, "it stops");
    await pause(1);
  }
};

const pipe = new OnewritePipe(process.argv.slice(2));
assert.equal((await pipe.submit([order(0)]))[0].outcome, "accepted");
assert.equal(pipe.process.exitCode, null, "a receipt comes while stdin stays open");
assert.deepEqual(outcomes(await pipe.submit(orders(1, 100))), { accepted: 99 });

// It takes what is written with it when it is killed before it has read that.
let killed = pipe.process;
await stop(killed);
setTimeout(() => killed.kill("SIGKILL"), 50);
assert.deepEqual(outcomes(await pipe.submit(orders(100, 200))), { accepted: 100 });
assert.notEqual(pipe.process, killed);

// It is killed at some moment: what it had put into the log before is a duplicate.
killed = pipe.process;
const dead = new Promise((resolve) => killed.on("close", resolve));
setTimeout(() => killed.kill("SIGKILL"), Math.random() * 30);
const counts = outcomes(await pipe.submit(orders(200, 400)));
assert.ok(Object.keys(counts).every((name) => ["accepted", "duplicate"].includes(name)), JSON.stringify(counts));
await dead;
assert.deepEqual(outcomes(await pipe.submit(orders(0, 400))), { duplicate: 400 });
assert.notEqual(pipe.process, killed);

const refused = [{ ...order(7), customer: "another" }, { ...order(1000), lines: [] }, { ...order(1001), id: "two\nlines" }];
assert.deepEqual((await pipe.submit(refused)).map(({ outcome }) => outcome), ["conflict", "rejected", "rejected"]);
assert.equal(await pipe.close(), 65, "rows were refused");
console.log("node: 400 orders, 2 kills,", JSON.stringify(counts));
