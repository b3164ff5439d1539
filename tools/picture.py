#!/usr/bin/env python3
"""Draws a run: where each variant's prompt tokens came from, what it carries and what it costs, as SVG.

    build/tiersim run SCENARIO.yaml --json | tools/picture.py [TITLE] >docs/run.svg

Everything drawn is read from the JSON: of a scenario with an SLO the highest load that keeps it, else the scenario's
own load. Nothing but Python's standard library.
"""
import json
import sys
from xml.sax.saxutils import escape

# By tier, from the fastest down; other names take the spare colours. Told apart by lightness too.
TIERS = {"hbm": "#2f6ba8", "dram": "#2a9d8f", "peer": "#7fb069", "ssd": "#e9a23b", "flash": "#9d6bc3", "object": "#b98b73"}
SPARE = ["#5c8fd6", "#c2b34d", "#d47fa6"]
NEW, AGAIN = "#b9bec6", "#d1495b"
WIDTH, LEFT, BAR, ROW, TOP = 860, 134, 400, 46, 112
AGENTS_RIGHT, COST_LEFT, COST_BAR = 628, 652, 116

STYLE = """
  .card{fill:#fff;stroke:#d5d9df} .ink{fill:#1c2733} .soft{fill:#5b6673} .rule{stroke:#d5d9df} .cost{fill:#8894a3}
  .best{fill:#1f7a4d} .on{fill:#fff} .dark{fill:#1c2733}
  text{font-family:system-ui,'Segoe UI','Helvetica Neue','DejaVu Sans',sans-serif;font-size:13px}
  .title{font-size:17px;font-weight:600} .small{font-size:11.5px} .strong{font-weight:600} .end{text-anchor:end} .mid{text-anchor:middle}
  @media (prefers-color-scheme:dark){
    .card{fill:#161b22;stroke:#313a45} .ink{fill:#e8edf3} .soft{fill:#9aa6b4} .rule{stroke:#313a45} .cost{fill:#6f7c8c}
    .best{fill:#4fc38a}
  }"""


def text(x, y, words, kind):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(words)}</text>'


def shares(variant):
    """[(what, tokens, colour)] of the prompt tokens, in the order in which they are drawn."""
    reuse = (variant.get("at_slo") or variant)["reuse"]
    spare = iter(SPARE)
    parts = [(tier, tokens, TIERS.get(tier) or next(spare, "#777")) for tier, tokens in reuse["hit_tokens"].items()]
    computed = reuse["prompt_tokens"] - sum(tokens for _, tokens, _ in parts)
    again = min(computed, reuse["recomputed_tokens"] + reuse.get("lost_tokens", 0))
    return parts + [("computed again", again, AGAIN), ("new text", computed - again, NEW)]


def stack(parts, y):
    """One bar of 100 %."""
    total, x, out = sum(tokens for _, tokens, _ in parts) or 1, LEFT, []
    for what, tokens, colour in parts:
        width = BAR * tokens / total
        if width <= 0:
            continue
        out.append(f'<rect x="{x:.1f}" y="{y}" width="{max(width - 1, 0.6):.1f}" height="26" fill="{colour}">'
                   f"<title>{escape(what)}: {100 * tokens / total:.1f} %</title></rect>")
        if width > 34:
            ink = "dark" if colour == NEW else "on"
            out.append(text(x + width / 2, y + 17.5, f"{100 * tokens / total:.0f} %", f"small mid {ink}"))
        x += width
    return out


def legend(variants, y):
    seen = {}
    for variant in variants:
        for what, _, colour in shares(variant):
            seen.setdefault(what, colour)
    for last in ("computed again", "new text"):
        seen[last] = seen.pop(last)
    out, x = [], LEFT
    for what, colour in seen.items():
        label = what.upper() if what in ("hbm", "dram", "ssd") else what
        out.append(f'<rect x="{x}" y="{y - 10}" width="11" height="11" rx="2" fill="{colour}"/>')
        out.append(text(x + 16, y, label, "small soft"))
        x += 34 + 6.4 * len(label)
    return out


def row(variant, y, dearest, best):
    at, cost = (variant.get("at_slo") or variant), variant["cost"]["usd_per_million_tokens"]
    out = [text(LEFT - 12, y + 17.5, variant["name"], "ink end" + (" strong" if best else ""))]
    out += stack(shares(variant), y)
    carries = at.get("sessions_per_node")
    amount = f"{carries:.0f}" if carries else f'{at["throughput"]["requests_per_s"]:.2f}'
    if variant.get("at_slo", at) is None:
        amount = "none"
    out.append(text(AGENTS_RIGHT - 20, y + 17.5, amount, "ink end" + (" strong" if best else "")))
    width = COST_BAR * cost / dearest
    out.append(f'<rect x="{COST_LEFT}" y="{y + 5}" width="{width:.1f}" height="16" rx="2" class="{"best" if best else "cost"}"/>')
    out.append(text(COST_LEFT + width + 7, y + 17.5, f"{cost:.3f}", "ink" + (" strong" if best else "")))
    return out


def draw(run, title):
    global LEFT, BAR
    variants = [v for v in run["variants"] if v.get("cost", {}).get("usd_per_million_tokens")]
    longer = max(0, max(len(v["name"]) for v in variants) - 14) * 7 # the names' column grows, the bars give way
    LEFT, BAR = LEFT + longer, BAR - longer
    costs = [v["cost"]["usd_per_million_tokens"] for v in variants]
    searched = any("at_slo" in v for v in variants)
    population = any((v.get("at_slo") or v).get("sessions_per_node") for v in variants)
    height = TOP + ROW * len(variants) + 46
    where = "at the highest load that keeps the SLO" if searched else "at the scenario's load"
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
           f"<title>{escape(title)}</title><style>{STYLE}</style>",
           f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8" class="card"/>',
           text(24, 34, title, "title ink"),
           text(24, 56, f'tiersim run {run["scenario"]}, seed {run["seed"]}; each row {where}', "small soft"),
           text(LEFT, 94, "prompt tokens came from", "small soft strong"),
           text(AGENTS_RIGHT, 94, "sessions a node" if population else "requests/s", "small soft strong end"),
           text(COST_LEFT, 94, "$ per million tokens", "small soft strong"),
           f'<line x1="24" y1="102.5" x2="{WIDTH - 24}" y2="102.5" class="rule"/>']
    for i, variant in enumerate(variants):
        out += row(variant, TOP + ROW * i, max(costs), costs[i] == min(costs))
    return out + legend(variants, height - 22) + ["</svg>"]


if __name__ == "__main__":
    document = json.load(sys.stdin)
    print("\n".join(draw(document, sys.argv[1] if len(sys.argv) > 1 else document["scenario"])))
