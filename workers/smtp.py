"""Bytes → a mail server, over a few connections that are used again; and what its answers mean (RFC 5321, RFC 3463)."""

import asyncio
import contextlib
import ipaddress
import re
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

from moderation.hosts import ascii_host
from moderation.privacy import mask_addresses
from workers.retry import Outcome

TIMEOUT_SECONDS, TOTAL_SECONDS = 30, 60  # of one step, which is all that aiosmtplib limits, and of all of them
CONNECTIONS, MAILS_PER_CONNECTION = 4, 100
IDLE_PROBE_SECONDS, IDLE_MAX_SECONDS = 15, 120
FAULT_PAUSE_SECONDS, AWAY_PAUSE_SECONDS = 60, 15
_ENHANCED = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
_HINT = re.compile(r"\b(\d{1,5})\s*(s|sec|secs|seconds?|m|min|mins|minutes?|h|hours?)\b", re.IGNORECASE)
_AUTH_CODES = frozenset({530, 534, 535, 538})
_UNKNOWN_CODES = frozenset({550, 551, 553})
_UNKNOWN = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"})  # RFC 3463, RFC 7505
_OF_THE_SENDER = re.compile(
    r"relay|sender|polic|spam|block|denied|permit|reject|\bspf\b|dkim|dmarc|list|reputation|auth|client|helo|rdns|\bip\b",
    re.IGNORECASE,
)
_SAID_MAX = 300
_NOT_IN_ADDRESSES = frozenset('<>()[]{},;:\\"')  # quoted local parts are not written to


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def connection_of(url: str) -> dict[str, Any]:
    """aiosmtplib's arguments of an SMTP address. TLS: implicit (smtps), required STARTTLS, or plain on loopback only.
    It is never left to the server whether there is any: that could be stripped on the way.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    implicit = parts.scheme == "smtps"
    wanted = parse_qs(parts.query).get("starttls", ["never" if _is_loopback(host) else "required"])[0]
    starttls = not implicit and wanted == "required"
    return {
        "hostname": host,
        "port": parts.port or (465 if implicit else 587 if starttls else 25),
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
        "use_tls": implicit,
        "start_tls": starttls,
        "timeout": TIMEOUT_SECONDS,
        "tls_context": ssl.create_default_context() if implicit or starttls else None,
    }


def wire_address(address: str) -> str:
    """With the domain in ASCII (IDNA); the local part stays as it is and may need SMTPUTF8 (RFC 6531).

    Raises ValueError for what is no single address.
    """
    local, _, domain = address.rpartition("@")
    odd = any(c.isspace() or not c.isprintable() or c in _NOT_IN_ADDRESSES for c in address)
    if odd or not local or not domain or "@" in local or address.startswith("-"):
        raise ValueError("not an address")
    return f"{local}@{ascii_host(domain)}"


@dataclass(slots=True)
class _Connection:
    client: aiosmtplib.SMTP
    used_at: float = 0.0
    mails: int = 0


class Transport:
    """One mail server. Use as an async context manager."""

    def __init__(self, url: str) -> None:
        self._arguments = connection_of(url)
        self._slots = asyncio.Semaphore(CONNECTIONS)
        self._idle: list[_Connection] = []

    async def __aenter__(self) -> "Transport":
        return self

    async def __aexit__(self, *_: object) -> None:
        for connection in self._idle:
            await _leave(connection)
        self._idle.clear()

    async def send(self, sender: str, recipient: str, mail: bytes) -> Outcome:
        """One message to one recipient; every failure is an Outcome."""
        said = _Sayer(recipient)
        async with self._slots:
            try:
                async with asyncio.timeout(TOTAL_SECONDS):
                    connection = await self._connected()
            except Exception as error:  # whatever keeps us from connecting is the finding
                return judge_connecting(error, said)
            outcome = await _speak(connection, sender, recipient, mail, said)
            if connection.client.is_connected and connection.mails < MAILS_PER_CONNECTION:
                connection.used_at = time.monotonic()
                self._idle.append(connection)
            else:
                await _leave(connection)
            return outcome

    async def probe(self) -> Outcome:
        """Connect, say hello, sign in."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await _leave(await self._connected())
        except Exception as error:
            return judge_connecting(error, _Sayer(""))
        return Outcome(True, "ok")

    async def _connected(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            idle = time.monotonic() - connection.used_at
            with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
                if connection.client.is_connected and idle < IDLE_MAX_SECONDS:
                    if idle > IDLE_PROBE_SECONDS:
                        await connection.client.noop()
                    return connection
            connection.client.close()
        client = aiosmtplib.SMTP(**self._arguments)
        try:
            await client.connect()
        except BaseException:
            client.close()
            raise
        return _Connection(client)


async def _leave(connection: _Connection) -> None:
    with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
        async with asyncio.timeout(2):
            await connection.client.quit()
    connection.client.close()


async def _speak(connection: _Connection, sender: str, recipient: str, mail: bytes, said: "_Sayer") -> Outcome:
    """MAIL, RCPT, DATA. A connection that failed in between is closed; one that only heard a refusal goes on after RSET."""
    client, handed_over = connection.client, False
    options = [] if recipient.isascii() else ["SMTPUTF8"]
    try:
        async with asyncio.timeout(TOTAL_SECONDS):
            if options and client.is_ehlo_or_helo_needed:
                await client.ehlo()
            if options and not client.supports_extension("SMTPUTF8"):
                return Outcome(
                    False, "recipient", detail="the mail server takes no such address (SMTPUTF8)", final=True
                )
            await client.mail(sender, options=options, encoding="utf-8" if options else "ascii")
            await client.rcpt(recipient, encoding="utf-8" if options else "ascii")
            connection.mails += 1
            handed_over = True
            await client.data(mail)
        return Outcome(True, "ok", 250)
    except aiosmtplib.SMTPResponseException as error:
        await _reset(client, error.code)
        return judge(error, said)
    except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
        client.close()
        if handed_over:
            return Outcome(False, "unclear", detail="the connection ended before the server said that it has the mail")
        return _away(type(error).__name__)
    except BaseException:
        client.close()
        raise


async def _reset(client: aiosmtplib.SMTP, code: int) -> None:
    try:
        if code == 421:  # the server is closing the connection (RFC 5321, section 3.8)
            client.close()
        else:
            async with asyncio.timeout(5):
                await client.rset()
    except (aiosmtplib.SMTPException, OSError, TimeoutError):
        client.close()


class _Sayer:
    """What a server said, without saying whom the mail was for."""

    def __init__(self, recipient: str) -> None:
        local, _, domain = recipient.casefold().rpartition("@")
        self._telling = [part for part in (local, domain) if part]

    def __call__(self, code: int, text: str) -> str:
        line = " ".join(text.encode("utf-8", "replace").decode().split())  # a server may say bytes that are no UTF-8
        found = _ENHANCED.search(line)
        if any(part in line.casefold() for part in self._telling) or "@" in line:
            line = found[0] if found else ""
        return f"{code} {mask_addresses(line)[:_SAID_MAX]}".strip()


def judge(error: aiosmtplib.SMTPResponseException, said: _Sayer) -> Outcome:
    """A refusal of one mail. 4xx and full mailboxes come again; who is unknown is unknown for good."""
    code, text = error.code, error.message
    if code < 200:  # no reply of SMTP at all: as good as none
        return Outcome(False, "unclear", detail="the server's reply could not be read")
    if code in _AUTH_CODES:
        return _fault("auth", said(code, text), code)
    found = _ENHANCED.search(text)
    enhanced = (found[2], found[3]) if found else ("", "")
    at_recipient = isinstance(error, aiosmtplib.SMTPRecipientRefused)
    detail = said(code, text)
    if 400 <= code < 500 or enhanced == ("2", "2") or (code == 552 and at_recipient):
        return Outcome(False, "later", code, detail, retry_after_seconds=_hint(text) if code < 500 else 0)
    if at_recipient and code in _UNKNOWN_CODES and _is_unknown(found[0] if found else "", text):
        return Outcome(False, "recipient", code, detail, final=True, log={"reason": "unknown"})
    if isinstance(error, aiosmtplib.SMTPSenderRefused):
        return Outcome(False, "sender", code, detail, final=True)
    return Outcome(False, "refused", code, detail, final=True)


def _is_unknown(enhanced: str, text: str) -> bool:
    """Whether a refusal speaks of the mailbox. Servers refuse senders, relays and listed addresses at RCPT too: those say nothing of it."""
    return enhanced in _UNKNOWN if enhanced else not _OF_THE_SENDER.search(text)


def judge_connecting(error: BaseException, said: _Sayer) -> Outcome:
    """What kept us from speaking to the server at all: its absence, or a fault of the configuration that pauses the lane."""
    causes: list[BaseException] = [error]
    while causes[-1].__cause__ and len(causes) < 10:
        causes.append(causes[-1].__cause__)
    if (
        isinstance(error, aiosmtplib.SMTPAuthenticationError) and error.code != 454
    ):  # 454: for the time being (RFC 4954)
        return _fault("auth", said(error.code, error.message), error.code)
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return _fault("tls", _first_line(next(c for c in causes if isinstance(c, ssl.SSLError))))
    if isinstance(error, aiosmtplib.SMTPNotSupported) or "STARTTLS" in str(error):
        return _fault("tls", "the server offers no STARTTLS")
    if "AUTH" in str(error) or "authentication method" in str(error):
        return _fault("auth", "the server takes no password here")
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return Outcome(False, "later", error.code, said(error.code, error.message), pause_seconds=AWAY_PAUSE_SECONDS)
    return _away(type(causes[-1]).__name__)


def _first_line(error: BaseException) -> str:
    return mask_addresses(str(error).splitlines()[0])[:_SAID_MAX] if str(error) else type(error).__name__


def _away(name: str) -> Outcome:
    return Outcome(
        False, "connect", detail=f"the mail server can't be reached ({name})", pause_seconds=AWAY_PAUSE_SECONDS
    )


def _fault(code: str, detail: str, status: int | None = None) -> Outcome:
    return Outcome(False, code, status, detail, counts=False, pause_seconds=FAULT_PAUSE_SECONDS)


def _hint(text: str) -> float:
    """The seconds of «try again in 300 seconds» or «5 minutes»; 0 without such a hint."""
    found = _HINT.search(text)
    if not found:
        return 0.0
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2][0].lower()]


@contextlib.asynccontextmanager
async def transport_of(url: str) -> AsyncIterator[Transport | None]:
    """The transport of an SMTP address, None without one."""
    if not url:
        yield None
        return
    async with Transport(url) as transport:
        yield transport
