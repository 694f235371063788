"""What the whole list of rules costs, beside a bare aiohttp form handler in the same process of measuring.

    python -m tests.benchmark.screening

400 characters in three scripts against 1,000 list entries, and 65,525 characters of the kinds that are worst.
"""

import random
import statistics
import subprocess
import sys
import time

from moderation.model import Submission
from moderation.policy import Policy
from moderation.screening import Facts, active, folding, screen
from moderation.screening.rulebook import compile_policy
from tests.benchmark.submissions import answers, load
from tests.service import free_port, until

ALPHABETS = {"Arabic": "ابتثجحخدذرزسشصضطظعغفقكلمنهوي", "English": "abcdefghijklmnopqrstuvwxyz", "Cyrillic": "абвгдежзиклмнопрстуфхцчшщыэюя"}  # fmt: skip
WORST = {
    "Arabic words": "كلمة طويلة " * 6000, "one letter": "a" * 65_525, "links": "http://a.b " * 5900, "zalgo": "ẗ̴̘́ͅ" * 9000, "letters apart": "a." * 32_000,
    "capitals": "A" * 65_525, "controls": "\u2066" * 65_525, "salutations": "\ufdfa" * 65_525,
}  # fmt: skip
ROUNDS = 3000
_dice = random.Random(5)


def word(alphabet: str) -> str:
    return "".join(_dice.choice(alphabet) for _ in range(_dice.randint(3, 9)))


def policy() -> Policy:
    entries = [word(ALPHABETS[name]) for name in ("Arabic", "English") for _ in range(495)] + ["/(a+)+$/"] * 10
    return Policy.model_validate(
        {
            "mode": "publish_unless_flagged",
            "words": [{"outcome": "spam", "entries": entries}],
            "blocks": [{"kind": "domain", "value": f"d{n}.example"} for n in range(200)],
            "languages": ["ar", "en", "ru"],
            "names": ["Admin"],
        }
    )


def bare() -> float:
    """µs of CPU that the bare form handler of tests/benchmark/bare.py takes for a request, under wrk."""
    port = free_port()
    server = subprocess.Popen([sys.executable, "-m", "tests.benchmark.bare", str(port)])
    try:
        until("the baseline to answer", lambda: answers(port))
        slices = [load(f"http://127.0.0.1:{port}/comments", server.pid, 64) for _ in range(4)]
    finally:
        server.kill()
        server.wait()
    return statistics.median(found.cpu_us for found in slices[1:])


def rules(text: str, rounds: int) -> float:
    """µs of all rules, nothing remembered of the text from before."""
    made = policy()
    book, wanted = compile_policy(made), active(made)
    said = Submission("ليلى", "layla@example.net", "", text, "41", locale="ar")
    facts = Facts(at=time.time(), author="a" * 24, address="192.0.2.1", approved=1)
    screen(said, facts, book, wanted)
    total = 0.0
    for _ in range(rounds):
        folding.fold.cache_clear()
        folding.disguised.cache_clear()
        started = time.perf_counter()
        screen(said, facts, book, wanted)
        total += time.perf_counter() - started
    return total / rounds * 1e6


def main() -> None:
    base = bare()
    print(f"bare form handler            {base:7.0f} µs of CPU")
    for name, alphabet in ALPHABETS.items():
        text = " ".join(word(alphabet) for _ in range(80))[:400]
        cost = rules(text, ROUNDS)
        print(f"400 characters, {name:9}    {cost:7.0f} µs   {cost / base:.1f} × bare")
    for name, text in WORST.items():
        print(f"65,525 characters, {name:14} {rules(text[:65_525], 5) / 1000:5.1f} ms")


if __name__ == "__main__":
    main()
