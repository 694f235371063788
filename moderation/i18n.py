"""Messages in the reader's language. msgids are English; catalogues are `locale/<language>/LC_MESSAGES/moderation.po`."""

import contextlib
import re
import time
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from io import BytesIO
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.dates import (
    format_date,
    format_datetime,
    format_skeleton,
    format_time,
    format_timedelta,
    get_datetime_format,
)
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent
from babel.support import NullTranslations, Translations
from jinja2 import Environment, pass_context
from jinja2.runtime import Context

_FOLDER = Path(__file__).parent / "locale"
_WEIGHTED = re.compile(
    r"\s*([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8}){0,4})\s*(?:;\s*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?\s*"
)
_RANGES_MAX, _RANGE_MAX = 20, 60


@cache
def languages() -> tuple[str, ...]:
    """Languages with a catalogue, English first."""
    return ("en", *sorted(path.name for path in _FOLDER.iterdir() if (path / "LC_MESSAGES").is_dir()))


@cache
def catalogue(language: str) -> NullTranslations:
    """Compiled in memory, so that a checkout needs no build step."""
    path = _FOLDER / language / "LC_MESSAGES" / "moderation.po"
    if language == "en" or not path.exists():
        return NullTranslations()
    with path.open("rb") as file:
        source = read_po(file, locale=language)
    compiled = BytesIO()
    write_mo(compiled, source)
    compiled.seek(0)
    return Translations(compiled)


def language_of(locale: str) -> str:
    """The catalogue for a language tag: itself, its base language, else English."""
    base = locale.replace("_", "-").split("-")[0].lower()
    return base if base in languages() else "en"


def speaks(locale: str) -> bool:
    """Whether there is a catalogue for a language tag."""
    return locale.replace("_", "-").split("-")[0].lower() in languages()


def translate(locale: str, message: str, **params: object) -> str:
    """The message in the language of `locale`, placeholders filled."""
    text = _translated(locale, message)
    return text % params if params else text


@lru_cache(maxsize=4096)
def _translated(locale: str, message: str) -> str:
    return catalogue(language_of(locale)).gettext(message)


def translate_count(locale: str, one: str, many: str, count: int) -> str:
    """The right plural form (Arabic has six), `%(count)s` filled."""
    return catalogue(language_of(locale)).ngettext(one, many, count) % {"count": number(locale, count)}


# numbers and times as a language and its region write them


# Babel's own dates have ASCII digits in every language
_DIGITS = {"arab": "٠١٢٣٤٥٦٧٨٩", "arabext": "۰۱۲۳۴۵۶۷۸۹"}


@lru_cache(maxsize=512)
def _conventions(locale: str) -> tuple[Locale, dict[int, str]]:
    """How a locale writes, and its digits."""
    language = language_of(locale)
    found = Locale(language)
    with contextlib.suppress(UnknownLocaleError, ValueError):
        parsed = Locale.parse(locale, sep="-")
        found = parsed if parsed.language == language else found
    return found, str.maketrans(
        dict(zip("0123456789", _DIGITS.get(found.default_numbering_system or "", ""), strict=False))
    )


def number(locale: str, value: float) -> str:
    """A number, such as 12,345 or ١٢٬٣٤٥."""
    return format_decimal(value, locale=_conventions(locale)[0], numbering_system="default")


def share(locale: str, value: float) -> str:
    """A part of one as a percentage."""
    return format_percent(value, locale=_conventions(locale)[0], numbering_system="default")


def instant(locale: str, ms: int) -> str:
    """Date and time in UTC."""
    how, digits = _conventions(locale)
    return format_datetime(datetime.fromtimestamp(ms / 1000, UTC), "medium", locale=how).translate(digits)


def minute(locale: str, ms: int) -> str:
    """Date and time in UTC, without seconds."""
    how, digits = _conventions(locale)
    at = datetime.fromtimestamp(ms / 1000, UTC)
    joined = str(get_datetime_format("medium", how)).replace("'", "")
    parts = joined.format(format_time(at, "short", locale=how), format_date(at, "long", locale=how))
    return parts.translate(digits)


def day(locale: str, ms: int) -> str:
    """Day and month in UTC."""
    how, digits = _conventions(locale)
    return format_skeleton("MMMd", datetime.fromtimestamp(ms / 1000, UTC), locale=how).translate(digits)


def duration(locale: str, seconds: float) -> str:
    """A time that something took, in its largest unit."""
    how, digits = _conventions(locale)
    return format_timedelta(timedelta(seconds=seconds), threshold=1.2, locale=how).translate(digits)


def ago(locale: str, ms: int) -> str:
    """How long ago something was."""
    how, digits = _conventions(locale)
    passed = timedelta(seconds=min(-1.0, ms / 1000 - time.time()))
    return format_timedelta(passed, add_direction=True, threshold=1.2, locale=how).translate(digits)


def language_name(language: str) -> str:
    """What a language calls itself."""
    return str(Locale(language).get_language_name(language) or language)


@pass_context
def _number(context: Context, value: float) -> str:
    return number(context["locale"], value)


@pass_context
def _share(context: Context, value: float) -> str:
    return share(context["locale"], value)


@pass_context
def _instant(context: Context, ms: int) -> str:
    return instant(context["locale"], ms)


@pass_context
def _minute(context: Context, ms: int) -> str:
    return minute(context["locale"], ms)


@pass_context
def _day(context: Context, ms: int) -> str:
    return day(context["locale"], ms)


@pass_context
def _duration(context: Context, seconds: float) -> str:
    return duration(context["locale"], seconds)


@pass_context
def _ago(context: Context, ms: int) -> str:
    return ago(context["locale"], ms)


@pass_context
def _translate(context: Context, message: str, **params: object) -> str:
    return translate(context["lang"], message, **params)


@pass_context
def _translate_count(context: Context, one: str, many: str, count: int) -> str:
    return translate_count(context["lang"], one, many, count)


def install(environment: Environment) -> None:
    """Give templates `_` and `ngettext` in the language of their variable `lang`; numbers and times by their variable `locale`."""
    environment.globals.update(_=_translate, ngettext=_translate_count, language_name=language_name)
    environment.filters.update(
        number=_number, share=_share, instant=_instant, minute=_minute, day=_day, duration=_duration, ago=_ago
    )


@lru_cache(maxsize=1024)
def accepted(header: str, fallback: str) -> str:
    """The best language of an Accept-Language header (RFC 9110, section 12.5.4) that we have a catalogue for."""
    ranked: list[tuple[float, int, str]] = []
    for index, part in enumerate(header.split(",", _RANGES_MAX)[:_RANGES_MAX]):
        match = _WEIGHTED.fullmatch(part) if len(part) <= _RANGE_MAX else None
        if match and match[1].split("-")[0].lower() in languages():
            ranked.append((-float(match[2] or 1), index, match[1]))
    return min(ranked)[2] if ranked and min(ranked)[0] < 0 else fallback
