"""Letters: what mails say, in the reader's language and direction. Pure: a kind and its values in, subject and two texts out.

Each kind is a pair of Jinja templates here, `<kind>.txt` (whose first line is the subject) and `<kind>.html`. A file of the same name
in the folder MODERATION_MAIL_TEMPLATES wins.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    StrictUndefined,
    TemplateError,
    select_autoescape,
)

from moderation import markup
from moderation.errors import ConfigurationError
from moderation.i18n import install, language_of
from moderation.model import REASONS

_FOLDER = Path(__file__).parent
KINDS = ("published", "rejected", "confirm", "reply", "personal", "waiting", "endpoint", "undeliverable", "test")
QUOTE_MAX, NAME_MAX, SUBJECT_MAX = 600, 60, 150
# What mail programs make links of by themselves: web addresses, and words with dots that look like a host.
_LINKED = re.compile(
    r"(?:https?://|www\.)[^\s<>\"]+|\b[\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2,}\b(?:/[^\s<>\"]*)?", re.IGNORECASE
)
_JOINER = "\u2060"  # WORD JOINER: no width, no break, but no link either


@dataclass(frozen=True, slots=True)
class Rendered:
    """A letter, ready to be put into an envelope."""

    subject: str
    text: str
    html: str


def unlinked(text: str) -> str:
    """A comment as it may be quoted in a mail: what reads as an address of the web is no link, whoever sent it."""
    return _LINKED.sub(lambda m: m[0].replace(".", "." + _JOINER).replace("://", ":" + _JOINER + "//"), text)


def excerpt(text: str) -> str:
    """The beginning of a comment, without links, its bidi controls closed."""
    cut = text if len(text) <= QUOTE_MAX else text[:QUOTE_MAX].rstrip() + "…"
    return markup.close_bidi(unlinked(cut))


def one_line(text: str, limit: int = NAME_MAX) -> str:
    """A name or title for a line of ours: no breaks, no links, no bidi controls, and isolated, so that it can't scramble what is beside it."""
    return f"\u2068{unlinked(header_line(text, limit))}\u2069"


def header_line(text: str, limit: int = NAME_MAX) -> str:
    """The same for a header, which makes no links and isolates what stands in it."""
    line = " ".join(markup.plain_line(text).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in excerpt(text).split("\n"))


class Letters:
    """All kinds of letters, from our templates and those of a folder that overrides them."""

    def __init__(self, folder: Path | None = None) -> None:
        """Raises ConfigurationError when the folder is not there, or a template of it can't be read."""
        loaders = [FileSystemLoader(_FOLDER)]
        if folder is not None:
            if not folder.is_dir():
                raise ConfigurationError([f"MODERATION_MAIL_TEMPLATES: there is no folder {folder}"])
            loaders.insert(0, FileSystemLoader(folder))
        self._environment = Environment(
            loader=ChoiceLoader(loaders),
            autoescape=select_autoescape(("html",), default=False),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        install(self._environment)
        self._environment.globals["reasons"] = REASONS
        self._environment.filters.update(quoted=_quoted, excerpt=excerpt, line=one_line)
        problems = []
        for kind in KINDS:  # a template that asks for what a mail does not have is named at start, not at night
            try:
                self.render(kind, "en", SAMPLES[kind])
            except (TemplateError, TypeError, ValueError) as error:
                problems.append(f"MODERATION_MAIL_TEMPLATES: {kind}: {error}")
        if problems:
            raise ConfigurationError(problems)

    def render(self, kind: str, locale: str, values: dict[str, Any]) -> Rendered:
        """One letter in the language of `locale`. The first line of the text template is `Subject: …`."""
        language = language_of(locale)
        context = {"lang": language, "dir": markup.direction(language), **values}
        text = self._environment.get_template(f"{kind}.txt").render(context)
        head, _, body = text.partition("\n")
        subject = " ".join(head.removeprefix("Subject:").split())[:SUBJECT_MAX]
        html = self._environment.get_template(f"{kind}.html").render(context | {"subject": subject})
        return Rendered(subject, re.sub(r"\n{3,}", "\n\n", body).strip("\n") + "\n", html)


def export(folder: Path) -> list[str]:
    """Copy our templates into a folder; files that are there already stay. Returns the names of those copied."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh = [path for path in sorted(_FOLDER.glob("*.*")) if path.suffix in {".txt", ".html"}]
    fresh = [path for path in fresh if not (folder / path.name).exists()]
    for path in fresh:
        (folder / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    return [path.name for path in fresh]


_PERSON = {"site": "صحيفة الحيّ", "name": "ليلى", "link": "https://news.example/?p=41#comment-1", "unsubscribe": "https://comments.example/u/…"}  # fmt: skip
_TEXT = "شكراً على هذا التقرير.\nThe plans are at https://example.org/library, and <b>very</b> clear."
_WAITING = {
    "id": "019ab0c4-7e00-7d3a-9c41-2f60a3b1c501", "author": "ليلى", "address": "l•••@e•••.net", "text": _TEXT, "direction": "rtl",
    "page": "مكتبة الحيّ تفتح أبوابها من جديد", "reasons": [],
    "acts": {"approve": "https://comments.example/m/approve…", "reject": "https://comments.example/m/reject…", "spam": "https://comments.example/m/spam…"},
}  # fmt: skip
_ABOUT = {"site": "صحيفة الحيّ", "url": "https://news.example/hooks/comments", "desk": "https://comments.example/review", "since": "2026-01-26 12:00"}  # fmt: skip
# What previews show; tests render every kind in every language with these.
SAMPLES: dict[str, dict[str, Any]] = {
    "published": _PERSON | {"text": _TEXT, "direction": "rtl", "confirm": "https://comments.example/n/…"},
    "rejected": _PERSON | {"text": _TEXT, "direction": "rtl", "reason": "off_topic"},
    "confirm": _PERSON | {"author": "Maya", "confirm": "https://comments.example/n/…"},
    "personal": _PERSON | {"link": "https://comments.example/personal-data/…"},
    "reply": _PERSON | {"text": _TEXT, "direction": "rtl", "author": "Maya", "yours": "هل يمكن للطلاب الاستعارة مجاناً؟", "yours_direction": "rtl"},
    "waiting": {"site": "صحيفة الحيّ", "items": [_WAITING, _WAITING | {"author": "Maya", "text": "Lovely news!", "direction": "ltr"}], "total": 12, "desk": "https://comments.example/review", "unsubscribe": "https://comments.example/u/…"},
    "endpoint": _ABOUT | {"disabled": True, "reason": "failing"},
    "undeliverable": {"site": "صحيفة الحيّ", "address": "e•••@n•••.example", "detail": "550 5.1.1", "desk": "https://comments.example/review"},
    "test": {"host": "comments.example"},
}  # fmt: skip
