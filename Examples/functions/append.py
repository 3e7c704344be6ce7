"""Appends orders to Onewrite's log through its Redis functions: append.py PREFIX COUNT. Needs redis-py 4.2 or later."""
import os
import sys
import time

import redis

client = redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True, socket_timeout=5)


def append(change, namespace="onewrite", patience=30):
    """Appends a change once; returns (outcome, …) as README.md has it."""
    deadline = time.monotonic() + patience
    while True:
        try:
            place = client.fcall_ro("onewrite_partition", 1, f"{namespace}:meta", change["shop"])
            if len(place) == 7:
                fields = [part for pair in change.items() for part in pair]
                place = client.fcall("onewrite_append", 4, *place[3:], place[1], place[2], "", *fields)
            if place[0] not in ("closed", "nolog") or time.monotonic() > deadline:
                return place
        except (redis.ConnectionError, redis.TimeoutError):  # It may be in the log or not: the same again tells.
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)


if __name__ == "__main__":
    for number in range(int(sys.argv[2])):
        print(*append({
            "type": "order.placed", "id": f"{sys.argv[1]}-{number}", "shop": f"shop-{number % 5}", "customer": "Zoë",
            "lines": f"TEA:{number % 9 + 1} MUG:1"}), flush=True)
