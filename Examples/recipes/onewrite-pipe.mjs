// Submits changes through a running `onewrite submit - --json`. Node 18 or later, standard library only.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { pathToFileURL } from "node:url";

/** One process that takes changes on its stdin and answers with receipts, as long as it is wanted. */
export class OnewritePipe {
  #command;
  #waiting = []; // what takes the next receipts: they come in the input's order
  process = null;

  constructor(command = ["onewrite", "submit", "-", "--format", "ndjson", "--json"]) {
    this.#command = command;
  }

  /**
   * Submits changes, and waits until each has an outcome that is certain.
   *
   * What is unknown, and what a process took with it when it ended, is submitted again: an ID is taken once. Callers at
   * the same time share the process.
   *
   * @returns the receipts in the changes' order: accepted, duplicate, conflict or rejected.
   * @throws after `within` milliseconds; submit the same again then.
   */
  async submit(changes, within = 60_000) {
    const deadline = Date.now() + within;
    return Promise.all(changes.map((change) => this.#submitOne(change, deadline)));
  }

  async #submitOne(change, deadline) {
    for (let wait = 50; ; wait = Math.min(2 * wait, 2000)) {
      const receipt = await this.#ask(change, deadline);
      if (receipt && receipt.outcome !== "unknown") return receipt;
      if (Date.now() + wait > deadline) throw new Error(`${change.id} has no outcome yet`);
      await pause(wait);
    }
  }

  /** Writes a change; its receipt, or null when there is none in time or the process ended before. */
  #ask(change, deadline) {
    if (!this.process) this.#start();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => settle(null), Math.max(0, deadline - Date.now()));
      const settle = (receipt) => {
        clearTimeout(timer);
        // The ID is null where the change's own can't be one.
        const isOurs = !receipt || receipt.id === null || receipt.id === (change.id ?? receipt.id);
        if (isOurs) resolve(receipt);
        else reject(new Error(`a receipt for ${receipt.id} in the place of ${change.id}`));
      };
      this.#waiting.push(settle);
      // JSON without line ends is a line. What the pipe can't take yet, Node keeps.
      this.process.stdin.write(JSON.stringify(change) + "\n");
    });
  }

  #start() {
    const started = spawn(this.#command[0], this.#command.slice(1), { stdio: ["pipe", "pipe", "inherit"] });
    this.process = started;
    const ended = () => {
      if (this.process !== started) return;
      this.process = null;
      for (const settle of this.#waiting.splice(0)) settle(null);
    };
    started.on("error", ended);
    started.stdin.on("error", () => {}); // It ended: the end of its stdout says so too, behind its last receipts.
    createInterface({ input: started.stdout })
      .on("line", (line) => {
        let receipt;
        try {
          receipt = JSON.parse(line);
        } catch {
          return; // What a killed process left of a line.
        }
        this.#waiting.shift()?.(receipt);
      })
      .on("close", ended);
  }

  /** Closes its stdin: it answers what it has, and ends. Its exit code; null when it had ended before. */
  async close() {
    const ending = this.process;
    if (!ending) return null;
    ending.stdin.end();
    if (ending.exitCode === null && ending.signalCode === null) {
      const timer = setTimeout(() => ending.kill("SIGKILL"), 60_000);
      await once(ending, "exit");
      clearTimeout(timer);
    }
    return ending.exitCode;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const pipe = new OnewritePipe();
  const order = { id: "ord-1001", shop: "main", customer: "c-17", lines: [{ sku: "TEA-250", quantity: 2 }] };
  for (const receipt of await pipe.submit([order])) {
    console.log(receipt.id, receipt.outcome, receipt.partition, receipt.seq);
  }
  await pipe.close();
}
