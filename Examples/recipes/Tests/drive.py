"""Submits orders through onewrite_pipe.py and kills its process on the way: drive.py COMMAND... prints the figures."""

import os
import pathlib
import random
import signal
import sys
import threading
import time
from collections import Counter

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from onewrite_pipe import OnewritePipe  # noqa: E402


def order(number):
    return {
        "id": f"python-{number}", "shop": f"shop-{number % 5}", "customer": "Zoë",
        "lines": [{"sku": "TEA", "quantity": number % 9 + 1}],
    }


def outcomes(receipts):
    return dict(Counter(receipt["outcome"] for receipt in receipts))


pipe = OnewritePipe(sys.argv[1:])
[first] = pipe.submit([order(0)])
assert first["outcome"] == "accepted" and pipe.process.poll() is None, "a receipt comes while stdin stays open"
assert outcomes(pipe.submit([order(n) for n in range(1, 100)])) == {"accepted": 99}

# It takes what is written with it when it is killed before it has read that.
pid = pipe.process.pid
os.kill(pid, signal.SIGSTOP)
# A signal is sent before it has come: until each of its threads has stopped, the process may still read.
deadline = time.monotonic() + 10
while not all(") T " in thread.read_text() for thread in pathlib.Path(f"/proc/{pid}/task").glob("*/stat")):
    assert time.monotonic() < deadline, "it stops"
    time.sleep(0.001)
killer = threading.Timer(random.uniform(0.05, 0.1), os.kill, (pid, signal.SIGKILL))
killer.start()
assert outcomes(pipe.submit([order(n) for n in range(100, 200)])) == {"accepted": 100}
assert pipe.process.pid != pid

# It is killed at some moment: what it had put into the log before is a duplicate.
pid = pipe.process.pid
killer = threading.Timer(random.uniform(0.0, 0.03), os.kill, (pid, signal.SIGKILL))
killer.start()
counts = outcomes(pipe.submit([order(n) for n in range(200, 400)]))
assert set(counts) <= {"accepted", "duplicate"}, counts
killer.join()
assert outcomes(pipe.submit([order(n) for n in range(400)])) == {"duplicate": 400}
assert pipe.process.pid != pid

other = dict(order(7), customer="another")
bad = dict(order(1000), lines=[])
strange = dict(order(1001), id="two\nlines")
assert [r["outcome"] for r in pipe.submit([other, bad, strange])] == ["conflict", "rejected", "rejected"]
started = time.monotonic()
assert pipe.close() == 65, "rows were refused"
assert time.monotonic() - started < 60
print("python: 400 orders, 2 kills,", counts)
