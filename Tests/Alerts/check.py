#!/usr/bin/env python3
"""Checks alerts, their tests and the dashboard against docs/http.md, and with promtool and a private Prometheus.

    check.py PATH/docs/http.md [--deploy FOLDER]

- each metric and label of a rule, an annotation, a panel or a variable is in the tables of docs/http.md;
- each place of the documents that an alert sends people to is there, and each code of a warning (docs/operating.md);
- each alert has severity, summary and description, a test that expects it, and one that doesn't;
- the dashboard is sound, and Prometheus accepts its queries;
- promtool accepts rules, tests and configuration.

Ends with 0 when all is well, else with 1. Needs PyYAML, promtool and prometheus.
"""

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml

troubles = []


def trouble(text):
    troubles.append(text)
    print("wrong: " + text)


# --- docs/http.md


def documented(path):
    """The labels of each metric in the tables under `## Metrics`."""
    text = open(path, encoding="utf-8").read()
    section = re.search(r"^## Metrics\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    if not section:
        sys.exit(f"{path}: no section Metrics")
    metrics = {}
    for row in re.findall(r"^\|(.*)\|[ \t]*$", section.group(1), re.M):
        cells = row.split("|")
        names = re.findall(r"`([a-z_:][a-z0-9_:]*)`", cells[0])
        # `a`; `b` are the labels of the first metric, and what the second has besides.
        parts = [re.findall(r"`([a-z_]+)`", part) for part in cells[1].split(";")]
        for index, name in enumerate(names):
            labels = {label for part in parts[: index + 1 if len(parts) > 1 else 1] for label in part}
            if "histogram" in cells[2] and not name.endswith("_total"):
                metrics[name + "_bucket"] = labels | {"le"}
                metrics[name + "_sum"] = metrics[name + "_count"] = labels
            else:
                metrics[name] = labels
    return metrics


OF_PROMETHEUS = {"up": set(), "ALERTS": {"alertname", "alertstate", "severity"}}
OF_TARGETS = {"job", "instance"}

# --- PromQL, as far as names go

TOKEN = re.compile(
    r"""\s+|\#[^\n]*|(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?P<range>\[[^\]]*\])"""
    r"""|(?P<number>\d[\w.]*)|(?P<name>[a-zA-Z_:][\w:]*)|(?P<operator>=~|!~|!=|==|<=|>=|[-+*/%^<>=(){},])"""
)
LABEL_LISTS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
WORDS = LABEL_LISTS | {"and", "or", "unless", "bool", "offset", "inf", "nan"}


def names(expression):
    """The metrics of an expression with the labels they are chosen by, and the labels it groups by."""
    tokens, at = [], 0
    while at < len(expression):
        match = TOKEN.match(expression, at)
        if not match:
            raise ValueError(f"can't read {expression[at:at + 20]!r}")
        at = match.end()
        if match.lastgroup:
            tokens.append((match.lastgroup, match.group()))
    metrics, grouped, metric, index = {}, set(), None, 0
    while index < len(tokens):
        kind, text = tokens[index]
        after = tokens[index + 1][1] if index + 1 < len(tokens) else ""
        if kind == "name" and text in LABEL_LISTS and after == "(":
            index += 2
            while tokens[index][1] != ")":
                if tokens[index][0] == "name":
                    grouped.add(tokens[index][1])
                index += 1
        elif kind == "name" and after != "(" and text.lower() not in WORDS and tokens[index - 1][1] != "offset":
            # An aggregation may have its `by` first: sum by (x) (…).
            if after not in LABEL_LISTS or text in ("up", "ALERTS") or text.startswith(("onewrite_", "process_")):
                metric = text
                metrics.setdefault(metric, set())
        elif text == "{":
            index += 1
            while tokens[index][1] != "}":
                kind, text = tokens[index]
                if kind == "name":
                    if metric is None:
                        raise ValueError("a selector without a metric's name")
                    metrics[metric].add(text)
                index += 1
            metric = None
        index += 1
    return metrics, grouped


def check_names(where, expression, known):
    """Returns the labels that its metrics have."""
    try:
        metrics, grouped = names(expression)
    except (ValueError, IndexError) as error:
        trouble(f"{where}: {error}")
        return set()
    labels = set(OF_TARGETS)
    for metric, used in metrics.items():
        if metric not in known:
            trouble(f"{where}: no metric {metric} in the document")
            continue
        own = known[metric] | OF_TARGETS
        labels |= own
        for label in used - own:
            trouble(f"{where}: {metric} has no label {label}")
    for label in grouped - labels:
        trouble(f"{where}: none of its metrics has the label {label}")
    if not metrics:
        trouble(f"{where}: names no metric")
    return labels


# --- alerts.yml, alerts_test.yml


def anchors(path):
    text = re.sub(r"^```.*?^```", "", open(path, encoding="utf-8").read(), flags=re.M | re.S)
    return {
        re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", text, re.M)
    }


def check_alerts(folder, docs, known):
    rules = yaml.safe_load(open(f"{folder}/prometheus/alerts.yml", encoding="utf-8"))
    tests = yaml.safe_load(open(f"{folder}/prometheus/alerts_test.yml", encoding="utf-8"))
    alerts = [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    operating = open(f"{docs}/operating.md", encoding="utf-8").read() if os.path.exists(f"{docs}/operating.md") else ""
    codes = set()
    for row in re.findall(r"^\| warning \|.*?\n\n", operating, re.M | re.S):
        for line in row.splitlines()[2:]:
            codes |= set(re.findall(r"`([a-z-]+)`", line.split("|")[1])) if line.startswith("|") else set()
    expected, refused = set(), set()
    for test in tests["tests"]:
        for case in test.get("alert_rule_test", []):
            (expected if case.get("exp_alerts") else refused).add(case["alertname"])
    seen = set()
    for alert in alerts:
        name, labels = alert["alert"], check_names(alert["alert"], alert["expr"], known)
        if name in seen:
            trouble(f"{name}: there twice")
        seen.add(name)
        if alert.get("labels", {}).get("severity") not in ("page", "ticket"):
            trouble(f"{name}: its severity is neither page nor ticket")
        for key in ("summary", "description"):
            text = alert.get("annotations", {}).get(key, "")
            if not text:
                trouble(f"{name}: no {key}")
            for label in re.findall(r"\$labels\.(\w+)", text):
                if label not in labels:
                    trouble(f"{name}: no label {label} for its {key}")
            for file, first, rest in re.findall(r"docs/(\w+\.md)(#[\w-]+)?((?:,? (?:and )?#[\w-]+)*)", text):
                if not os.path.exists(f"{docs}/{file}"):
                    trouble(f"{name}: no docs/{file}")
                    continue
                for anchor in re.findall(r"#([\w-]+)", first + rest):
                    if anchor not in anchors(f"{docs}/{file}"):
                        trouble(f"{name}: no section #{anchor} in docs/{file}")
        if not re.search(r"\bonewrite (doctor|status|dead|open|worker)\b|docs/operating\.md", alert["annotations"]["description"]):
            trouble(f"{name}: its description says nothing to do")
        for listed in re.findall(r'code[!=]~"([^"]*)"', alert["expr"]):
            for code in set(listed.split("|")) - codes if codes else ():
                trouble(f"{name}: no warning {code} in docs/operating.md")
        if name not in expected:
            trouble(f"{name}: no test expects it")
        if name not in refused:
            trouble(f"{name}: no test in which it doesn't fire")
    for name in (expected | refused) - seen:
        trouble(f"a test of {name}, which is no alert")
    pages = sum(alert["labels"]["severity"] == "page" for alert in alerts)
    print(f"alerts: {len(alerts)}, {pages} page · {len(tests['tests'])} tests · {len(codes)} codes of warnings known")
    return [(alert["alert"], alert["expr"]) for alert in alerts]


# --- onewrite.json


def plain(expression):
    """An expression with Grafana's variables replaced, as Prometheus gets it."""
    for variable, value in (("$__rate_interval", "1m"), ("$__interval", "15s"), ("$__range", "1h"), ("$group", ".+")):
        expression = expression.replace(variable, value).replace("${" + variable[1:] + "}", value)
    return expression


def check_dashboard(folder, known):
    board = json.load(open(f"{folder}/grafana/onewrite.json", encoding="utf-8"))
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    for name, kind in (("datasource", "datasource"), ("group", "query")):
        if variables.get(name, {}).get("type") != kind:
            trouble(f"dashboard: no variable {name} of type {kind}")
    if board.get("id") is not None or not board.get("uid"):
        trouble("dashboard: needs a uid, and no id")
    for variable in variables.values():
        if variable["type"] == "query":
            asked = re.fullmatch(r"label_values\((.*), *(\w+)\)", variable["query"]["query"])
            labels = check_names(f"variable {variable['name']}", asked.group(1), known) if asked else set()
            if not asked or asked.group(2) not in labels:
                trouble(f"variable {variable['name']}: can't be asked for")
    panels = [inner for panel in board["panels"] for inner in [panel, *panel.get("panels", [])]]
    ids, queries = set(), []
    for panel in panels:
        where = f"panel {panel['title']!r}"
        if panel["id"] in ids:
            trouble(f"{where}: id {panel['id']} is there twice")
        ids.add(panel["id"])
        place = panel["gridPos"]
        if place["x"] < 0 or place["y"] < 0 or place["w"] < 1 or place["h"] < 1 or place["x"] + place["w"] > 24:
            trouble(f"{where}: doesn't fit into 24 columns")
        if panel["type"] == "row":
            continue
        if panel["datasource"].get("uid") != "${datasource}":
            trouble(f"{where}: isn't of the data source that was chosen")
        if not panel.get("targets"):
            trouble(f"{where}: asks nothing")
        letters = [target["refId"] for target in panel.get("targets", [])]
        if len(set(letters)) < len(letters):
            trouble(f"{where}: a refId is there twice")
        for target in panel.get("targets", []):
            if target["datasource"].get("uid") != "${datasource}":
                trouble(f"{where}: a target isn't of the data source that was chosen")
            expression = plain(target.get("expr", ""))
            if not expression or "$" in expression:
                trouble(f"{where}: no expr, or a variable that is unknown in it: {expression}")
                continue
            labels = check_names(where, expression, known)
            for label in re.findall(r"{{\s*(\w+)\s*}}", target.get("legendFormat", "")):
                if label not in labels:
                    trouble(f"{where}: no label {label} for its legend")
            queries.append((where, expression))
    for index, one in enumerate(panels):
        for other in panels[index + 1 :]:
            a, b = one["gridPos"], other["gridPos"]
            if (
                a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"]
                and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]
            ):
                trouble(f"panels {one['title']!r} and {other['title']!r} overlap")
    print(f"dashboard: {len(panels)} panels, {len(queries)} queries")
    return queries


# --- promtool, prometheus


def run(*command, cwd):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        trouble(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
    else:
        print(f"{' '.join(command)}: accepted")


def check_tools(folder, temporary):
    run("promtool", "check", "rules", "alerts.yml", cwd=f"{folder}/prometheus")
    run("promtool", "test", "rules", "alerts_test.yml", cwd=f"{folder}/prometheus")
    # The file of the token has to be there for this check: a placeholder, and a copy that names it.
    shutil.copytree(f"{folder}/prometheus", f"{temporary}/prometheus")
    with open(f"{temporary}/onewrite-token", "w") as file:
        file.write("placeholder\n")
    path = f"{temporary}/prometheus/prometheus.yml"
    text = open(path, encoding="utf-8").read()
    if text.count("credentials_file: /etc/prometheus/onewrite-token") != 1:
        trouble("prometheus.yml: doesn't read its token from /etc/prometheus/onewrite-token")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace("credentials_file: /etc/prometheus/onewrite-token", f"credentials_file: {temporary}/onewrite-token"))
    run("promtool", "check", "config", "prometheus.yml", cwd=f"{temporary}/prometheus")
    for kind, key in (("datasources", "datasources"), ("dashboards", "providers")):
        given = yaml.safe_load(open(f"{folder}/grafana/provisioning/{kind}/onewrite.yml", encoding="utf-8"))
        if given.get("apiVersion") != 1 or not given.get(key):
            trouble(f"provisioning/{kind}: no {key}")


def check_queries(queries, temporary):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open(f"{temporary}/empty.yml", "w") as file:
        file.write("global: {}\n")
    server = subprocess.Popen(
        ["prometheus", f"--config.file={temporary}/empty.yml", f"--storage.tsdb.path={temporary}/data",
         f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"],
        stdout=subprocess.DEVNULL, stderr=open(f"{temporary}/log", "w"))
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=2).close()
                break
            except OSError:
                if time.monotonic() > deadline or server.poll() is not None:
                    return trouble("prometheus doesn't start: " + open(f"{temporary}/log").read())
                time.sleep(0.1)
        accepted = 0
        for where, expression in queries:
            try:
                query = urllib.parse.urlencode({"query": expression})
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{query}", timeout=10).close()
                accepted += 1
            except urllib.error.HTTPError as error:
                trouble(f"{where}: {json.load(error).get('error')}\n  {expression}")
        print(f"prometheus accepts {accepted} of {len(queries)} expressions")
    finally:
        server.terminate()
        server.wait(20)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("http_md", help="docs/http.md; the other documents are beside it")
    parser.add_argument("--deploy", default=os.path.dirname(os.path.abspath(__file__)), help="the folder with prometheus and grafana")
    options = parser.parse_args()
    metrics = documented(options.http_md)
    print(f"{len(metrics)} metrics in the document, parts of histograms among them")
    known = metrics | OF_PROMETHEUS
    queries = check_alerts(options.deploy, os.path.dirname(os.path.abspath(options.http_md)), known)
    queries += check_dashboard(options.deploy, known)
    with tempfile.TemporaryDirectory() as temporary:
        check_tools(options.deploy, temporary)
        check_queries(queries, temporary)
    print(f"{len(troubles)} wrong" if troubles else "all is well")
    sys.exit(1 if troubles else 0)


main()
