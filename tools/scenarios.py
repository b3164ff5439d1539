#!/usr/bin/env python3
"""Writes what tiersim says into the pages of docs/scenarios: the table of each page, and its picture.

    tools/scenarios.py [NAME...]          default: every page that names a scenario

A page holds lines `<!-- tiersim run SCENARIO [OPTION...] -->`, each followed by a fenced block; the block is replaced by the
lines of that run's table, with --minutes also by the table of its regimes, with --wide by each variant's percentiles. The picture of the page's first run is
docs/scenarios/NAME.svg (tools/picture.py, or tools/minutes.py where the page says `<!-- picture: minutes -->`, or tools/regimes.py). TIERSIM: the program (build/tiersim). Nothing but Python's standard library.
"""
import json
import os
import re
import shlex
import subprocess
import sys

PAGES = "docs/scenarios"
TIERSIM = os.environ.get("TIERSIM", "build/tiersim")
PICTURE = re.compile(r"<!-- picture: (\w+) -->")
LATENCIES = re.compile(r"^(\S.*): load .*\n(?:(?!  TTFT).+\n)*  (TTFT s [^|]*\| TPOT[^|\n]*)", re.M)
TOOL = re.compile(r"<!-- tools/(\w+)\.py (\w+) -->\n```\n.*?```\n", re.S)
RUN = re.compile(r"<!-- tiersim run ([^>]*?) -->\n```\n.*?```\n", re.S)


def said(words):
    """What the run says, once for people and once for programs."""
    return [subprocess.run([TIERSIM, "run", *words, *more], check=True, capture_output=True, text=True).stdout
            for more in ([], ["--json"])]


def table(text):
    """From the heading of the columns to what was missed; what the run rests on is for who runs it."""
    lines = text.rstrip().split("\n")
    first = next(i for i, line in enumerate(lines) if line.startswith("variant"))
    last = next((i for i, line in enumerate(lines) if line.startswith(("All variants", "What it rests on", "Warning"))), len(lines))
    regimes = next((i for i, line in enumerate(lines) if line.startswith("regimes of")), len(lines))
    wide = [f"{name:<14} {said.strip()}" for name, said in LATENCIES.findall(text)]
    return "\n".join(lines[first:last] + [""] + wide + lines[regimes:]).rstrip() + "\n"


def write_page(name):
    path = f"{PAGES}/{name}.md"
    with open(path, encoding="utf-8") as file:
        page = file.read()
    runs = []

    def replaced(match):
        text, document = said(shlex.split(match.group(1)))
        runs.append((text.split("\n", 1)[0], json.loads(document)))
        return f"<!-- tiersim run {match.group(1)} -->\n```\n{table(text)}```\n"

    def told(match):
        tool, word = match.groups()
        words = [sys.executable, f"tools/{tool}.py", word]
        said_by_tool = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        return f"<!-- tools/{tool}.py {word} -->\n```\n{said_by_tool}```\n"

    page = TOOL.sub(told, RUN.sub(replaced, page))
    if not runs:
        return
    with open(path, "w", encoding="utf-8") as file:
        file.write(page)
    title, document = runs[0]
    named = PICTURE.search(page)
    tool = named.group(1) if named else "picture"
    svg = subprocess.run([sys.executable, f"tools/{tool}.py", title], input=json.dumps(document), check=True,
                         capture_output=True, text=True).stdout
    with open(f"{PAGES}/{name}.svg", "w", encoding="utf-8") as file:
        file.write(svg)
    print(f"wrote {path} and {PAGES}/{name}.svg", file=sys.stderr)


if __name__ == "__main__":
    names = sys.argv[1:] or sorted(f[:-3] for f in os.listdir(PAGES) if f.endswith(".md") and f != "README.md")
    for page_name in names:
        write_page(page_name)
