#!/usr/bin/env python3
"""Draws a run whose traffic switches: requests in flight, step time and TPOT p99 of each variant by the minute, as SVG.

    build/tiersim run SCENARIO.yaml --json | tools/regimes.py [TITLE] >docs/scenarios/NAME.svg

Everything drawn is read from the JSON's windows. Nothing but Python's standard library.
"""
import json
import sys

from minutes import COLOURS, GAP, HEIGHT, LEFT, RIGHT, STYLE, TOP, WIDTH, panel, text

PANELS = [
    ("requests in flight, on average over the minute", "", "in_flight", 1),
    ("time of a step, mean of the minute's", " ms", "step_s", 1e3),
    ("time per output token, p99 of the requests that ended in the minute", " ms", "tpot_p99_s", 1e3),
]


def draw(run, title):
    variants = [v for v in run["variants"] if "error" not in v]
    last = max(w["start_s"] for v in variants for w in v["windows"]) / 60 + 1
    height = TOP + len(PANELS) * (HEIGHT + GAP) + 18 * len(variants) + 8
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        f"<style>{STYLE}</style>",
        f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8" class="card"/>',
        text(20, 28, title, "title ink"),
    ]
    for number, (name, unit, key, scale) in enumerate(PANELS):
        values = [w.get(key, 0) * scale for v in variants for w in v["windows"]]
        out += panel(TOP + number * (HEIGHT + GAP), name, unit, variants, lambda w: w.get(key, 0) * scale, max(values), last)
    bottom = TOP + len(PANELS) * (HEIGHT + GAP) - GAP
    for minute in range(0, int(last) + 1, 4):
        x = LEFT + (WIDTH - LEFT - RIGHT) * minute / last
        out.append(text(x, bottom + 16, f"{minute} min", "soft mid"))
    for i, variant in enumerate(variants):
        y = bottom + GAP - 4 + 18 * i
        out.append(f'<rect x="{LEFT}" y="{y - 9:.0f}" width="18" height="4" fill="{COLOURS[i % len(COLOURS)]}"/>')
        out.append(text(LEFT + 26, y - 3, variant["name"], "ink"))
    return "\n".join(out + ["</svg>"]) + "\n"


def main():
    run = json.load(sys.stdin)
    sys.stdout.write(draw(run, sys.argv[1] if len(sys.argv) > 1 else run["scenario"]))


if __name__ == "__main__":
    main()
