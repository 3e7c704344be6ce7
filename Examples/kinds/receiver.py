"""A webhook's receiver that makes each change count once: python3 receiver.py PORT FILE.sqlite

What it keeps of a partition, the last seq and the highest (epoch, token), is in the transaction of its effect, here a row an order.
The secret is in WEBHOOK_SECRET (whsec_…); without one nothing is verified. Standard library only.
"""

import base64
import hashlib
import hmac
import json
import os
import sqlite3
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SCHEMA = """
CREATE TABLE IF NOT EXISTS positions (log TEXT, part INTEGER, seq INTEGER, epoch INTEGER, token INTEGER, PRIMARY KEY (log, part));
CREATE TABLE IF NOT EXISTS orders (shop TEXT, id TEXT, customer TEXT, status TEXT, items INTEGER, PRIMARY KEY (shop, id));
"""


def is_signed(secret, headers, body, now=None):
    """Whether the body is signed with the secret, not longer than five minutes ago."""
    timestamp = headers.get("webhook-timestamp", "")
    if not timestamp.isdigit() or abs((now or time.time()) - int(timestamp)) > 300:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{headers.get('webhook-id', '')}.{timestamp}.".encode() + body
    wanted = "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(wanted, given) for given in headers.get("webhook-signature", "").split())


def take(database, headers, body):
    """Makes a request count once; returns the status to answer."""
    log, partition = headers["Onewrite-Log"], int(headers["Onewrite-Partition"])
    fence = (int(headers["Onewrite-Epoch"]), int(headers["Onewrite-Token"]))
    data = json.loads(body)["data"]
    database.execute("BEGIN IMMEDIATE")
    try:
        row = database.execute(
            "SELECT seq, epoch, token FROM positions WHERE log = ? AND part = ?", (log, partition)).fetchone()
        seq, known = (row[0], (row[1], row[2])) if row else (0, (0, 0))
        if fence < known:
            database.execute("ROLLBACK")
            return 409
        for change in data if isinstance(data, list) else [data]:
            if change["seq"] > seq:
                seq = change["seq"]
                apply(database, change)
        database.execute("INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?, ?)", (log, partition, seq, *fence))
        database.execute("COMMIT")
        return 200
    except BaseException:
        database.execute("ROLLBACK")
        raise


def apply(database, change):
    """The effect: yours."""
    if change["type"] == "order.placed":
        database.execute(
            "INSERT OR IGNORE INTO orders VALUES (?, ?, ?, 'placed', ?)",
            (change["shop"], change["id"], change["customer"], sum(line["quantity"] for line in change["lines"])))
    elif change["type"] == "order.cancelled":
        database.execute(
            "UPDATE orders SET status = 'cancelled' WHERE shop = ? AND id = ?", (change["shop"], change["order"]))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer in two packets would wait for the other side's acknowledgement.
    wbufsize = -1

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        secret = os.environ.get("WEBHOOK_SECRET")
        if secret and not is_signed(secret, self.headers, body):
            status = 401
        else:
            database = sqlite3.connect(sys.argv[2], isolation_level=None, timeout=30)
            try:
                status = take(database, self.headers, body)
            finally:
                database.close()
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.wfile.flush()

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    with sqlite3.connect(sys.argv[2]) as made:
        made.execute("PRAGMA journal_mode = WAL")
        made.executescript(SCHEMA)
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
