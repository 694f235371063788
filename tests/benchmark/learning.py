"""How well the learned risk does on labelled comments: each is scored before it is learned, in order, as at a desk.

    python -m tests.benchmark.learning FILE.csv …      # columns CONTENT, CLASS (1: spam), AUTHOR; such as the YouTube Spam Collection (UCI)

Prints precision and recall of the second half, and the share of the desk's work that would be saved with nothing wrongly hidden.
"""

import csv
import math
import random
import sys
from collections.abc import Iterable
from pathlib import Path

from moderation.screening import learning

Sample = tuple[str, str, bool]


def step(weights: dict[int, float], found: list[int], label: bool, rate: float = learning.RATE) -> None:
    """What lua/learn.lua does."""
    by = rate * (label - learning.risk(weights, found))
    weights[learning.BIAS] = weights.get(learning.BIAS, 0.0) + by * 0.1
    for index in found:
        weights[index] = weights.get(index, 0.0) + by / math.sqrt(len(found))


def read(paths: Iterable[Path]) -> list[Sample]:
    """(author, text, is spam)"""
    found = []
    for path in paths:
        with path.open(encoding="utf-8-sig", newline="") as file:
            found += [(row.get("AUTHOR", ""), row["CONTENT"], row["CLASS"] == "1") for row in csv.DictReader(file)]
    return found


def walk(samples: list[Sample]) -> list[tuple[float, bool]]:
    """(risk before it is learned, is spam) of each."""
    weights: dict[int, float] = {}
    scored = []
    for author, text, label in samples:
        found = learning.features(author, text, "", "")
        scored.append((learning.risk(weights, found), label))
        step(weights, found, label)
    return scored


def report(scored: list[tuple[float, bool]]) -> None:
    total, spam = len(scored), sum(label for _, label in scored)
    print(f"{total} comments, {spam} of them spam")
    for above in (0.5, 0.7, 0.8, 0.9, 0.95):
        hidden = [label for risk, label in scored if risk >= above]
        caught = sum(hidden)
        wrong = len(hidden) - caught
        precision = caught / len(hidden) if hidden else 1.0
        print(f"  spam above {above:.2f}: precision {precision:.3f}, recall {caught / max(spam, 1):.3f}, wrongly hidden {wrong}, work saved {len(hidden) / total:.2f}")  # fmt: skip
    highest_good = max((risk for risk, label in scored if not label), default=0.0)
    saved = sum(risk > highest_good for risk, _ in scored) / total
    print(f"  nothing wrongly hidden above {highest_good:.3f}: {saved:.2f} of the desk's work saved")


def main() -> None:
    samples = read(map(Path, sys.argv[1:]))
    if not samples:
        sys.exit(__doc__)
    random.Random(7).shuffle(samples)
    scored = walk(samples)
    report(scored[len(scored) // 2 :])


if __name__ == "__main__":
    main()
