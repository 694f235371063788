"""The loop: take → deliver → settle. Knows neither HTTP nor SMTP.

A delivery is settled only after its outcome is known; a worker that dies in between leaves a lease that ends, and another
worker makes the delivery again under the same id. No fixed ticks: it sleeps until the next due time or a nudge.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Iterable, Mapping
from typing import Protocol

from moderation.errors import ModerationError
from moderation.log import get_logger
from moderation.public import iso
from moderation.store import nudges, outbox
from moderation.store.connection import ReplyError, Store
from moderation.store.outbox import Job
from workers import retry
from workers.retry import Outcome

log = get_logger(__name__)
IN_FLIGHT = 128
PER_LANE = 5
# Short, because the lane of a killed worker's deliveries may stand still so long; a live worker renews it while an attempt runs.
LEASE_MS = 6_000
RENEW_SECONDS = 2.0
SWEEP_SECONDS = 20.0  # looks at every partition this often, should a nudge be lost
DRAIN_SECONDS = 10.0  # at the end, for attempts that run; what then still runs is given back
# So many workers may die over a delivery in a row before it is put off like any failed attempt, without being tried. A worker that
# something else kills takes innocent deliveries with it: these go on by the schedule, and those that kill end as dead.
ABANDONED_MAX = 3
_AGAIN_SECONDS, _AGAIN_MAX_SECONDS = 0.1, 1.0  # after a partition was out of reach


class Sender(Protocol):
    """The seam between the engine and the two ways out."""

    async def deliver(self, job: Job) -> Outcome: ...


class Engine:
    """Runs until `stop` is called, then lets what is in flight end, and gives back what does not."""

    def __init__(self, store: Store, senders: Mapping[str, Sender]) -> None:
        self._store = store
        self._senders = senders
        self._running: set[asyncio.Task[None]] = set()
        self._leases: dict[str, tuple[Job, float]] = {}  # delivery → since when (monotonic)
        self._due = dict.fromkeys(range(store.partitions), 0.0)  # partition → monotonic time to look again
        self._pauses: dict[int, float] = {}  # partition out of reach → seconds until the look after the next
        self._probes: dict[int, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._stopping = False

    def stop(self) -> None:
        """Take nothing more."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Until stopped; survives any absence of Redis."""
        helpers = [
            asyncio.create_task(nudges.listen(self._store, self._nudged)),
            asyncio.create_task(self._renew()),
        ]
        while not self._stopping:
            await self._take_due()
            self._wake.clear()
            if self._stopping:  # told so while we were taking: the line above forgot it
                break
            if len(self._running) >= IN_FLIGHT:
                await self._wake.wait()
                continue
            wait = max(0.0, min(self._due.values()) - time.monotonic())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait)
        for task in (helpers[0], *self._probes.values()):
            task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=DRAIN_SECONDS)
        helpers[1].cancel()
        await self._give_back()

    async def _give_back(self) -> None:
        """What is still under way is broken off, and due again at once: another worker makes it under the same id."""
        left = [job for job, _ in self._leases.values()]
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await asyncio.gather(*[outbox.renew(self._store, job, 0) for job in left], return_exceptions=True)

    async def _take_due(self) -> None:
        now = time.monotonic()
        for partition, at in list(self._due.items()):
            if at > now or len(self._running) >= IN_FLIGHT:
                continue
            self._due[partition] = now + SWEEP_SECONDS  # a nudge during the call brings it forward again
            if partition not in self._pauses:
                await self._take(partition)
            elif partition not in self._probes:  # it may hang; those on other nodes of a cluster don't wait for it
                self._probes[partition] = asyncio.create_task(self._probe(partition))

    async def _take(self, partition: int) -> None:
        free = IN_FLIGHT - len(self._running)
        try:
            wait_ms, jobs = await outbox.take(self._store, partition, free, LEASE_MS, PER_LANE)
        except ModerationError as error:
            self._set_aside(partition, error)
            return
        if self._pauses.pop(partition, None) is not None:
            wait_ms = 0  # nudges went unheard in the absence, and one may have come while this answer was on its way
        if wait_ms >= 0:
            self._look_again(partition, wait_ms / 1000)
        for job in jobs:
            task = asyncio.create_task(self._process(job, partition))
            self._running.add(task)
            task.add_done_callback(self._ended)

    async def _probe(self, partition: int) -> None:
        try:
            await self._take(partition)
        finally:
            del self._probes[partition]
            self._wake.set()

    def _set_aside(self, partition: int, error: ModerationError) -> None:
        pause = self._pauses.get(partition, _AGAIN_SECONDS)
        if not self._pauses:
            problem = str(error)[:300] if isinstance(error, ReplyError) else error.code
            log.warning("outbox out of reach; trying again", partition=partition, problem=problem)
        self._pauses[partition] = min(pause * 2, _AGAIN_MAX_SECONDS)
        self._due[partition] = time.monotonic() + pause * (0.5 + random.random())  # noqa: S311  spreading, not secrecy

    def _nudged(self, partitions: Iterable[int]) -> None:
        for partition in partitions:
            if partition not in self._pauses:
                self._due[partition] = 0.0
                self._wake.set()

    def _look_again(self, partition: int, in_seconds: float) -> None:
        self._due[partition] = min(self._due[partition], time.monotonic() + in_seconds)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._wake.set()

    async def _renew(self) -> None:
        """Hold the leases of attempts that take long, until cancelled. Redis away: nobody else can take them either."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            late = time.monotonic() - RENEW_SECONDS
            await asyncio.gather(*[self._hold(job) for job, since in self._leases.values() if since <= late])

    async def _hold(self, job: Job) -> None:
        with contextlib.suppress(ModerationError):
            if not await outbox.renew(self._store, job, LEASE_MS):
                self._leases.pop(job.delivery_id, None)

    async def _process(self, job: Job, partition: int) -> None:
        self._leases[job.delivery_id] = job, time.monotonic()
        try:
            await self._attempt(job)
        finally:
            self._leases.pop(job.delivery_id, None)
        self._look_again(partition, 0.0)

    async def _attempt(self, job: Job) -> None:
        started = time.time()
        try:
            outcome = await self._senders[job.kind].deliver(job) if job.abandoned < ABANDONED_MAX else _abandoned(job)
        except Exception as error:  # a sender's mistake must not end the loop; it counts as a failed attempt
            log.exception("sender failed", kind=job.kind, delivery=job.delivery_id)
            outcome = Outcome(False, "internal", detail=type(error).__name__, spoke=False)
        step = retry.next_step(job.kind, outcome, job.attempts, job.failures, random.random)
        attempt = {
            "at": iso(int(started * 1000)),
            "ms": round((time.time() - started) * 1000),
            "ok": outcome.ok,
            "code": outcome.code,
            "status": outcome.status,
            "detail": outcome.detail,
            **outcome.log,
        }
        for pause in (0.1, 0.5, 1.0, 2.0, 4.0, 8.0):
            try:
                kept = await outbox.settle(self._store, job, step, attempt, external_id=outcome.external_id)
            except ModerationError:  # Redis is away: keep the outcome while the lease lasts
                await asyncio.sleep(pause)
                continue
            say = log.debug if outcome.ok and kept else log.info
            say("attempt", kind=job.kind, site=job.site, target=job.target, delivery=job.delivery_id, state=step.state if kept else "lost", code=outcome.code, status=outcome.status)  # fmt: skip
            break


def _abandoned(job: Job) -> Outcome:
    return Outcome(False, "abandoned", detail=f"{job.abandoned} workers ended in the middle of it", spoke=False)
