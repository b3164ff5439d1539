#!/usr/bin/env python3
"""How fast `tiersim cache` replays, policy by policy: writes results/policies/speed.md.
Usage: tools/policies_speed.py build/tests/bench/replay [RUNS]   (TIERSIM: the program, default build/tiersim; OUT: another folder)"""
import json
import os
import subprocess
import sys

OUT = os.environ.get("OUT", "results/policies")


def first_line(words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.split("\n")[0]


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))


def table(stream):
    lines = ["| policy | hit % | bytes of state a block | M accesses a CPU second | lowest to highest | target | met by |",
             "|---|---:|---:|---:|---:|---:|---:|"]
    for p in stream["policies"]:
        target = p.get("target", 0)
        met = f"{p['per_cpu_s'] / target:.1f}x" if target else ""
        lines.append(f"| {p['policy']} | {100 * p['hits'] / stream['accesses']:.1f} | {p['state_bytes']:.0f} | {p['per_cpu_s'] / 1e6:.1f} | "
                     f"{p['lowest'] / 1e6:.1f} to {p['highest'] / 1e6:.1f} | {f'{target / 1e6:.0f}' if target else ''} | {met} |")
    return lines


def main():
    runs = sys.argv[2] if len(sys.argv) > 2 else "5"
    answer = json.loads(subprocess.run([sys.argv[1], runs], check=True, capture_output=True, text=True).stdout)
    page = ["# How fast policies replay", "",
            f"Written by `tools/policies_speed.py` from `tests/bench/replay.c`; {machine()}, {os.cpu_count()} cores, {first_line(['gcc', '--version'])}, -O2.",
            "One core, from a converted trace (`FILE.blocks`), the whole process: reading and checking the file, the replay, and measuring the bytes of",
            f"state a block. CPU time, user and system, since others used the machine too; medians of {runs} runs, all policies in turn.", ""]
    for stream in answer["results"]:
        page += [f"## {stream['is']}: {stream['accesses']:,} accesses, {stream['capacity']:,} blocks", ""] + table(stream) + [""]
    with open(f"{OUT}/speed.md", "w", encoding="utf-8") as file:
        file.write("\n".join(page[:-1]) + "\n")


main()
