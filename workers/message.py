"""Comment + site → one mail. Pure: bytes in, bytes out."""

import html
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from moderation import markup
from moderation.i18n import language_of, translate

_QUOTE_MAX = 600
_SUBJECT_NAME_MAX = 60


@dataclass(frozen=True, slots=True)
class Letter:
    """Everything a mail says."""

    message_id: str
    sender: str
    recipient: str
    locale: str
    site_name: str
    author: str
    text: str
    link: str
    sent_at: datetime


def _quote(text: str) -> str:
    cut = text if len(text) <= _QUOTE_MAX else text[:_QUOTE_MAX].rstrip() + "…"
    return markup.close_bidi(cut)


def _one_line(text: str) -> str:
    """Fit for a header: a line break in a site's name would make the message refuse its own subject."""
    return " ".join(markup.plain_line(text).split())


def published(letter: Letter) -> EmailMessage:
    """«Your comment is published», in the language it was written in."""
    locale = letter.locale
    site = _one_line(letter.site_name)[:_SUBJECT_NAME_MAX]
    subject = translate(locale, "Your comment on %(site)s is published", site=f"\u2068{site}\u2069")
    greeting = translate(locale, "Hello %(name)s,", name=f"\u2068{_one_line(letter.author)}\u2069")
    line = translate(locale, "your comment is published now:")
    look = translate(locale, "See it on the page:")
    why = translate(locale, "You get this because this address was given with the comment. It is never published.")
    quoted = _quote(letter.text)
    plain = [greeting, "", line, "", *[f"> {part}" for part in quoted.split("\n")], ""]
    plain += [look, letter.link, ""] if letter.link else []
    plain += ["-- ", why]
    message = EmailMessage(policy=SMTP)
    message["From"] = _address(letter.sender, site)
    message["To"] = Address(addr_spec=letter.recipient)
    message["Subject"] = subject
    message["Date"] = format_datetime(letter.sent_at)
    message["Message-ID"] = letter.message_id
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content("\n".join(plain), cte="base64")
    way = markup.direction(language_of(locale))
    link = html.escape(letter.link)
    body = (
        f'<!doctype html><html lang="{language_of(locale)}" dir="{way}"><body style="font-family:sans-serif;line-height:1.6">'
        f"<p>{html.escape(greeting)}</p><p>{html.escape(line)}</p>"
        f'<blockquote dir="auto" style="border-inline-start:3px solid #999;margin:0;padding-inline-start:1em">'
        f"{html.escape(quoted).replace(chr(10), '<br>')}</blockquote>"
        + (f'<p>{html.escape(look)} <a href="{link}"><bdi dir="ltr">{link}</bdi></a></p>' if link else "")
        + f'<p style="color:#555;font-size:smaller">{html.escape(why)}</p></body></html>'
    )
    message.add_alternative(body, subtype="html", cte="base64")
    return message


def _address(sender: str, name: str) -> Address:
    return Address(display_name=name, addr_spec=sender)
