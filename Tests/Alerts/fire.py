#!/usr/bin/env python3
"""Fires each alert once in a real Prometheus, and none for healthy values.

    fire.py [DEPLOY]          the folder with prometheus/alerts.yml and grafana/onewrite.json

A small exporter tells what two `onewrite serve` and one worker would, scenario by scenario; a private Prometheus
scrapes it every 200 ms. Scenario "healthy" lasts some seconds, and between all others it is healthy again until nothing
fires or is about to. In a scenario its alert has to fire within a deadline, as often as is said, and nothing else may.

So that it takes seconds, the rules are a copy of alerts.yml in which, and nothing else is changed,

    for: 5m        (any)   becomes   for: 1s
    [5m]           (any)   becomes   [2s]
    offset 15m     (any)   becomes   offset 2s

Times are not tested here but by alerts_test.yml. In passing, each query of the dashboard has to give data at least once.
Ends with 0 when all is well, else with 1. Needs PyYAML and prometheus.
"""

import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

import yaml

FOR, WINDOW, STEP = "1s", "2s", "200ms"
HEALTHY_SECONDS, FIRE_SECONDS, END_SECONDS = 6, 10, 10
GROUPS = ("postgres", "stock", "delivery")
STATES = ("serving", "stalled", "halted", "closed", "unowned")


class Log:
    """What the log would be: gauges, counters and what they grow by a second, and what doesn't answer."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts, self.at = {}, time.monotonic()
        self.heal()

    def heal(self):
        with self.lock:
            self.advance()
            self.gone, self.growing = set(), {}
            gauges = self.gauges = {
                ("onewrite_up", ("server", "redis")): 1,
                ("onewrite_up", ("server", "postgres")): 1,
                ("onewrite_look_seconds",): 0.012,
                ("onewrite_partitions",): 8,
            }
            for group in GROUPS:
                label = ("group", group)
                for name, value in (
                    ("lag_entries", 12), ("lag_seconds", 0.2), ("pending_entries", 12), ("oldest_pending_seconds", 0.2),
                    ("dead_letters", 0), ("workers", 2),
                ):
                    gauges["onewrite_group_" + name, label] = value
                for state in STATES:
                    gauges["onewrite_group_partitions", label, ("state", state)] = 8 if state == "serving" else 0
            self.rates = {("onewrite_group_refused_batches_total", ("group", group)): 0 for group in GROUPS}
            self.own = {}
            level = ("durability", "server")
            for outcome, rate in (
                ("accepted", 500), ("duplicate", 5), ("conflict", 1), ("rejected", 2), ("unknown", 1), ("unsent", 0),
            ):
                self.own["onewrite_submitted_total", ("outcome", outcome), level] = rate
            self.histogram(self.own, "onewrite_submit_seconds", (level,), {0.01: 480, 0.1: 500, 0.25: 508, 0.5: 509})
            for status, rate in (("201", 500), ("200", 10), ("503", 1)):
                labels = (("method", "POST"), ("route", "/v1/changes"), ("status", status))
                self.own["onewrite_http_requests_total", *labels] = rate
            self.histogram(self.own, "onewrite_http_request_seconds", (("route", "/v1/changes"),), {0.01: 480, 0.5: 511})
            self.own["process_cpu_seconds_total",] = 0.1
            self.worker = {("process_cpu_seconds_total",): 0.2}
            for group in GROUPS:
                label = ("group", group)
                for name, rate in (("applied", 500), ("refused", 0), ("takeovers", 0.1), ("reclaimed", 1), ("openings", 0.1)):
                    self.worker[f"onewrite_{name}_total", label] = rate
                self.histogram(self.worker, "onewrite_apply_seconds", (label,), {0.001: 40, 0.01: 50})
                self.histogram(self.worker, "onewrite_batch_entries", (label,), {1: 10, 10: 40, 100: 50})
                self.histogram(self.worker, "onewrite_takeover_seconds", (label,), {0.1: 0.1})

    @staticmethod
    def histogram(into, name, labels, cumulative):
        total = max(cumulative.values())
        for bound, rate in cumulative.items():
            into[name + "_bucket", *labels, ("le", str(bound))] = rate
        into[name + "_bucket", *labels, ("le", "+Inf")] = into[name + "_count", *labels] = total
        into[name + "_sum", *labels] = total * sorted(cumulative)[0]

    def advance(self):
        now = time.monotonic()
        for kind in ("rates", "own", "worker"):
            for key, rate in getattr(self, kind, {}).items():
                self.counts[kind, key] = self.counts.get((kind, key), 0) + rate * (now - self.at)
        for key, rate in getattr(self, "growing", {}).items():
            self.gauges[key] += rate * (now - self.at)
        self.at = now

    def text(self, who):
        """Metrics in Prometheus's text format; None when it doesn't answer."""
        with self.lock:
            self.advance()
            if who in self.gone:
                return None
            kinds = ("worker",) if who == "worker" else ("rates", "own")
            values = {key: count for (kind, key), count in self.counts.items() if kind in kinds and key in getattr(self, kind)}
            values["process_resident_memory_bytes",], values["process_open_fds",] = 3e7, 40
            if who != "worker":
                values |= self.gauges
        lines = []
        for (name, *labels), value in values.items():
            lines.append(name + "{" + ",".join(f'{label}="{text}"' for label, text in labels) + "} " + repr(float(value)))
        return "\n".join(lines) + "\n"

    # What goes wrong in it.

    def change(self, change):
        with self.lock:
            self.advance()
            change(self)

    def group(self, name, value, group="stock"):
        self.gauges["onewrite_group_" + name, ("group", group)] = value

    def state(self, state, count, groups=("stock",), code=None):
        for group in groups:
            self.gauges["onewrite_group_partitions", ("group", group), ("state", "serving")] = 8 - count
            self.gauges["onewrite_group_partitions", ("group", group), ("state", state)] = count
        if code:
            self.warn(code)

    def warn(self, code, count=1):
        self.gauges["onewrite_warnings", ("code", code)] = count

    def blind(self, server=None):
        """No look can be had: all that is told of the log is left out."""
        kept = {key: value for key, value in self.gauges.items() if key[0] == "onewrite_up"}
        self.gauges, self.rates = kept, {}
        if server:
            self.down(server)

    def down(self, server):
        self.gauges["onewrite_up", ("server", server)] = 0
        if server == "postgres":
            for name in ("lag_entries", "lag_seconds", "dead_letters"):
                self.gauges.pop(("onewrite_group_" + name, ("group", "postgres")), None)
            self.warn("postgres-unreachable")

    def workerless(self):
        self.group("workers", 0)
        self.state("unowned", 8, code="no-worker")

    def submitted(self, **rates):
        for outcome, rate in rates.items():
            self.own["onewrite_submitted_total", ("outcome", outcome), ("durability", "server")] = rate

    def slow(self):
        level = (("durability", "server"),)
        self.histogram(self.own, "onewrite_submit_seconds", level, {0.01: 300, 0.1: 400, 0.25: 480, 0.5: 509})


# The alert, how many of it fire, and what is wrong.
SCENARIOS = [
    ("OnewriteDown", 1, lambda log: log.gone.add("serve-a")),
    ("OnewriteRedisDown", 1, lambda log: log.blind("redis")),
    ("OnewritePostgresDown", 1, lambda log: log.down("postgres")),
    ("OnewriteNoLog", 1, lambda log: log.blind()),
    ("OnewriteLookSlow", 1, lambda log: log.gauges.update({("onewrite_look_seconds",): 3})),
    ("OnewriteWorkerDown", 1, lambda log: log.gone.add("worker")),
    ("OnewriteLagging", 2, lambda log: [log.group("lag_seconds", 90, group) for group in ("stock", "postgres")]),
    ("OnewriteNotCatchingUp", 1, lambda log: log.growing.update({("onewrite_group_lag_entries", ("group", "stock")): 300})),
    ("OnewriteNoWorker", 1, lambda log: log.workerless()),
    ("OnewriteUnowned", 1, lambda log: log.state("unowned", 2)),
    ("OnewriteStalled", 1, lambda log: log.state("stalled", 1, code="stalled")),
    ("OnewriteHalted", 1, lambda log: log.state("halted", 1, code="halted")),
    ("OnewriteClosed", 1, lambda log: log.state("closed", 8, GROUPS, code="closed")),
    ("OnewritePendingOld", 1, lambda log: log.group("oldest_pending_seconds", 61)),
    ("OnewriteDeadLetters", 1, lambda log: (log.group("dead_letters", 2), log.warn("dead-letters"))),
    ("OnewriteFenced", 1, lambda log: log.rates.update({("onewrite_group_refused_batches_total", ("group", "stock")): 2})),
    ("OnewriteSubmitUnknown", 1, lambda log: log.submitted(accepted=450, unknown=20, unsent=0)),
    ("OnewriteSubmitUnknown", 1, lambda log: log.submitted(accepted=450, unknown=0, unsent=20)),
    ("OnewriteSubmitSlow", 1, lambda log: log.slow()),
    ("OnewriteWarnings", 5, lambda log: [log.warn(code) for code in ("replica", "schema", "unreadable", "eviction", "no-aof")]),
    ("OnewriteWarningsLast", 6, lambda log: [log.warn(code) for code in (
        "worker-silent", "orphaned", "group-missing", "aof-tail", "format", "a-code-of-tomorrow")]),
]


class Exporter(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        text = self.server.log.text(self.server.who)
        body = (text or "away\n").encode()
        self.send_response(503 if text is None else 200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def exporter(log, who):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Exporter)
    server.log, server.who, server.daemon_threads = log, who, True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"127.0.0.1:{server.server_address[1]}"


def shortened(path):
    rules = yaml.safe_load(open(path, encoding="utf-8"))
    for group in rules["groups"]:
        group.pop("interval", None)
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = FOR
            rule["expr"] = re.sub(r"\[\w+\]", f"[{WINDOW}]", rule["expr"])
            rule["expr"] = re.sub(r"\boffset \w+", f"offset {WINDOW}", rule["expr"])
    return rules


def questions(path):
    found = {}
    for panel in json.load(open(path, encoding="utf-8"))["panels"]:
        for target in panel.get("targets", []):
            text = target["expr"].replace("$__rate_interval", WINDOW).replace("$group", ".+")
            found[text] = panel["title"]
    return found


class Run:
    def __init__(self, deploy, temporary):
        self.begun, self.wrong, self.fired = time.monotonic(), [], set()
        self.log = Log()
        self.serves = {exporter(self.log, who): who for who in ("serve-a", "serve-b")}
        self.temporary = temporary
        self.unanswered = questions(f"{deploy}/grafana/onewrite.json")
        self.asked = len(self.unanswered)
        rules = shortened(f"{deploy}/prometheus/alerts.yml")
        self.alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
        self.target(list(self.serves))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        for name, content in (("alerts.yml", rules), ("prometheus.yml", {
            "global": {"scrape_interval": STEP, "scrape_timeout": STEP, "evaluation_interval": STEP},
            "rule_files": ["alerts.yml"],
            "scrape_configs": [
                {"job_name": "onewrite", "file_sd_configs": [{"files": ["serves.json"], "refresh_interval": "1s"}]},
                {"job_name": "onewrite-worker", "static_configs": [{"targets": [exporter(self.log, "worker")]}]},
            ],
        })):
            with open(f"{temporary}/{name}", "w", encoding="utf-8") as file:
                yaml.safe_dump(content, file, allow_unicode=True)
        self.server = subprocess.Popen(
            ["prometheus", f"--config.file={temporary}/prometheus.yml", f"--storage.tsdb.path={temporary}/data",
             f"--web.listen-address={self.address}", "--log.level=warn"],
            stdout=subprocess.DEVNULL, stderr=open(f"{temporary}/log", "w"))

    def target(self, addresses):
        with open(f"{self.temporary}/new.json", "w") as file:
            json.dump([{"targets": addresses}], file)
        os.rename(f"{self.temporary}/new.json", f"{self.temporary}/serves.json")

    def ask(self, path, **parameters):
        query = "?" + urllib.parse.urlencode(parameters) if parameters else ""
        with urllib.request.urlopen(f"http://{self.address}/api/v1/{path}{query}", timeout=5) as answer:
            return json.load(answer)["data"]

    def firing(self, states=("firing",)):
        counts = {}
        for alert in self.ask("alerts")["alerts"]:
            if alert["state"] in states:
                counts[alert["labels"]["alertname"]] = counts.get(alert["labels"]["alertname"], 0) + 1
        return counts

    def look_at_dashboard(self):
        for text in list(self.unanswered):
            if any(sample["value"][1] != "NaN" for sample in self.ask("query", query=text)["result"]):
                del self.unanswered[text]

    def trouble(self, text):
        self.wrong.append(text)
        print("wrong: " + text, flush=True)

    def until(self, seconds, condition):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if condition():
                return True
            time.sleep(0.1)
        return False

    def start(self):
        def isUp():
            if self.server.poll() is not None:
                sys.exit("prometheus has ended:\n" + open(f"{self.temporary}/log").read())
            try:
                up = self.ask("query", query="up == 1")["result"]
                # At first there are no targets, and OnewriteDown fires for that.
                return len(up) == 3 and "OnewriteDown" not in self.firing()
            except OSError:
                return False

        if not self.until(25, isUp):
            sys.exit("prometheus doesn't begin to scrape:\n" + open(f"{self.temporary}/log").read())

    def healthy(self):
        seen = {}
        self.until(HEALTHY_SECONDS, lambda: seen.update(self.firing()))
        for alert in seen:
            self.trouble(f"{alert} fires for healthy values")
        self.look_at_dashboard()
        print(f"healthy: {'none' if not seen else ', '.join(seen)} fires for {HEALTHY_SECONDS} s", flush=True)

    def scenario(self, alert, count, change, ends=True):
        begun, others = time.monotonic(), set()
        change()

        def fires():
            now = self.firing()
            others.update(set(now) - {alert})
            return now.get(alert) == count

        if self.until(FIRE_SECONDS, fires):
            self.fired.add(alert)
            print(f"{alert}: {count} after {time.monotonic() - begun:.1f} s", flush=True)
        else:
            self.trouble(f"{alert} doesn't fire {count} times within {FIRE_SECONDS} s; firing: {self.firing() or 'none'}")
        # What follows from it may come a little later.
        self.until(0.5, lambda: others.update(set(self.firing()) - {alert}))
        for other in sorted(others):
            self.trouble(f"{other} fires, too, in the scenario of {alert}")
        self.look_at_dashboard()
        if ends:
            self.log.heal()
            active = ("pending", "firing")
            if not self.until(END_SECONDS, lambda: not self.firing(active)):
                self.trouble(f"still active, although all is well again: {self.firing(active)}")

    def go(self):
        self.start()
        self.healthy()
        if self.wrong:
            return 1
        for alert, count, change in SCENARIOS:
            self.scenario(alert, count, lambda: self.log.change(change))
        # Prometheus learns of targets every 5 s only, so this one is the last.
        self.scenario("OnewriteDown", 1, lambda: self.target([]), ends=False)
        for alert in sorted(self.alerts - self.fired):
            self.trouble(f"{alert} has never fired")
        for group in self.ask("rules")["groups"]:
            for rule in group["rules"]:
                if rule["health"] != "ok":
                    self.trouble(f"{rule['name']}: {rule.get('lastError')}")
        for text, panel in self.unanswered.items():
            self.trouble(f"panel {panel!r} never had data: {text}")
        seconds = time.monotonic() - self.begun
        print(f"{len(self.fired)} of {len(self.alerts)} alerts fired · {self.asked - len(self.unanswered)} of {self.asked} "
              f"queries of the dashboard gave data · {seconds:.0f} s · "
              + (f"{len(self.wrong)} wrong" if self.wrong else "all is well"))
        return 1 if self.wrong else 0


def main():
    if len(sys.argv) > 2 or sys.argv[1:] in (["-h"], ["--help"]):
        sys.exit(__doc__)
    deploy = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    # Prometheus is ended with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory() as temporary:
        run = Run(deploy, temporary)
        try:
            code = run.go()
        finally:
            run.server.terminate()
            run.server.wait(20)
    sys.exit(code)


main()
