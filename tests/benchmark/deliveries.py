"""Webhook deliveries: how many a second against a bare aiohttp client, how soon after the decision, and what a hanging receiver costs the others.

    python -m tests.benchmark.deliveries [--rounds 5] [--comments 300]

The worker and the bare client post to the same receiver, one after the other in shuffled rounds; latencies are taken with and without a
receiver that hangs, in turns.
"""

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.service import Service, free_port, until

ENDPOINTS, BARE_CONCURRENCY = 10, 50


def receiver_main(port: int) -> None:
    """A receiver in a process of its own: counts, and remembers when each comment came first."""
    came: dict[str, float] = {}
    count = 0

    async def hook(request: web.Request) -> web.Response:
        nonlocal count
        raw = await request.read()
        count += 1
        if request.path == "/timed":
            came.setdefault(json.loads(raw)["data"]["comment"]["id"], time.time())
        return web.Response()

    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    async def stats(_: web.Request) -> web.Response:
        return web.json_response({"count": count, "came": came})

    app = web.Application()
    app.router.add_get("/stats", stats)
    app.router.add_post("/hang", hang)
    app.router.add_post("/{_:.*}", hook)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None, handler_cancellation=True)


class Bench:
    """The service without workers, the receiver, and a worker when wanted."""

    def __init__(self, service: Service, port: int) -> None:
        self.service, self.port = service, port

    def stats(self) -> dict[str, Any]:
        import urllib.request

        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/stats", timeout=20) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found

    def endpoint(self, site: str, where: str) -> None:
        fields = {"url": f"http://127.0.0.1:{self.port}{where}", "max_in_flight": 50, "rate_per_second": 1000}
        assert self.service.send("POST", f"/api/v1/sites/{site}/endpoints", fields).status == 201

    def approved(self, site: str) -> str:
        comment_id: str = self.service.comment(site)["id"]
        self.service.decide(comment_id, "approve")
        return comment_id

    @contextmanager
    def worker(self) -> Iterator[None]:
        url = (self.service.data / "redis.url").read_text()
        environ = {"MODERATION_REDIS_URL": url, "MODERATION_EGRESS_ALLOW": "127.0.0.0/8", "MODERATION_DATA_DIR": str(self.service.data), "MODERATION_LOG_LEVEL": "warning", "PATH": ""}  # fmt: skip
        process = subprocess.Popen([sys.executable, "-m", "workers"], env=environ)
        try:
            yield
        finally:
            process.terminate()
            process.wait()


def drained(bench: Bench, count: int) -> float:
    """Deliveries a second of one worker over a backlog; its start is left out."""
    site = bench.service.site()
    for n in range(ENDPOINTS):
        bench.endpoint(site, f"/hook{n}")
    for _ in range(count):
        bench.approved(site)
    before = bench.stats()["count"]
    with bench.worker():
        until("the first delivery", lambda: bench.stats()["count"] > before, 60)
        started, first = time.monotonic(), bench.stats()["count"]
        until("all deliveries", lambda: bench.stats()["count"] >= before + count * ENDPOINTS, 120)
        return float((before + count * ENDPOINTS - first) / (time.monotonic() - started))


def bare(bench: Bench, count: int) -> float:
    """Posts a second of a bare aiohttp client."""
    body = json.dumps({"type": "comment.approved", "data": {"text": "شكراً على التقرير" * 10}}).encode()

    async def run() -> float:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            left = iter(range(count * ENDPOINTS))

            async def post() -> None:
                for _ in left:
                    async with session.post(
                        f"http://127.0.0.1:{bench.port}/bare", data=body, headers={"content-type": "application/json"}
                    ) as answer:
                        await answer.read()

            started = time.monotonic()
            await asyncio.gather(*[post() for _ in range(BARE_CONCURRENCY)])
            return count * ENDPOINTS / (time.monotonic() - started)

    return asyncio.run(run())


def latencies(bench: Bench, site: str, per_second: float, count: int) -> list[float]:
    """Ms from the decision's answer to the receipt."""
    decided: dict[str, float] = {}
    ids = [bench.service.comment(site)["id"] for _ in range(count)]
    start = time.monotonic()
    for number, comment_id in enumerate(ids):
        time.sleep(max(0.0, start + number / per_second - time.monotonic()))
        decided[comment_id] = time.time()
        threading.Thread(target=bench.service.decide, args=(comment_id, "approve")).start()
    came = until(
        "all receipts",
        lambda: ids[-1] in (found := bench.stats()["came"]) and all(i in found for i in ids) and found,
        60,
    )
    return [(came[i] - decided[i]) * 1000 for i in ids]


def percentile(found: list[float], share: float) -> float:
    return sorted(found)[min(len(found) - 1, int(len(found) * share))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--comments", type=int, default=300)
    parser.add_argument("--receiver", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.receiver:
        receiver_main(options.receiver)
        return
    with tempfile.TemporaryDirectory() as folder:
        service = Service(Path(folder), {"MODERATION_LOG_LEVEL": "warning"}, ("serve", "--no-workers")).start()
        port = free_port()
        receiver = subprocess.Popen([sys.executable, "-m", "tests.benchmark.deliveries", "--receiver", str(port)])
        bench = Bench(service, port)
        try:
            until("the receiver", lambda: _answers(bench))
            ratios, rates = [], []
            for _ in range(options.rounds):
                found = {}
                for name in random.sample(["bare", "worker"], 2):
                    found[name] = (bare if name == "bare" else drained)(bench, options.comments)
                ratios.append(found["worker"] / found["bare"])
                rates.append(found["worker"])
            print(f"one worker, {ENDPOINTS} endpoints: {statistics.median(rates):.0f} deliveries/s; to a bare client {statistics.median(ratios):.2f} (rounds {min(ratios):.2f} to {max(ratios):.2f})")  # fmt: skip
            with bench.worker():
                _print_latencies(bench, options.rounds)
        finally:
            receiver.terminate()
            receiver.wait()
            service.stop()


def _print_latencies(bench: Bench, rounds: int) -> None:
    alone, beside = bench.service.site(), bench.service.site()
    bench.endpoint(alone, "/timed")
    bench.endpoint(beside, "/timed")
    bench.endpoint(beside, "/hang")
    latencies(bench, alone, 50, 50)  # warms up
    quiet: list[float] = []
    hung: list[float] = []
    for _ in range(rounds):
        quiet += latencies(bench, alone, 50, 100)
        hung += latencies(bench, beside, 50, 100)
    for name, found in (("alone", quiet), ("beside one that hangs", hung)):
        print(f"decision to receipt at 50/s, {name:22} p50 {percentile(found, .5):.1f} ms  p95 {percentile(found, .95):.1f} ms  p99 {percentile(found, .99):.1f} ms")  # fmt: skip
    busy = [ms for _ in range(rounds) for ms in latencies(bench, alone, 200, 400)]
    print(f"decision to receipt at 200/s, alone                 p50 {percentile(busy, .5):.1f} ms  p95 {percentile(busy, .95):.1f} ms  p99 {percentile(busy, .99):.1f} ms")  # fmt: skip
    print(f"p95 beside ÷ p95 alone: {percentile(hung, 0.95) / percentile(quiet, 0.95):.2f}")


def _answers(bench: Bench) -> bool:
    try:
        return bench.stats()["count"] == 0
    except OSError:
        return False


if __name__ == "__main__":
    main()
