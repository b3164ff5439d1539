#!/usr/bin/env python3
"""Sweeps of configs/scenarios/context-as-load.yaml, for its page.

    tools/context.py loads|lengths|reuse|batches      a table on standard output
    tools/context.py TITLE <JSON >FILE.svg            the picture: TTFT over load, by rule (the JSON is not read)

Each row is a run of the scenario with some values replaced, its rules at the same arrivals. TIERSIM: the program
(build/tiersim). Nothing but Python's standard library.
"""
import functools
import json
import math
import os
import re
import subprocess
import sys
from xml.sax.saxutils import escape

TIERSIM = os.environ.get("TIERSIM", "build/tiersim")
SCENARIO = "configs/scenarios/context-as-load.yaml"
RULES = ["fetch", "recompute", "cheapest"]
LOADS = [0.3, 0.6, 0.9, 1.2, 1.5, 1.8, 2.1, 2.4]
SEEDS = (1, 2)
COLOURS = {"fetch": "#b98b73", "recompute": "#d1495b", "cheapest": "#2f6ba8"}


@functools.lru_cache(None)
def run(variants, sets, seed):
    """{variant name: its JSON} of one run."""
    words = [TIERSIM, "run", SCENARIO, "--no-search", "--json", "--seed", str(seed), "--set", f"variants={variants}"]
    for one in sets:
        words += ["--set", one]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return {v["name"]: v for v in json.loads(said)["variants"]}


def by_rule(sets):
    """{rule: [its JSON by seed]}"""
    variants = "[" + ", ".join(f"{{name: {rule}, serving: {{reuse: {rule}}}}}" for rule in RULES) + "]"
    runs = [run(variants, tuple(sets), seed) for seed in SEEDS]
    return {rule: [r[rule] for r in runs] for rule in RULES}


def mean(runs, *keys):
    values = []
    for v in runs:
        for key in keys:
            v = v[key]
        values.append(v)
    return sum(values) / len(values)


def fetched(runs):
    """Share of the decisions that fetched."""
    counts = [v["decisions"] for v in runs]
    taken = sum(c["fetched"] + c["partial"] for c in counts)
    return taken / max(1, sum(c["count"] for c in counts))


def against_best(runs):
    best = min(mean(runs[rule], "ttft_s", "mean") for rule in ("fetch", "recompute"))
    return mean(runs["cheapest"], "ttft_s", "mean") / best - 1


def rate(value):
    return f"workload.generate.arrivals.rate={value:g}/s"


def rule_columns(runs):
    times = "  ".join(f"{mean(runs[rule], 'ttft_s', 'mean'):8.3g} {mean(runs[rule], 'ttft_s', 'p99'):6.3g}" for rule in RULES)
    return f"{times}   {100 * fetched(runs['cheapest']):4.0f} %  {100 * against_best(runs):+6.1f} %"


def loads():
    print("            TTFT s:                                                  cheapest")
    print("sessions/s     fetch    p99  recompute  p99  cheapest   p99  fetches  against the best")
    for load in LOADS:
        print(f"{load:10g}  {rule_columns(by_rule([rate(load)]))}")


def shorter(length, load):
    """Arrivals that bring as many tokens; short contexts in a shorter run."""
    sets = [f"workload.generate.first_prompt.median={length}", rate(load * 30000 / length)]
    if length < 30000:
        sets += ["warmup=3 min", "stop_after=7 min", "workload.generate.duration=7 min", "workload.generate.think_time.median=60"]
    return sets


def seconds(number, unit):
    return float(number) * {"s": 1, "ms": 1e-3}[unit]


def missed(length):
    """Seconds to compute one context again, and to fetch it, on idle things, as the run's table says."""
    words = [TIERSIM, "run", SCENARIO, "--no-search", "--set", "variants=[{name: fetch, serving: {reuse: fetch}}]"]
    for one in shorter(length, 0.3):
        words += ["--set", one]
    said = " ".join(subprocess.run(words, check=True, capture_output=True, text=True).stdout.split())
    computed = re.search(r"costs ([\d.]+) (m?s) of prefill", said)
    loaded = re.search(r"Fetching it takes from object ([\d.]+) (m?s)", said)
    return seconds(*computed.groups()), seconds(*loaded.groups())


def lengths():
    print("         one miss, idle, s          TTFT s at as many tokens a second:")
    print("context  prefill  fetch  ratio       fetch    p99  recompute  p99  cheapest   p99  fetches  against the best")
    for length in (2000, 8000, 30000, 80000):
        computed, loaded = missed(length)
        print(f"{length:7d}  {computed:7.3g}  {loaded:5.3g}  {computed / loaded:5.2f}    {rule_columns(by_rule(shorter(length, 1.2)))}")


def reuse():
    print("                    TTFT s:                                                  cheapest")
    print("turns  seen before     fetch    p99  recompute  p99  cheapest   p99  fetches  against the best")
    for turns in (2, 3, 6, 12):
        runs = by_rule([f"workload.generate.turns.min={turns}", f"workload.generate.turns.max={turns}", rate(1.2 * 3 / turns)])
        tokens = runs["recompute"][0]["reuse"]
        seen = (tokens["again_tokens"] + sum(tokens["hit_tokens"].values())) / tokens["prompt_tokens"]
        print(f"{turns:5d}  {100 * seen:9.0f} %  {rule_columns(runs)}")


def batches():
    variants = "[{name: chunked}, {name: small chunks, serving: {token_budget: 512}}, {name: prompts first, serving: {batch: prefill-first}}]"
    print("context  sessions/s  batch           ITL ms: p50    p90    p99   TPOT p99   TTFT s mean   tokens/s out")
    for length, load in ((2000, 0.6), (2000, 1.2), (8000, 1.8), (30000, 1.2), (30000, 2.1)):
        runs = [run(variants, tuple(shorter(length, load)), seed) for seed in SEEDS]
        for name in runs[0]:
            v = [r[name] for r in runs]
            ms = [1e3 * mean(v, "itl_s", q) for q in ("p50", "p90", "p99")]
            print(f"{length:7d}  {load * 30000 / length:10.3g}  {name:14}  {ms[0]:11.3g} {ms[1]:6.3g} {ms[2]:6.3g} "
                  f"{1e3 * mean(v, 'tpot_s', 'p99'):10.3g} {mean(v, 'ttft_s', 'mean'):13.3g} {mean(v, 'throughput', 'output_tokens_per_s'):14.4g}")


def picture(title):
    width, height, left, top, right, bottom = 860, 420, 70, 64, 150, 56
    points = {rule: [] for rule in RULES}
    for load in LOADS:
        runs = by_rule([rate(load)])
        for rule in RULES:
            points[rule].append((load, mean(runs[rule], "ttft_s", "mean")))
    low, high = 0.5, 300.0

    def x(load):
        return left + (load - LOADS[0]) / (LOADS[-1] - LOADS[0]) * (width - left - right)

    def y(seconds):
        share = (math.log(min(high, max(low, seconds))) - math.log(low)) / (math.log(high) - math.log(low))
        return height - bottom - share * (height - top - bottom)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">',
           "<style>.card{fill:#fff;stroke:#d5d9df}.ink{fill:#1c2733}.soft{fill:#5b6673}.rule{stroke:#d5d9df}"
           "text{font-family:system-ui,'Segoe UI','Helvetica Neue','DejaVu Sans',sans-serif;font-size:13px}.title{font-size:17px;font-weight:600}"
           ".end{text-anchor:end}.mid{text-anchor:middle}@media (prefers-color-scheme:dark){.card{fill:#161b22;stroke:#313a45}"
           ".ink{fill:#e8edf3}.soft{fill:#9aa6b4}.rule{stroke:#313a45}}</style>",
           f'<rect class="card" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>',
           f'<text class="ink title" x="20" y="32">{escape(title)}</text>']
    for seconds in (0.5, 1, 3, 10, 30, 100, 300):
        out.append(f'<line class="rule" x1="{left}" x2="{width - right}" y1="{y(seconds):.1f}" y2="{y(seconds):.1f}"/>')
        out.append(f'<text class="soft end" x="{left - 8}" y="{y(seconds) + 4:.1f}">{seconds:g} s</text>')
    for load in LOADS:
        out.append(f'<text class="soft mid" x="{x(load):.1f}" y="{height - bottom + 20}">{load:g}</text>')
    out.append(f'<text class="soft mid" x="{(left + width - right) / 2}" y="{height - 14}">sessions a second on a node of eight; mean TTFT, log scale</text>')
    ends = sorted((y(points[rule][-1][1]), rule) for rule in RULES)
    placed = -100.0
    for at, rule in ends:
        placed = max(at, placed + 17)
        path = " ".join(f"{x(load):.1f},{y(seconds):.1f}" for load, seconds in points[rule])
        out.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[rule]}" stroke-width="2.5"/>')
        out += [f'<circle cx="{x(load):.1f}" cy="{y(seconds):.1f}" r="3.5" fill="{COLOURS[rule]}"/>' for load, seconds in points[rule]]
        out.append(f'<text x="{width - right + 10}" y="{placed + 4:.1f}" fill="{COLOURS[rule]}" font-weight="600">{rule} {points[rule][-1][1]:.3g} s</text>')
    out.append("</svg>")
    print("\n".join(out))


if __name__ == "__main__":
    tables = {"loads": loads, "lengths": lengths, "reuse": reuse, "batches": batches}
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if sys.argv[1] in tables:
        tables[sys.argv[1]]()
    else:
        picture(sys.argv[1])
