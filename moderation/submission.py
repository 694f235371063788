"""Raw fields, from any door and under any alias → a Submission, or every field error at once. Pure."""

import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from email_validator import EmailNotValidError, validate_email

from moderation.errors import FieldError, Invalid
from moderation.model import LANGUAGE_TAG, Site, Submission
from moderation.normal import nfc
from moderation.policy import Policy

ALIASES = {
    "author": ("author", "name"),
    "email": ("email",),
    "url": ("url", "website"),
    "comment": ("comment", "message", "body", "text", "content"),
    "thread": ("thread", "thread_id", "post_id", "page", "comment_post_ID"),
    "thread_url": ("thread_url",),
    "thread_title": ("thread_title",),
    "parent": ("parent", "parent_id", "comment_parent"),
    "locale": ("locale",),
    "redirect_to": ("redirect_to", "return_to"),
    "notify_replies": ("notify_replies",),
    "external_id": ("external_id",),
}
FIELD_OF = {alias: field for field, aliases in ALIASES.items() for alias in aliases}
STAMP, IDENTITY = "form_stamp", "identity"  # read at the door: signed by us, and by the site
# What forms carry besides: WordPress's consent box and button, and ours. Ignored in JSON too.
IGNORED = frozenset({"wp-comment-cookies-consent", "submit", STAMP, IDENTITY})

NAME_MAX, EMAIL_MAX, URL_MAX, THREAD_MAX, TITLE_MAX, EXTERNAL_MAX = 245, 254, 2000, 512, 500, 200
TEXT_MAX = 65_525  # what a site's policy may allow at most
# C0 and C1 but tab and line feed; line and paragraph separators are line breaks; non-characters and lone surrogates.
_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_BREAKS = re.compile("[\r\n\t\x85\u2028\u2029]+")
# Spaces and what Unicode shows nothing for (Default_Ignorable_Code_Point, DerivedCoreProperties.txt): a name of these alone is none.
_NOTHING = re.compile(
    "[\\s\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]*"
)
_SIMPLE_ADDRESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,24}")
_ERRORS_MAX = 50  # unknown fields that are named: a body has room for a hundred thousand
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

REQUIRED = "This field is required."
MESSAGES = {
    "required": REQUIRED,
    "too_long": "This is too long: at most %(limit)s characters.",
    "invalid": "This is not valid.",
    "unknown": "There is no such field.",
    "not_found": "The comment you reply to is not there (any more).",
}


def clean(text: str, *, lines: bool = False) -> str:
    """NFC, one kind of line break, no control characters, trimmed. Never anything that changes what was said."""
    if text.isprintable():  # nothing below could find anything: no controls, no line breaks
        return nfc(text).strip()
    if lines:
        text = (
            text.replace("\r\n", "\n")
            .replace("\r", "\n")
            .replace("\u2028", "\n")
            .replace("\u2029", "\n\n")
            .replace("\x85", "\n")
        )
    else:
        text = _BREAKS.sub(" ", text)
    return nfc(_FORBIDDEN.sub("", text)).strip()


def is_comment_id(text: str) -> bool:
    """Whether this is one of our ids (UUIDv7, lower case)."""
    return _ID.fullmatch(text) is not None


def is_address(text: str) -> bool:
    """A deliverable-looking address. The common kind is recognised by a linear pattern, the rest by email-validator."""
    if len(text) > EMAIL_MAX:
        return False
    if (
        _SIMPLE_ADDRESS.fullmatch(text)
        and ".." not in text
        and ".@" not in text
        and not text.endswith((".test", ".local"))
    ):
        return True
    try:
        # local networks and test set-ups use .test and .local; deliverability is the mail server's business
        validate_email(text, check_deliverability=False, test_environment=True)
    except (EmailNotValidError, UnicodeError, ValueError):
        return False
    return "." in text.rpartition("@")[2]


def is_web_url(text: str) -> bool:
    """http or https with a host, without user information or an address in it."""
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018  raises ValueError for a port that is none
    except ValueError:
        return False
    whole = unquote(text)
    return (
        parts.scheme in {"http", "https"}
        and bool(parts.hostname)
        and parts.username is None
        and "@" not in whole.replace("/@", "")
        and not any(c.isspace() or c in '<>"\\`' for c in text)
        and not any(ord(c) < 32 or ord(c) == 127 for c in whole)
    )


def with_scheme(text: str) -> str:
    """`news.example/page` → `http://news.example/page`: what people type, and what WordPress does with it."""
    return "http://" + text if "://" not in text and re.match(r"[\w-]+(\.[\w-]+)+(/|$)", text) else text


def origin_of(url: str) -> str:
    """scheme://host[:port], default ports left out; empty for what is no web address."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (
        f":{port}" if port and port != {"http": 80, "https": 443}[parts.scheme] else ""
    )


def is_on_site(url: str, site: Site) -> bool:
    """Whether a page is on one of the site's origins: compared whole, never by suffix."""
    return bool(url) and origin_of(url) in site.origins


class _Reader:
    """Collects errors while fields are read."""

    def __init__(self, fields: Mapping[str, object], *, json: bool, trap: str | None) -> None:
        self.found: dict[str, FieldError] = {}
        values: dict[str, str] = {}
        self.values = values
        for key, value in fields.items():
            field = FIELD_OF.get(key)
            if field is None:
                if json and key not in IGNORED and key != trap and len(self.found) < _ERRORS_MAX:
                    self.fail(clean(key)[:60] or "?", "unknown")
                continue
            earlier = values.get(field)
            if not earlier or not earlier.strip():  # the first filled alias wins
                values[field] = value if type(value) is str else self._string(field, value)

    def _string(self, field: str, value: object) -> str:
        if value is None:
            return ""
        if field == "notify_replies" and isinstance(value, bool):
            return "1" if value else ""
        if (
            isinstance(value, int)
            and not isinstance(value, bool)
            and field in {"thread", "parent", "external_id"}
            and abs(value) < 1 << 63
        ):
            return str(value)  # WordPress numbers its posts and comments
        self.fail(field, "invalid")
        return ""

    def fail(self, field: str, code: str, **params: object) -> None:
        self.found.setdefault(field, FieldError(field, code, MESSAGES[code], params))

    def take(self, field: str, limit: int, *, required: bool = False, lines: bool = False) -> str:
        """A cleaned value; its length is counted in characters, after trimming."""
        given = self.values.get(field)
        if not given and not required:
            return ""
        text = clean(given, lines=lines) if given else ""
        if required and _NOTHING.fullmatch(text):
            self.fail(field, "required")
        elif len(text) > limit:
            self.fail(field, "too_long", limit=limit)
        return text

    def url(self, field: str) -> str:
        text = self.take(field, URL_MAX)
        if field == "url":
            text = with_scheme(text)
        if text and len(text) <= URL_MAX and not is_web_url(text):
            self.fail(field, "invalid")
        return text


def parse(fields: Mapping[str, object], site: Site, *, json: bool, locale: str = "") -> Submission:
    """Read one submission; `locale` is for who names none. JSON refuses unknown fields, forms ignore them.

    Raises Invalid with every field error.
    """
    policy: Policy = site.policy
    read = _Reader(fields, json=json, trap=policy.trap_field)
    name = read.take("author", NAME_MAX, required=policy.require_author)
    email = read.take("email", EMAIL_MAX, required=policy.require_email)
    if email and len(email) <= EMAIL_MAX and not is_address(email):
        read.fail("email", "invalid")
    url = read.url("url")
    text = read.take("comment", policy.max_comment_length, required=True, lines=True)
    thread = read.take("thread", THREAD_MAX, required=True)
    thread_url = read.url("thread_url")
    thread_title = read.take("thread_title", TITLE_MAX)
    parent = read.take("parent", EXTERNAL_MAX)
    asked = read.take("locale", 35)
    if asked and not LANGUAGE_TAG.fullmatch(asked):
        read.fail("locale", "invalid")
    redirect_to = read.url("redirect_to")
    if redirect_to and not is_on_site(redirect_to, site):
        read.fail("redirect_to", "invalid")
    external_id = read.take("external_id", EXTERNAL_MAX)
    if read.found:
        raise Invalid(list(read.found.values()))
    return Submission(
        name=name,
        email=email,
        url=url,
        text=text,
        thread=thread,
        thread_url=thread_url,
        thread_title=thread_title,
        parent="" if parent == "0" else parent,
        locale=asked or locale,
        redirect_to=redirect_to,
        notify_replies=read.values.get("notify_replies", "").strip().lower() in {"1", "on", "yes", "true"},
        external_id=external_id,
    )


def tidy(said: Submission) -> Submission:
    """A comment that another system took long ago: cleaned; names and titles cut to what fits, what is no address left out.

    Raises Invalid when the text or the thread is missing or too long.
    """
    text, thread = clean(said.text, lines=True), clean(said.thread)
    wrong = [
        FieldError(field, "too_long" if value else "required")
        for field, value, limit in (("comment", text, TEXT_MAX), ("thread", thread, THREAD_MAX))
        if not 0 < len(value) <= limit
    ]
    if wrong:
        raise Invalid(wrong)
    email, url, thread_url = clean(said.email), with_scheme(clean(said.url)), clean(said.thread_url)
    external_id = clean(said.external_id)
    return said._replace(
        name=clean(said.name)[:NAME_MAX].rstrip(),
        email=email if email and is_address(email) else "",
        url=url if len(url) <= URL_MAX and is_web_url(url) else "",
        text=text,
        thread=thread,
        thread_url=thread_url if len(thread_url) <= URL_MAX and is_web_url(thread_url) else "",
        thread_title=clean(said.thread_title)[:TITLE_MAX].rstrip(),
        locale=said.locale if LANGUAGE_TAG.fullmatch(said.locale) else "",
        external_id=external_id if len(external_id) <= EXTERNAL_MAX else "",
    )
