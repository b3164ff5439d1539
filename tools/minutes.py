#!/usr/bin/env python3
"""Draws a run by the minute: each variant's hit ratio and its TTFT p99 over time, as SVG.

    build/tiersim run SCENARIO.yaml --json | tools/minutes.py [TITLE] >docs/scenarios/NAME.svg

Everything drawn is read from the JSON's windows. Nothing but Python's standard library.
"""
import json
import sys
from xml.sax.saxutils import escape

COLOURS = ["#2f6ba8", "#d1495b", "#e9a23b", "#2a9d8f", "#9d6bc3", "#7f8894", "#b98b73", "#c2b34d"]
WIDTH, LEFT, RIGHT, HEIGHT, GAP, TOP = 860, 62, 20, 170, 46, 58

STYLE = """
  .card{fill:#fff;stroke:#d5d9df} .ink{fill:#1c2733} .soft{fill:#5b6673} .rule{stroke:#d5d9df}
  text{font-family:system-ui,'Segoe UI','Helvetica Neue','DejaVu Sans',sans-serif;font-size:12px}
  .title{font-size:16px;font-weight:600} .end{text-anchor:end} .mid{text-anchor:middle}
  polyline{fill:none;stroke-width:1.8}
  @media (prefers-color-scheme:dark){
    .card{fill:#161b22;stroke:#313a45} .ink{fill:#e8edf3} .soft{fill:#9aa6b4} .rule{stroke:#313a45}
  }"""


def text(x, y, words, kind):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(words)}</text>'


def panel(top, name, unit, variants, value, most, last):
    """A line a variant of value(window), from 0 to `most`, over the minutes to `last`."""
    wide = WIDTH - LEFT - RIGHT
    out = [text(LEFT, top - 8, name, "soft")]
    for share in (0, 0.5, 1):
        y = top + HEIGHT * (1 - share)
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="rule"/>')
        out.append(text(LEFT - 6, y + 4, f"{most * share:.3g}{unit}", "soft end"))
    for i, variant in enumerate(variants):
        points = " ".join(
            f"{LEFT + wide * (w['start_s'] / 60 + 0.5) / last:.1f},{top + HEIGHT * (1 - min(value(w) / most, 1)):.1f}"
            for w in variant["windows"]
        )
        out.append(f'<polyline points="{points}" stroke="{COLOURS[i % len(COLOURS)]}"/>')
    return out


def draw(run, title):
    variants = [v for v in run["variants"] if "error" not in v]
    last = max(w["start_s"] for v in variants for w in v["windows"]) / 60 + 1
    slowest = max(w["ttft_p99_s"] for v in variants for w in v["windows"])
    height = TOP + 2 * (HEIGHT + GAP) + 18 * len(variants) + 8
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        f"<style>{STYLE}</style>",
        f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8" class="card"/>',
        text(20, 28, title, "title ink"),
    ]
    out += panel(TOP, "prompt tokens that were hits, by the minute", " %", variants, lambda w: 100 * w["reuse"], 100, last)
    second = TOP + HEIGHT + GAP
    out += panel(second, "TTFT p99 of the minute's requests", " s", variants, lambda w: w["ttft_p99_s"], slowest, last)
    for minute in range(0, int(last) + 1, 10):
        x = LEFT + (WIDTH - LEFT - RIGHT) * minute / last
        out.append(text(x, second + HEIGHT + 16, f"{minute} min", "soft mid"))
    for i, variant in enumerate(variants):
        y = second + HEIGHT + GAP - 4 + 18 * i
        out.append(f'<rect x="{LEFT}" y="{y - 9:.0f}" width="18" height="4" fill="{COLOURS[i % len(COLOURS)]}"/>')
        out.append(text(LEFT + 26, y - 3, variant["name"], "ink"))
    return "\n".join(out + ["</svg>"]) + "\n"


def main():
    run = json.load(sys.stdin)
    sys.stdout.write(draw(run, sys.argv[1] if len(sys.argv) > 1 else run["scenario"]))


if __name__ == "__main__":
    main()
