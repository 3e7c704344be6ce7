"""Writes manual pages of onewrite, one for it and one for each of its commands, from what it says of itself.

    onewrite --experimental-dump-help | python3 man.py FOLDER VERSION DATE
"""

import json
import pathlib
import sys

folder, version, date = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
root = json.load(sys.stdin)["command"]

ENVIRONMENT = """\
.TP
.BR REDIS_URL ", " DATABASE_URL
Where Redis and Postgres are.
.TP
.BR REDIS_URL_FILE ", " DATABASE_URL_FILE
Files that hold these addresses, where the variables themselves are not set.
.TP
.B ONEWRITE_\\fR…
Every setting:
.BR onewrite\\-config (1)
lists them.
"""

EXIT = """\
.TP
.B 0
Done.
.TP
.B 1
The answer is no: not found, refused, different.
.TP
.BR 64 ", " 65 ", " 66
Used wrongly, bad rows in the input, no such input.
.TP
.B 69
Redis or Postgres can't be reached.
.TP
.B 70
A bug.
.TP
.B 75
Try again: time ran out, the log is not open, the outcome is unknown.
.TP
.BR 77 ", " 78
Not permitted, bad configuration.
"""


def roff(text):
    """Text as it is, for a line that begins with no control character."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in text.split("\n"))


def spelled(name):
    return ("-" if name["kind"] == "short" else "--") + name["name"]


def synopsis(argument):
    if argument["kind"] == "positional":
        text = f"\\fI{roff(argument['valueName'])}\\fR"
    else:
        text = f"\\fB{roff(spelled(argument['preferredName']))}\\fR"
        if argument["kind"] == "option":
            text += f" \\fI{roff(argument['valueName'])}\\fR"
    if argument["isRepeating"]:
        text += " …"
    return f"[{text}]" if argument["isOptional"] else text


def shown(items):
    return [item for item in items if item.get("shouldDisplay", True)]


def arguments(command):
    """Its own arguments; those of every page are said once, in onewrite(1)."""
    return [a for a in shown(command.get("arguments", [])) if a.get("valueName") not in ("help", "version")]


def options(command):
    lines = []
    for argument in arguments(command):
        if argument["kind"] == "positional":
            head = f"\\fI{roff(argument['valueName'])}\\fR"
        else:
            head = ", ".join(f"\\fB{roff(spelled(name))}\\fR" for name in argument["names"])
            if argument["kind"] == "option":
                head += f" \\fI{roff(argument['valueName'])}\\fR"
        about = argument.get("abstract", "")
        if argument.get("allValues"):
            about += f" One of: {', '.join(argument['allValues'])}."
        if argument.get("defaultValue"):
            about += f" Default: {argument['defaultValue']}."
        lines += [".TP", head, roff(about.strip())]
    return lines


def discussion(command):
    """Paragraphs as they are; what is indented stands as in a terminal."""
    lines = []
    for paragraph in command.get("discussion", "").split("\n\n"):
        lines.append(".PP")
        isExample = False
        for line in paragraph.split("\n"):
            if line.startswith("  ") != isExample:
                lines.append(".fi\n.RE" if isExample else ".RS\n.nf")
                isExample = not isExample
            lines.append(roff(line.removeprefix("  ")))
        if isExample:
            lines.append(".fi\n.RE")
    return lines if command.get("discussion") else []


def subcommands(command):
    return [sub for sub in shown(command.get("subcommands", [])) if sub["commandName"] != "help"]


def about(words, command):
    """A command, and below it those that it parts into."""
    lines = [".PP", " ".join([f"\\fB{roff(' '.join(words))}\\fR"] + [synopsis(a) for a in arguments(command)])]
    lines += [".PP", roff(command["abstract"])] + discussion(command) + options(command)
    for sub in subcommands(command):
        name = " ".join(words[1:] + [sub["commandName"]])
        lines += [f".SS {roff(name)}"] + about(words + [sub["commandName"]], sub)
    return lines


def page(name, command, body):
    lines = [
        f'.TH {roff(name).upper()} 1 "{date}" "onewrite {version}" "Onewrite"',
        ".SH NAME",
        f"{roff(name)} \\- {roff(command['abstract'].rstrip('.'))}",
    ] + body
    (folder / f"{name}.1").write_text("\n".join(lines) + "\n", encoding="utf-8")


folder.mkdir(parents=True, exist_ok=True)
commands = subcommands(root)
for command in commands:
    words = ["onewrite", command["commandName"]]
    page(
        "-".join(words),
        command,
        [".SH DESCRIPTION"] + about(words, command)
        + [".SH ENVIRONMENT", ENVIRONMENT + ".SH EXIT STATUS", EXIT + ".SH SEE ALSO", ".BR onewrite (1)"],
    )
listed = []
for command in commands:
    listed += [".TP", f".BR onewrite\\-{roff(command['commandName'])} (1)", roff(command["abstract"])]
page(
    "onewrite",
    root,
    [".SH SYNOPSIS", ".B onewrite", "[\\fB\\-\\-version\\fR] [\\fB\\-\\-help\\fR] \\fIcommand\\fR …", ".SH DESCRIPTION"]
    + discussion(root)
    + [".SH COMMANDS"] + listed
    + [".SH ENVIRONMENT", ENVIRONMENT + ".SH EXIT STATUS", EXIT + ".SH FILES"]
    + [".TP", ".I /etc/onewrite/onewrite.env", "Settings of the units.",
       ".TP", ".IR /etc/onewrite/redis\\-url ", " /etc/onewrite/database\\-url",
       "Where Redis and Postgres are, for the units.",
       ".TP", ".I onewrite.json", "Settings, in the directory in which a command is run."]
    + [".SH SEE ALSO"]
    + [", ".join(f"\\fBonewrite\\-{roff(c['commandName'])}\\fR(1)" for c in commands)],
)
