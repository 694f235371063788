"""Rules about who writes."""

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import urlsplit

from moderation.model import Submission
from moderation.screening.folding import name_key
from moderation.screening.outcome import Facts, Reason
from moderation.screening.rulebook import Rulebook, known_disposable, parents

_HOST = re.compile(r"https?://([^\s/?#:\"'<>]{1,253})|\bwww\.([^\s/?#:\"'<>]{1,249})", re.IGNORECASE)
_HOSTS_MAX = 100


def _hosts(said: Submission) -> Iterable[str]:
    """Of the address, the url field and the links, in lower case."""
    if said.email:
        yield _domain(said.email)
    if said.url:
        yield (urlsplit(said.url).hostname or "").rstrip(".")
    if "://" in said.text or "www." in said.text:
        for number, match in enumerate(_HOST.finditer(said.text)):
            if number >= _HOSTS_MAX:
                break
            yield (match[1] or match[2]).rpartition("@")[2].lower().rstrip(".")


def _domain(email: str) -> str:
    return email.rpartition("@")[2].lower()


def allowed(said: Submission, facts: Facts, book: Rulebook) -> Reason | None:
    """Somebody on the allow-list: what block-lists find is overruled. Only what can't be typed by others counts as an author."""
    if not (book.allow.authors or book.allow.domains or book.allow.networks):
        return None
    hosts = [_domain(said.email)] if said.email else []
    author = facts.author if facts.identified or facts.confirmed else ""
    found = book.allow.find(author, facts.address, hosts, facts.at)
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


def first_time(_: Submission, facts: Facts, book: Rulebook) -> Reason | None:
    """No comment of this author was approved before."""
    if book.policy.first_time and not facts.approved:
        return Reason("first_time", book.policy.first_time, "no approved comment yet")
    return None
