#!/usr/bin/env python3
"""What an eviction policy means for a fleet: writes results/policies/meaning.md and meaning.csv.
Usage: tools/policies_meaning.py [build/tiersim]   (traces in $TIERSIM_TRACES or ../shared/traces; OUT: another folder)

Each policy stands in every tier of the same scenario, on the same requests, at one load. Intervals are of 95 %:
- a recorded trace: a bootstrap of whole sessions (where the trace names none: of requests whose prompts begin with the
  same chain beyond what all share), the same resamples for all policies; latencies stay as the run gave them;
- generated load: Student's t over paired seeds.
A policy's difference from LRU is paired as well. Nothing but Python's standard library.
"""
import csv
import json
import math
import os
import sqlite3
import subprocess
import sys
import tempfile

from intervals import compare, percentiles, session_draws, student

PROGRAM = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build/tiersim")
OUT, BASE, RESAMPLES, SEEDS = os.environ.get("OUT", "results/policies"), "lru", 300, 8
TRACE, WINDOW_S, AGENTS_S = "mooncake/conversation_trace.jsonl", 600, 1800
LEFT_OUT = {"skeleton"}
SERVING = {"block_tokens": 128, "token_budget": 2048, "kv_capacity": "18 GB"}
HEAD = {"model": "llama-3.1-8b", "node": "hgx-h100", "instances": 2, "serving": SERVING, "slo": {"ttft_p99": "2 s", "tpot_p99": "100 ms"}}
GENERATE = {"arrivals": {"process": "poisson", "rate": "0.9/s"}, "duration": "240 s", "system_tokens": 1024,
            "first_prompt": {"median": 6000, "sigma": 0.8, "min": 16, "max": 40000},
            "turn": {"median": 300, "sigma": 1, "min": 1, "max": 4000}, "output": {"median": 120, "sigma": 0.8, "min": 1, "max": 1000},
            "turns": {"kind": "uniform", "min": 1, "max": 8}, "think_time": {"kind": "exponential", "mean": 12}}
AGENTS_SHOWN = ["lru", "kvflow", "belady", "continuum", "arc"]
FIGURES = ["hit %", "prefill saved s", "miss penalty s", "TTFT p99 s", "goodput /s", "$/Mtok", "$/Mtok in SLO"]


def tiers(policy, kind, sizes=("512 GB", "1 TB")):
    out = [{"name": "hbm", "evict": policy}]
    if kind == "unbounded":
        return [{"name": "hbm", "capacity": "20 TB"}]
    dram = {"name": "dram", "scope": "node", "capacity": sizes[0], "evict": policy, "write": "fill"}
    ssd = {"name": "ssd", "scope": "node", "capacity": sizes[1], "evict": policy, "write": "eviction", "write_buffer": "64 GB",
           "endurance_dwpd": 1}
    if kind != "inclusive":
        dram.update(write="eviction")
    if kind == "exclusive":
        dram.update(inclusion="exclusive")
        ssd.update(inclusion="exclusive")
    if kind == "second-hit":
        dram.update(write="fill", admit="second-hit")
        ssd.update(admit="second-hit")
    return out + [dram, ssd]


def run(workload, variants, seed):
    """{name: (its JSON, its requests)} of one seed. A recorded trace brings more than two GPUs can compute: it has eight."""
    text = {"name": "meaning", **HEAD, "instances": 8 if "trace" in workload else 2, "workload": workload, "variants": [{"name": n, "tiers": t} for n, t in variants]}
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/meaning.yaml", "w", encoding="utf-8") as file:
            json.dump(text, file)  # JSON is YAML
        words = [PROGRAM, "run", f"{folder}/meaning.yaml", "--json", "--no-search", "--seed", str(seed), "--db", f"{folder}/db"]
        answer = subprocess.run(words, capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            raise SystemExit(answer.stderr)
        out = {v["name"]: (v, {}) for v in json.loads(answer.stdout)["variants"]}
        database = sqlite3.connect(f"{folder}/db")
        names = dict(database.execute("SELECT variant, name FROM variants"))
        for variant, *row in database.execute(
                "SELECT q.variant, q.request, q.session, q.turn, q.prompt_tokens, q.output_tokens, q.first_token_ns - q.arrival_ns,"
                " q.end_ns - q.first_token_ns, coalesce(sum(t.hit_tokens), 0),"
                " coalesce(sum(CASE WHEN t.tier = 'hbm' THEN t.hit_tokens END), 0)"
                " FROM requests q LEFT JOIN request_tiers t ON t.variant = q.variant AND t.request = q.request AND t.at = q.at"
                " WHERE q.at = 'load' AND q.first_token_ns IS NOT NULL GROUP BY q.variant, q.request ORDER BY q.request"):
            out[names[variant]][1][tuple(row[1:5])] = row
        database.close()
    return out


def prefill_table(longest, chunk=2048):
    """Seconds to compute the first n chunks of a prompt on an idle instance."""
    sums = [0.0]
    while (len(sums) - 1) * chunk < longest:
        words = [PROGRAM, "step", "--model", HEAD["model"], "--gpu", "h100-sxm", "--batch", "1", "--query", str(chunk), "--context",
                 str(len(sums) * chunk), "--json"]
        sums.append(sums[-1] + json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)["seconds"])
    return lambda tokens: sums[int(tokens // chunk)] + (tokens % chunk) / chunk * (
        sums[min(int(tokens // chunk) + 1, len(sums) - 1)] - sums[int(tokens // chunk)])


def digest(answer, reference, saved):
    """Rows of what the figures are sums of: by request key."""
    out = []
    for key, row in answer[1].items():
        ttft, rest, hit, hbm = row[5] / 1e9, row[6] / 1e9, row[7], row[8]
        tpot = rest / (row[4] - 1) if row[4] > 1 else 0
        full = reference[1].get(key)
        missed = full is not None and hbm < full[7]
        out.append((key, row[3], row[4], hit, saved(hit), missed, ttft - full[5] / 1e9 if missed else 0, ttft, ttft <= 2 and tpot <= 0.1))
    return sorted(out, key=lambda r: r[7])


def figures(answer, rows, weight):
    """In the order of FIGURES; rows sorted by TTFT; weight: how often each request counts."""
    prompt = hit = seconds = missed = penalty = good = tokens = good_tokens = count = 0
    weights = [weight(r[0]) for r in rows] if weight else [1] * len(rows)
    for w, r in zip(weights, rows):
        if w == 0:
            continue
        count += w
        prompt += w * r[1]
        hit += w * r[3]
        seconds += w * r[4]
        missed += w * r[5]
        penalty += w * r[6]
        tokens += w * (r[1] + r[2])
        if r[8]:
            good += w
            good_tokens += w * (r[1] + r[2])
    at, p99 = 0, 0
    for w, r in zip(weights, rows):
        at += w
        if at >= 0.99 * count:
            p99 = r[7]
            break
    span = answer[0]["simulated_s"]
    usd = answer[0]["cost"]["usd_per_hour"] * span / 3600
    return [100 * hit / prompt, seconds, penalty / missed if missed else 0, p99, good / span, 1e6 * usd / tokens,
            1e6 * usd / good_tokens if good_tokens else math.inf]


def groups_of_trace():
    """Session of each request of the window, by its place: the chain that its prompt begins with, beyond what all share."""
    path = next(p for p in (f"{os.environ.get('TIERSIM_TRACES', '')}/{TRACE}", f"../shared/traces/{TRACE}") if os.path.exists(p))
    with open(path, encoding="utf-8") as file:
        requests = [json.loads(line) for line in file]
    chains = [r["hash_ids"] for r in requests if r["timestamp"] < WINDOW_S * 1000]
    common = 0
    while all(len(c) > common and c[common] == chains[0][common] for c in chains):
        common += 1
    return [c[common] if len(c) > common else f"short{i}" for i, c in enumerate(chains)]


def recorded(kind, names, saved):
    """{policy: [(value, low, high, significant)]} by bootstrap of sessions; and the runs."""
    workload = {"trace": TRACE, "duration": f"{WINDOW_S} s"}
    runs = run(workload, [("unbounded", tiers(BASE, "unbounded"))] + [(n, tiers(n, kind)) for n in names], 1)
    keys = [k for k, _ in sorted(runs["unbounded"][1].items(), key=lambda i: i[1][0])]
    return resampled_table(runs, names, saved, dict(zip(keys, groups_of_trace())))


def agents(names, saved):
    """The same of recorded agents, which name their sessions; and their runs where tiers are exclusive."""
    def runs_of(kind, some):
        workload = {"trace": "agentic", "duration": f"{AGENTS_S} s"}
        return run(workload, [("unbounded", tiers(BASE, "unbounded"))] + [(n, tiers(n, kind, ("64 GB", "128 GB"))) for n in some], 1)
    runs = runs_of("inclusive", names)
    return (*resampled_table(runs, names, saved, {k: k[0] for k in runs["unbounded"][1]}), runs_of("exclusive", AGENTS_SHOWN))


def resampled_table(runs, names, saved, group_of):
    reference = runs["unbounded"]
    draws = session_draws(group_of.values(), RESAMPLES)
    table, resampled = {}, {}
    for name in names:
        rows = digest(runs[name], reference, saved)
        points = figures(runs[name], rows, None)
        resampled[name] = [figures(runs[name], rows, lambda k, t=times: t.get(group_of[k], 0)) for times in draws]
        table[name] = points
    return estimates(names, table, resampled, percentiles), runs, len(set(group_of.values()))


def generated(kind, names, saved):
    runs = [run({"generate": GENERATE}, [("unbounded", tiers(BASE, "unbounded"))] + [(n, tiers(n, kind, ("32 GB", "64 GB"))) for n in names], s)
            for s in range(1, SEEDS + 1)]
    each = {n: [figures(r[n], digest(r[n], r["unbounded"], saved), None) for r in runs] for n in names}
    table = {n: [sum(column) / SEEDS for column in zip(*rows)] for n, rows in each.items()}
    return estimates(names, table, each, student), runs[0], SEEDS


def estimates(names, table, samples, between):
    out = {}
    for name in names:
        out[name] = []
        for f in range(len(FIGURES)):
            own = [s[f] for s in samples[name]]
            out[name].append((table[name][f], *compare(own, [s[f] for s in samples[BASE]], between)))
    return out


def meaning_table(found, names, clairvoyant):
    lines = ["| policy | " + " | ".join(FIGURES) + " |", "|---|" + "---:|" * len(FIGURES)]
    for name in sorted(names, key=lambda n: (found[n][3][0], n)):
        cells = []
        for value, low, high, significant in found[name]:
            mark = "" if significant or name == BASE else " ="
            cells.append(f"{value:.3g} ({low:.3g} to {high:.3g}){mark}")
        lines.append(f"| {name}{' *' if name in clairvoyant else ''} | " + " | ".join(cells) + " |")
    return lines


def tiers_table(runs, names):
    lines = ["| policy | hit hbm % | dram % | ssd % | up: dram GB | ssd GB | down: dram GB | ssd GB | ssd writes/day |",
             "|---|" + "---:|" * 8]
    for name in sorted(names, key=lambda n: (-sum(runs[n][0]["reuse"]["hit_tokens"].values()), n)):
        v = runs[name][0]
        hits, prompt = v["reuse"]["hit_tokens"], v["reuse"]["prompt_tokens"]
        sums = {t["tier"]: t for t in v["tiers"]}
        lines.append(f"| {name} | " + " | ".join(f"{100 * hits[t] / prompt:.1f}" for t in ("hbm", "dram", "ssd")) + " | " + " | ".join(
            f"{sums[t][b] / 1e9:.1f}" for b in ("read_bytes", "written_bytes") for t in ("dram", "ssd"))
            + f" | {v['cost']['drive_writes_per_day'].get('ssd', 0):.0f} |")
    return lines


def distance_table():
    """Saved prefill of each policy in a replay of the whole trace, as a share of the bound."""
    words = [PROGRAM, "cache", TRACE, "--policy", "all", "--size", "4000,16000", "--semantics", "prefix", "--queue", "64", "--bound", "--json"]
    answer = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    bounds = {b["size"]: b for b in answer["bounds"]}
    saved = {}
    for r in answer["results"]:
        if r["policy"] != "skeleton":
            saved.setdefault(r["policy"], {})[r["size"]] = bounds[r["size"]]["prompts_s"] - r["computed_s"]
    lines = ["| policy | " + " | ".join(f"{s:,} blocks: saved s | of the bound %" for s in bounds) + " |", "|---|" + "---:|---:|" * len(bounds),
             "| *bound* | " + " | ".join(f"{b['saved_at_most_s']:.0f} | 100" for b in bounds.values()) + " |"]
    for name in sorted(saved, key=lambda n: (-saved[n][4000], n)):
        lines.append(f"| {name} | " + " | ".join(f"{v:.0f} | {100 * v / bounds[s]['saved_at_most_s']:.1f}" for s, v in saved[name].items()) + " |")
    return lines


def main():
    listed = json.loads(subprocess.run([PROGRAM, "list", "policies", "--json"], check=True, capture_output=True, text=True).stdout)
    evict = [p for p in listed["policies"] if p.get("kind") == "evict" and p["name"] not in LEFT_OUT]
    clairvoyant = {p["name"] for p in evict if p["clairvoyant"]}
    names = [p["name"] for p in evict]
    saved = prefill_table(140000)
    page = ["# What an eviction policy means", "",
            "Written by `tools/policies_meaning.py`. Llama-3.1-8B, an instance an H100, 18 GB of KV in its HBM (recorded: 8 instances, 512 GB of DRAM,",
            "1 TB of SSD; generated: 2 instances, 32 GB, 64 GB; DRAM is written as HBM fills, SSD when DRAM evicts), blocks of 128 tokens; the policy stands in every tier. SLO: TTFT 2 s, TPOT 100 ms. In brackets 95 % intervals; `=`: not significantly",
            f"different from LRU on the same requests ({len(names) - 1} comparisons a column: one or two go astray by chance). `*` sees the future.",
            "*prefill saved*: seconds on an idle instance for the tokens that hit. *miss penalty*: TTFT minus that of the same request where HBM",
            "holds everything, mean over the requests that missed. All at one load: $/Mtok differs by wear and by how long the last requests take;",
            "*in SLO* counts the tokens of requests that keep it. `queue-window` knows the requests that wait, as a real fleet does; costs are of the",
            "run's own step model. Mooncake's trace names no sessions, so that `continuation`, `kvflow`, `spare-tail` and `continuum` know of no turns",
            "there; the agents' does. Generated sessions have no future: clairvoyant policies are refused there, and left out; nor do they call tools.", "",
            "What to see, and why:",
            "- Three tiers level most policies out: in the recorded window those within a point of LRU's hits do not differ from it in TTFT p99,",
            "  and seeing the future gains about a point of hits.",
            "- Policies that scatter their victims over a prefix (random, LHD, W-TinyLFU) lose more than they do flat: one gap costs all behind it.",
            "- Admission by second hit writes a tenth of the bytes, and costs more than half of the hits: a block's first return finds nothing.",
            "- Exclusive tiers do not clearly hit more here: what a load drops below, the next eviction writes again (more bytes go down to DRAM).",
            "- Drive writes a day are those of a short window at full pace on a drive of 1 TB: for comparing policies, not for planning.", ""]
    rows = []
    found, runs, count = recorded("inclusive", names, saved)
    page += [f"## {TRACE}, the first {WINDOW_S} s, resampled over {count:,} root chains", ""] + meaning_table(found, names, clairvoyant) + [""]
    rows += [("recorded", n, f, *found[n][i]) for n in names for i, f in enumerate(FIGURES)]
    found, inclusive, count, exclusive = agents(names, saved)
    page += [f"## Agentic sessions as recorded, the first {AGENTS_S} s, 64 GB of DRAM and 128 GB of SSD, resampled over {count:,} sessions", "",
             "More load than eight GPUs can serve in time, so that queues magnify what a policy saves. The recorded trace runs open loop, and contexts",
             "longer than the model takes are rejected.", ""]
    page += meaning_table(found, names, clairvoyant) + [""]
    page += ["Who sees the future does not lead: in inclusive tiers the same policy keeps the same blocks in each, the more so the better it knows",
             "what comes. Where a block is in one tier only, they gain most:", "", "Inclusive, as above:", ""] + tiers_table(inclusive, AGENTS_SHOWN)
    page += ["", "Exclusive:", ""] + tiers_table(exclusive, AGENTS_SHOWN) + [""]
    rows += [("agents", n, f, *found[n][i]) for n in names for i, f in enumerate(FIGURES)]
    open_loop = [n for n in names if n not in clairvoyant]
    found, _, count = generated("inclusive", open_loop, saved)
    page += [f"## Generated sessions, {count} paired seeds", ""] + meaning_table(found, open_loop, clairvoyant) + [""]
    rows += [("generated", n, f, *found[n][i]) for n in open_loop for i, f in enumerate(FIGURES)]
    some = [n for n in ("lru", "fifo", "arc", "s3fifo", "lirs", "gdsf", "belady") if n in names]
    for kind, words in (("inclusive", "DRAM as HBM fills, SSD on eviction from DRAM"),
                        ("eviction", "inclusive, both on eviction"), ("exclusive", "exclusive, both on eviction"),
                        ("second-hit", "inclusive, DRAM as HBM fills, admission second-hit before both")):
        picked = runs if kind == "inclusive" else run({"trace": TRACE, "duration": f"{WINDOW_S} s"},
                                                      [(n, tiers(n, kind)) for n in some], 1)
        page += [f"## Across tiers, mooncake's trace: {words}", ""] + tiers_table(picked, some) + [""]
    page += ["## Distance to optimal: the whole trace, replayed request by request", "",
             "Blocks of 512 tokens, all tiers as one pool; seconds of prefill as `tiersim cache` prices them. The bound is that of",
             "`sim/memory/saving_bound.c`; `belady` evicts, of the leaves, the one asked for last, and is no proven optimum here.", ""]
    page += distance_table() + [""]
    with open(f"{OUT}/meaning.csv", "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["load", "policy", "figure", "value", "low", "high", "significant"])
        out.writerows((a, b, c, *(f"{v:.6g}" for v in (d, e, f)), int(g)) for a, b, c, d, e, f, g in rows)
    with open(f"{OUT}/meaning.md", "w", encoding="utf-8") as file:
        file.write("\n".join(page[:-1]) + "\n")


if __name__ == "__main__":
    main()
