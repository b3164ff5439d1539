#!/usr/bin/env python3
"""Intervals of 95 % for comparisons of policies, and a check that they hold what they promise. Standard library only.
Usage: tools/intervals.py   (the check: known cases, and how often 95 % are 95 %; used as a module by policies_meaning.py)

- recorded load: a block bootstrap. Whole sessions are drawn with replacement, the same draws for all policies, since requests
  of one session are alike: drawing requests would make intervals too narrow. The interval is between percentiles.
- generated load: Student's t over seeds.
Either is also taken of the paired difference from a base; where that interval has 0 outside, the difference is significant."""
import math
import random

# Student's t, 97.5 %, by degrees of freedom.
T95 = {3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 11: 2.201, 15: 2.131, 19: 2.093}


def percentiles(values):
    """Between 2.5 and 97.5 % of the values."""
    ordered = sorted(values)
    return ordered[int(0.025 * len(ordered))], ordered[int(0.975 * len(ordered))]


def student(values):
    mean = sum(values) / len(values)
    half = T95[len(values) - 1] * math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1) / len(values))
    return mean - half, mean + half


def session_draws(sessions, count, seed=1):
    """`count` draws of as many sessions as there are: {session: how often}."""
    dice, draws = random.Random(seed), []
    ordered = sorted(set(sessions), key=str)
    for _ in range(count):
        times = {}
        for session in dice.choices(ordered, k=len(ordered)):
            times[session] = times.get(session, 0) + 1
        draws.append(times)
    return draws


def compare(own, base, between):
    """(low, high, significant): of one figure, by samples that are paired with those of the base."""
    low, high = between(own)
    diff_low, diff_high = between([a - b for a, b in zip(own, base)])
    return low, high, diff_low > 0 or diff_high < 0


def check_student():
    low, high = student([1, 2, 3, 4, 5, 6, 7, 8])  # mean 4.5, sd sqrt(6), half 2.365 * sqrt(6 / 8)
    assert abs(low - (4.5 - 2.365 * math.sqrt(0.75))) < 1e-12 and abs(high + low - 9) < 1e-12
    dice = random.Random(2)
    # Two policies that are the same but for noise, over seeds that differ much more than they do; then one that is better.
    for shift, least, most in ((0, 0.03, 0.07), (1, 0.2, 0.9), (3, 0.99, 1)):
        marked, rounds = 0, 3000
        for _ in range(rounds):
            seeds = [dice.gauss(100, 50) for _ in range(8)]
            base = [s + dice.gauss(0, 1) for s in seeds]
            own = [s + shift + dice.gauss(0, 1) for s in seeds]
            marked += compare(own, base, student)[2]
        print(f"student: a difference of {shift} sd is marked in {100 * marked / rounds:.1f} % of 3000 comparisons")
        assert least <= marked / rounds <= most


def mean_of(requests, times):
    count = sum(times[s] for s, _ in requests if s in times)
    return sum(times[s] * v for s, v in requests if s in times) / count


def check_bootstrap():
    """Sessions of 1 to 12 requests that share most of what they are: the mean's interval should hold the truth in 95 %."""
    dice, rounds, held, held_apart, marked = random.Random(3), 150, 0, 0, 0
    for _ in range(rounds):
        requests, twin = [], []
        for session in range(60):
            own = dice.gauss(10, 2)
            for _ in range(dice.randint(1, 12)):
                value = own + dice.gauss(0, 0.5)
                requests.append((session, value))
                twin.append((session, value + dice.gauss(0, 0.5)))  # another policy, no better
        draws = session_draws([s for s, _ in requests], 200, dice.random())
        samples = [mean_of(requests, d) for d in draws]
        low, high = percentiles(samples)
        held += low <= 10 <= high
        marked += compare([mean_of(twin, d) for d in draws], samples, percentiles)[2]
        alone = list(enumerate(v for _, v in requests))  # as if each request were a session of its own
        low, high = percentiles([mean_of(alone, d) for d in session_draws([s for s, _ in alone], 200, dice.random())])
        held_apart += low <= 10 <= high
    print(f"bootstrap: {100 * held / rounds:.0f} % of intervals hold the mean; drawing requests, {100 * held_apart / rounds:.0f} %; "
          f"equal policies marked in {100 * marked / rounds:.0f} %")
    assert 0.88 <= held / rounds <= 1 and held_apart / rounds < 0.75 and marked / rounds <= 0.12


if __name__ == "__main__":
    check_student()
    check_bootstrap()
