"""Rules about who writes."""

import itertools
from collections.abc import Iterable
from functools import lru_cache

import re2

from moderation.hosts import ascii_host
from moderation.model import Submission
from moderation.screening.folding import name_key, visible
from moderation.screening.outcome import Facts, Reason
from moderation.screening.rulebook import Rulebook, known_disposable, parents

# Whatever reads as a host: after a scheme and user information or by itself, in any script. RE2, because it is linear.
_HOST = re2.compile(r"(?:[\p{L}\p{N}][\p{L}\p{N}\p{M}-]*[.。．])+\p{L}[\p{L}\p{N}\p{M}-]+")
_HOSTS_MAX = 200


def _hosts(said: Submission) -> Iterable[str]:
    """Of the address, the url field and the text, as they are looked up."""
    if said.email:
        yield _domain(said.email)
    for text in (said.url, said.text):
        if "." in text or "。" in text or "．" in text:
            for match in itertools.islice(_HOST.finditer(visible(text)), _HOSTS_MAX):
                yield _looked_up(match[0])


def _looked_up(host: str) -> str:
    try:
        return ascii_host(host).rstrip(".")
    except ValueError:
        return host.lower()


def _domain(email: str) -> str:
    return _looked_up(email.rpartition("@")[2])


def allowed(said: Submission, facts: Facts, book: Rulebook) -> Reason | None:
    """Somebody on the allow-list: what block-lists find is overruled. An address that was only typed proves nothing."""
    if not (book.allow.authors or book.allow.domains or book.allow.networks):
        return None
    proved = facts.identified or facts.confirmed
    hosts = [_domain(said.email)] if said.email and proved else []
    found = book.allow.find(facts.author if proved else "", facts.address, hosts, facts.at)
    return Reason("allow_list", "publish", f"{found.kind} {_shown(found.kind, found.value)}") if found else None


def _shown(kind: str, value: str) -> str:
    return value[:8] if kind == "author" else value


def blocked(said: Submission, facts: Facts, book: Rulebook) -> Reason | None:
    """A blocked author, network or domain, as long as the block lasts."""
    blocks = book.blocks
    if not (blocks.authors or blocks.domains or blocks.networks):
        return None
    found = blocks.find(facts.author, facts.address, _hosts(said) if blocks.domains else (), facts.at)
    if found is None:
        return None
    outcome = getattr(found, "outcome", "spam")
    note = f": {found.note}" if found.note else ""
    return Reason("blocks", outcome, f"{found.kind} {_shown(found.kind, found.value)}{note}")


@lru_cache(maxsize=2048)
def _is_disposable(domain: str) -> bool:
    return any(parent in known_disposable() for parent in parents(domain))


def disposable(said: Submission, _: Facts, book: Rulebook) -> Reason | None:
    """An address of a throw-away mail service."""
    if not said.email or book.policy.disposable is None:
        return None
    domain = _domain(said.email)
    if _is_disposable(domain) or (book.disposable and any(parent in book.disposable for parent in parents(domain))):
        return Reason("disposable", book.policy.disposable, domain)
    return None


def impersonation(said: Submission, facts: Facts, book: Rulebook) -> Reason | None:
    """A name that looks like one that is kept, a moderator's, or a regular's with another address."""
    outcome = book.policy.impersonation
    if facts.identified or not said.name or not (book.names or outcome):
        return None
    key = name_key(said.name)
    if key in book.names:
        return Reason("impersonation", outcome or "hold", "the name is kept for somebody else")
    if outcome and key and any(key == name_key(name) for name in facts.moderators):
        return Reason("impersonation", outcome, "the name looks like a moderator's")
    if outcome and facts.name_owner and facts.name_owner != facts.author:
        return Reason("impersonation", outcome, "the name looks like a regular's, who has another address")
    return None


def first_time(said: Submission, facts: Facts, book: Rulebook) -> Reason | None:
    """No comment of this author was approved before. Who gives no address has no past."""
    known = facts.approved and (said.email or facts.identified)
    if book.policy.first_time and not known:
        return Reason("first_time", book.policy.first_time, "no approved comment yet")
    return None
