"""`moderation check`: tries what the settings lead to, and says what is wrong and how to mend it."""

from collections.abc import Callable

from moderation import service
from moderation.errors import ConfigurationError, Unavailable
from moderation.redis_address import CLUSTER, SENTINEL, RedisAddress
from moderation.settings import Settings
from moderation.store import sites
from moderation.store.connection import ReplyError, refused
from moderation.store.durability import inspect, reason
from workers import mail, smtp

Say = Callable[..., None]


async def run(settings: Settings, address: str, locale: str) -> bool:
    """Print each finding; whether all is well. With an address, a test mail goes there."""
    good = True

    def say(ok: bool, what: str, hint: str = "") -> None:
        nonlocal good
        good = good and ok
        print(("ok      " if ok else "WRONG   ") + what + (f"\n        {hint}" if hint and not ok else ""))

    settings.keys()
    say(True, "secret key")
    if not settings.secret_key:
        mode = (settings.data_dir / "secret.key").stat().st_mode & 0o777
        say(
            mode & 0o077 == 0, f"secret key file is private ({mode:o})", f"chmod 600 {settings.data_dir / 'secret.key'}"
        )
    await _check_redis(settings, say)
    await _check_mail(settings, say, address, locale)
    return good


async def _check_redis(settings: Settings, say: Say) -> None:
    try:
        async with service.store_of(settings) as store:
            say(True, "Redis answers" + (" (embedded)" if settings.redis_url is None else ""))
            found = await inspect(store.address, settings.redis_replicas_to_ack)
            _say_where(store.address, [str(node) for node in found.masters])
            for problem in found.problems:
                say(False, "Redis keeps everything", problem)
            for problem in found.away:
                say(False, "every master answers", problem)
            for problem in found.lacking:
                say(False, "as many replicas as asked for", problem)
            if not any("appendfsync" in found_one for found_one in (*found.warnings, *found.problems)):
                say(True, "Redis persists every write before it answers (appendfsync always)")
            for warning in found.warnings:
                print("note    " + warning)
            say(True, f"{len(await sites.names(store))} site(s)")
    except ConfigurationError as error:
        for problem in error.problems:
            say(False, "Redis answers", problem)
    except ReplyError as error:
        say(False, "Redis answers", refused(error).problems[0])
    except Unavailable as error:
        say(False, "Redis answers", "; ".join(filter(None, ["start it, or mend MODERATION_REDIS_URL", reason(error)])))


def _say_where(address: RedisAddress, masters: list[str]) -> None:
    if address.mode == SENTINEL:
        print(f"note    the sentinels name {masters[0]} as master of {address.group}")
    elif address.mode == CLUSTER:
        print(f"note    a cluster of {len(masters)} masters: {', '.join(masters)}")


async def _check_mail(settings: Settings, say: Say, address: str, locale: str) -> None:
    if not settings.smtp_url:
        print("note    no MODERATION_SMTP_URL: mails are kept and shown as undeliverable")
        if address:
            say(False, "the test mail was sent", "set MODERATION_SMTP_URL and MODERATION_MAIL_FROM")
        return
    say(bool(settings.mail_from), "a sender for mails", "set MODERATION_MAIL_FROM")
    if settings.public_url is None:
        print("note    no MODERATION_PUBLIC_URL: links in mails lead to " + settings.base_url)
    outcome = await smtp.Transport(settings.smtp_url.get_secret_value()).probe()
    say(outcome.ok, "the mail server answers", _mend(outcome.code, outcome.detail))
    if address and outcome.ok and settings.mail_from:
        outcome = await mail.send_test(settings, address, locale)
        say(outcome.ok, "the mail server took the test mail", _mend(outcome.code, outcome.detail))
        if outcome.ok:
            print("note    it may still be refused further on: look into the mailbox, and into its spam folder")


_MENDING = {
    "auth": "it refuses user or password; percent-encode / ? # @ : in MODERATION_SMTP_URL",
    "tls": "TLS fails: port 465 wants smtps://, port 587 smtp://; the certificate must be valid for the host's name",
    "connect": "is MODERATION_SMTP_URL right, and does a firewall let us through? many hosts block ports 25, 465 and 587",
    "sender": "it refuses MODERATION_MAIL_FROM as a sender; use an address of a domain that it sends for",
    "recipient": "it refuses the recipient",
    "later": "it asks to come again later; greylisting, or a limit of the provider",
    "refused": "it refuses the mail; is the sender's domain set up (SPF, DKIM)?",
    "unclear": "the connection ended while the mail was handed over; try again",
}


def _mend(code: str, detail: str) -> str:
    return " ".join(filter(None, [_MENDING.get(code, ""), f"({detail})" if detail else ""]))
