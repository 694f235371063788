"""A policy made ready: lists compiled, networks parsed, names folded. Made once for each version of a site."""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from moderation.hosts import ascii_host
from moderation.policy import Named, Policy
from moderation.screening.folding import name_key
from moderation.screening.lists import Matcher, WrongPattern, compile_list, compile_words
from moderation.screening.outcome import SEVERITY

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@cache
def known_disposable() -> frozenset[str]:
    """Domains of throw-away mail services, one a line in disposable.txt."""
    lines = (Path(__file__).parent / "disposable.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))


@dataclass(frozen=True, slots=True)
class People:
    """Authors, networks and domains by name, each with everything that was set for it."""

    authors: Mapping[str, list[Named]] = field(default_factory=dict)
    domains: Mapping[str, list[Named]] = field(default_factory=dict)
    networks: tuple[tuple[Network, Named], ...] = ()

    @classmethod
    def of(cls, named: Iterable[Named]) -> "People":
        authors, domains, networks = dict[str, list[Named]](), dict[str, list[Named]](), list[tuple[Network, Named]]()
        for one in named:
            if one.kind == "author":
                authors.setdefault(one.value, []).append(one)
            elif one.kind == "domain":
                domains.setdefault(ascii_host(one.value).strip("."), []).append(one)
            else:
                networks.append((ipaddress.ip_network(one.value, strict=False), one))
        return cls(authors, domains, tuple(networks))

    def find(self, author: str, address: str, hosts: Iterable[str], at: float) -> Named | None:
        """The gravest that applies at this time."""
        found = list(self.authors.get(author, ())) if self.authors else []
        if self.domains:
            found += [one for host in hosts for parent in parents(host) for one in self.domains.get(parent, ())]
        if self.networks and address:
            try:
                ip: Any = ipaddress.ip_address(address.partition("/")[0])
            except ValueError:
                ip = None
            ip = getattr(ip, "ipv4_mapped", None) or ip
            found += [one for network, one in self.networks if ip and ip.version == network.version and ip in network]
        live = [one for one in found if one.until is None or _seconds(one.until) > at]
        return max(live, key=lambda one: SEVERITY[getattr(one, "outcome", "publish")], default=None)


def _seconds(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp()


def parents(host: str) -> Iterable[str]:
    """A host and every domain above it: a.b.example → itself, b.example, example."""
    while host:
        yield host
        host = host.partition(".")[2]


@dataclass(frozen=True, slots=True)
class Rulebook:
    """What rules look things up in."""

    policy: Policy
    lists: tuple[Matcher, ...] = ()
    allow_words: Any = None
    blocks: People = People()
    allow: People = People()
    disposable: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    asks_past: bool = False
    closes: bool = False  # whether any thread may be closed


def compile_policy(policy: Policy) -> Rulebook:
    """Raises WrongPattern for a list that can't be compiled."""
    return Rulebook(
        policy=policy,
        lists=tuple(compile_list(one) for one in policy.words if one.entries),
        allow_words=compile_words(policy.allow_words),
        blocks=People.of(policy.blocks),
        allow=People.of(policy.allow),
        disposable=frozenset(one.lower() for one in policy.disposable_domains),
        names=frozenset(filter(None, map(name_key, policy.names))),
        asks_past=policy.asks_past,
        closes=policy.mode == "closed" or bool(policy.threads) or policy.close_after_days is not None,
    )


def problems(policy: Policy) -> list[tuple[str, str]]:
    """(where, what) of each list that can't be compiled."""
    found = []
    for index, one in enumerate(policy.words):
        try:
            compile_list(one)
        except WrongPattern as error:
            found.append((f"policy.words.{index}", str(error)))
    try:
        compile_words(policy.allow_words)
    except WrongPattern as error:
        found.append(("policy.allow_words", str(error)))
    return found
