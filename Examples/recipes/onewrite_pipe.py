"""Submits changes through a running `onewrite submit - --json`. Python 3.9 or later, standard library only."""

import json
import queue
import subprocess
import threading
import time


class OnewritePipe:
    """One process that takes changes on its stdin and answers with receipts, as long as it is wanted.

    Not for several threads at once: give each its own, or take turns.
    """

    def __init__(self, command=("onewrite", "submit", "-", "--format", "ndjson", "--json")):
        self.command = command
        self.process = None
        self.receipts = None

    def submit(self, changes, within=60.0):
        """Submits changes, and waits until each has an outcome that is certain.

        What is unknown, and what a process took with it when it ended, is submitted again: an ID is taken once.

        Returns the receipts in the changes' order: accepted, duplicate, conflict or rejected.
        Raises TimeoutError after `within` seconds; submit the same again then.
        """
        deadline = time.monotonic() + within
        receipts = [None] * len(changes)
        waiting = list(range(len(changes)))
        pause = 0.05
        while waiting:
            for index, receipt in zip(waiting, self._answers([changes[index] for index in waiting], deadline)):
                # Receipts come in the input's order. The ID is null where the change's own can't be one.
                if receipt["id"] not in (None, changes[index].get("id", receipt["id"])):
                    raise RuntimeError(f"a receipt for {receipt['id']} in the place of another")
                if receipt["outcome"] != "unknown":
                    receipts[index] = receipt
            waiting = [index for index in waiting if receipts[index] is None]
            if waiting:
                if time.monotonic() + pause > deadline:
                    raise TimeoutError(f"{len(waiting)} changes have no outcome yet")
                time.sleep(pause)
                pause = min(2 * pause, 2.0)
        return receipts

    def _answers(self, changes, deadline):
        """Writes the changes and yields a receipt for each; fewer when the process ends before."""
        if self.process is None:
            self._start()
        try:
            # JSON without line ends is a line. Flush: what stays in our buffer is not submitted.
            self.process.stdin.write("".join(json.dumps(change) + "\n" for change in changes))
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # It ended; what it answered before is still to be read.
        for _ in changes:
            try:
                line = self.receipts.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                self._end(kill=True)
                raise TimeoutError("no receipt in time") from None
            if line is None:
                self._end(kill=True)
                return
            yield json.loads(line)

    def _start(self):
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
        self.receipts = queue.Queue()
        # Always read, or both sides wait for each other once the pipes are full.
        threading.Thread(target=self._read, args=(self.process, self.receipts), daemon=True).start()

    @staticmethod
    def _read(process, receipts):
        for line in process.stdout:
            # A line without its end is what a killed process left.
            if line.endswith("\n"):
                receipts.put(line)
        receipts.put(None)

    def close(self):
        """Closes its stdin: it answers what it has, and ends. Its exit code; None when it had ended before."""
        return self._end()

    def _end(self, kill=False):
        process, self.process = self.process, None
        if process is None:
            return None
        if kill:
            process.kill()
        try:
            process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            return process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


if __name__ == "__main__":
    with OnewritePipe() as pipe:
        order = {"id": "ord-1001", "shop": "main", "customer": "c-17", "lines": [{"sku": "TEA-250", "quantity": 2}]}
        for receipt in pipe.submit([order]):
            print(receipt["id"], receipt["outcome"], receipt["partition"], receipt["seq"])
