"""What every handler works with, by typed keys."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from jinja2 import Environment
from prometheus_client import CollectorRegistry
from prometheus_client import Counter as PrometheusCounter

from moderation.letters import Letters
from moderation.model import Site
from moderation.screening import Rule, active
from moderation.screening.rulebook import Rulebook, compile_policy
from moderation.settings import Settings
from moderation.store import sites
from moderation.store.connection import Store
from moderation.submission import origin_of
from moderation.web.origins import Foreign, Proxies


@dataclass(slots=True)
class Metrics:
    """Counters of this process; what is in Redis is counted when asked for."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    decisions: PrometheusCounter = field(init=False)
    submissions: Counter[int] = field(
        default_factory=Counter
    )  # by status; plain, because it is counted on the hot path

    def __post_init__(self) -> None:
        self.decisions = PrometheusCounter(
            "moderation_decisions", "Decisions by kind.", ["decision"], registry=self.registry
        )


@dataclass(slots=True)
class Context:
    """One per process."""

    settings: Settings
    store: Store
    templates: Environment
    letters: Letters
    metrics: Metrics = field(default_factory=Metrics)
    draining: bool = False
    listeners: int = 0  # of the live queue
    proxies: Proxies = field(init=False)
    foreign: Foreign = field(default_factory=Foreign)
    base_url: str = field(init=False)
    own_origin: str = field(init=False)  # of our own pages: the error page posts again
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    site_cache: dict[str, tuple[Site, str]] = field(default_factory=dict)
    rule_cache: dict[str, tuple[str, Rulebook, tuple[Rule, ...]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.proxies = Proxies(self.settings.trusted_proxies)
        self.base_url = self.settings.base_url
        self.own_origin = origin_of(self.base_url)

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it after the answer; at the end of the process it is waited for."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def finish(self) -> None:
        """Wait for what was left for later."""
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def site(self, site_id: str, *, fresh: bool = False) -> tuple[Site, str]:
        """The site and its version; a copy is safe where a script checks the version. Raises NotFound."""
        if fresh or site_id not in self.site_cache:
            self.site_cache.pop(site_id, None)
            found = await sites.load(self.store, site_id)
            if len(self.site_cache) > 10_000:
                self.site_cache.clear()
            self.site_cache[site_id] = found
        return self.site_cache[site_id]

    def rules(self, site: Site, version: str) -> tuple[Rulebook, tuple[Rule, ...]]:
        """The site's policy, made ready once per version."""
        known = self.rule_cache.get(site.id)
        if known is None or known[0] != version:
            if len(self.rule_cache) > 1000:
                self.rule_cache.clear()
            known = self.rule_cache[site.id] = version, compile_policy(site.policy), active(site.policy)
        return known[1], known[2]


CONTEXT = web.AppKey("CONTEXT", Context)
