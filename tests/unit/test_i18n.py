"""The catalogues: complete, faithful to the English, and chosen by what the reader asked for."""

import ast
import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from jinja2 import Environment, nodes

import moderation
import workers
from moderation import errors, submission
from moderation.i18n import accepted, catalogue, language_of, languages, translate, translate_count
from moderation.markup import direction
from moderation.model import REASONS
from moderation.store import pipe  # noqa: F401  its error belongs to the family too
from moderation.web import admin_api, body, mail_links, middleware, problem, stream, submit
from moderation.web.desk import account, cards, entry, passkeys, policy_form, second_step, settings, shortcuts

PACKAGES = [Path(package.__file__).parent for package in (moderation, workers)]
SOURCES = [path for package in PACKAGES for path in package.rglob("*.py")]
LETTERS = [path for path in (PACKAGES[0] / "letters").iterdir() if path.suffix in {".txt", ".html"}]
TEMPLATES = sorted([*(PACKAGES[0] / "web" / "templates").rglob("*.html"), *LETTERS])
PLACEHOLDER = re.compile(r"%\((\w+)\)s")
BIDI_CONTROLS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
LANGUAGES = [language for language in languages() if language != "en"]


def family(error: type[errors.ModerationError] = errors.ModerationError) -> Iterator[type[errors.ModerationError]]:
    yield error
    for child in error.__subclasses__():
        yield from family(child)


# A ConfigurationError speaks to whoever starts the service, in English, as the documentation does.
RAISED = {error.__name__ for error in family()} - {"ConfigurationError"}


@cache
def calls() -> list[tuple[str, ast.expr, ast.Call]]:
    """(where, message, call) of everything that takes a message for a reader."""
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            place = 0 if name in RAISED else {"translate": 1, "FieldError": 2}.get(name)
            given = [node.args[place]] if place is not None and len(node.args) > place else []
            given += [keyword.value for keyword in node.keywords if keyword.arg == "message"]
            found += [(f"{path.name}:{node.lineno}", message, node) for message in given]
    return found


def literals() -> Iterator[tuple[str, str, ast.Call]]:
    for where, message, call in calls():
        if isinstance(message, ast.Constant) and message.value:
            yield where, message.value, call


def of_templates() -> Iterator[str]:
    """The words in `_("…")`, and those in dicts that a template looks its words up in."""
    for path in TEMPLATES:
        tree = Environment().parse(path.read_text(encoding="utf-8"))
        for call in tree.find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name in {"_", "ngettext"}:
                yield from (word.value for word in call.args if isinstance(word, nodes.Const))
        for assigned in tree.find_all(nodes.Assign):
            if isinstance(assigned.node, nodes.Dict):
                yield from (pair.value.value for pair in assigned.node.items if isinstance(pair.value, nodes.Const))


@cache
def used() -> frozenset[str]:
    named = [*submission.MESSAGES.values(), *body._MESSAGES.values(), *problem._TITLES.values()]
    named += [
        middleware.OURS,
        middleware.WRONG_METHOD,
        entry.TOO_MANY_TRIES,
        entry.TOO_SHORT,
        second_step.WRONG_CODE,
        passkeys.REFUSED,
    ]
    named += [account.NOT_YOURS, account.KEY_TWICE, settings.ID_TYPED_WRONG, *cards.RULES.values()]
    named += [*shortcuts.ACTIONS.values(), *policy_form.LABELS.values(), *policy_form.HELP.values()]
    named += [mail_links.NOT_OURS, admin_api.WRONG_PATTERN, stream.TOO_MANY_LISTENERS, *REASONS.values()]
    named += [submit.WAITS, submit.IS_PUBLISHED, *(error.message for error in family())]
    return frozenset([*named, *(text for _, text, _ in literals()), *of_templates()])


@cache
def entries(language: str) -> Catalog:
    path = PACKAGES[0] / "locale" / language / "LC_MESSAGES" / "moderation.po"
    with path.open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


def translations(language: str) -> list[tuple[str, str]]:
    """(English, translation); each form of a plural beside the English plural, the singular beside the form for many."""
    found = []
    for message in entries(language):
        if isinstance(message.id, tuple):
            found += [(message.id[0], message.string[-1]), *((message.id[1], form) for form in message.string)]
        elif message.id:
            found.append((message.id, message.string))
    return found


def test_arabic_is_spoken_and_the_extraction_finds_words_of_every_kind():
    assert languages()[0] == "en"
    assert "ar" in languages()
    assert {
        "Comments are closed.",  # raised
        "The id of a site can't change.",  # a field's
        "The name or the password is wrong.",  # handed to a page
        "See it on the page:",  # a mail's
        "Not signed in",  # a title
        "Send the comment",  # a template's
        "Your comment was not published",  # looked up in a template's dict
    } <= used()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_is_translated_and_every_translation_is_used(language):
    found = {message for message, _ in translations(language)}
    assert used() - found == set()
    assert found - used() == set()
    assert [message for message, text in translations(language) if not text.strip()] == []
    same = [message for message, text in translations(language) if text == message]
    assert len(same) <= (10 if Locale(language).text_direction == "ltr" else 0), (
        same
    )  # German says Name, Turkish says Site
    assert [message.id for message in entries(language) if message.id and message.fuzzy] == []
    assert not entries(language).obsolete


def test_no_message_is_put_together_before_it_is_translated():
    made = (ast.JoinedStr, ast.BinOp)
    assert [where for where, message, _ in calls() if isinstance(message, made)] == []


def test_every_placeholder_is_filled_where_its_message_is_used():
    for where, text, call in literals():
        given = {keyword.arg for keyword in call.keywords}
        assert set(PLACEHOLDER.findall(text)) <= given, where


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_keep_the_placeholders(language):
    for message, text in translations(language):
        kept, given = sorted(PLACEHOLDER.findall(text)), sorted(PLACEHOLDER.findall(message))
        assert kept == given or (given == ["count"] and not kept), message  # one and two are words of their own
        assert "%" not in PLACEHOLDER.sub("", text), message


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_are_plain_normalised_text(language):
    for message, text in translations(language):
        assert unicodedata.is_normalized("NFC", text), message
        assert not BIDI_CONTROLS.search(text), message  # the page isolates what it inserts
        assert text == text.strip(), message
        assert "  " not in text, message
        assert not re.search("[<>&\n\t]", text), message


@pytest.mark.parametrize(
    ("language", "letters"), [("ar", "\u0621-\u064a"), ("fa", "\u0621-\u06cc"), ("he", "\u05d0-\u05ea")]
)
def test_languages_of_other_scripts_are_written_in_them(language, letters):
    for message, text in translations(language):
        assert re.search(f"[{letters}]", text), message
        assert text[-1] in ".:" or message[-1] not in ".:", message


@pytest.mark.parametrize("language", ["ar", "fa"])
def test_arabic_letters_come_with_arabic_punctuation(language):
    for message, text in translations(language):
        assert not re.search("[,;?\u0640]", text.replace("/?p=", "").removesuffix("بـ")), message


@pytest.mark.parametrize("language", LANGUAGES)
def test_plural_forms_are_those_of_cldr(language):
    forms = [
        name
        for name in ("zero", "one", "two", "few", "many", "other")
        if name in {*Locale(language).plural_form.tags, "other"}
    ]
    assert entries(language).num_plurals == len(forms)
    for number in (*range(112), 200, 1000, 1003, 1_000_000):
        assert forms[catalogue(language).plural(number)] == Locale(language).plural_form(number), number


def test_a_count_without_a_translation_falls_back_to_english():
    assert translate_count("ar", "%(count)s stone", "%(count)s stones", 1) == "1 stone"
    assert translate_count("en", "%(count)s stone", "%(count)s stones", 0) == "0 stones"


@pytest.mark.parametrize("tag", ["ar", "ar-EG", "AR_eg", "ar-Latn-MA"])
def test_a_region_speaks_its_base_language(tag):
    assert language_of(tag) == "ar"
    assert translate(tag, "Comments are closed.") == "التعليقات مغلقة."


@pytest.mark.parametrize("tag", ["en-GB", "xx", "arz", "", "-", "../ar", "LC_MESSAGES", "\x00", "ar\n"])
def test_an_unknown_language_gets_english(tag):
    assert language_of(tag) == "en"
    assert translate(tag, "Comments are closed.") == "Comments are closed."


def test_what_fills_a_placeholder_is_not_read_as_one():
    assert translate("ar", "Hello %(name)s,", name="%(site)s %s 100%") == "مرحبًا %(site)s %s 100%،"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("ar", "ar"),
        ("ar-EG,ar;q=0.9,en;q=0.8", "ar-EG"),
        ("en;q=0.8, ar;q=0.9", "ar"),
        ("en;q=0.9, ar;q=0.9", "en"),  # equal: the first
        ("xx, yy;q=0.9, ar;q=0.1", "ar"),
        ("EN-gb", "EN-gb"),
        ("ar ; q=0.5 , en ; Q=0.7", "en"),
        ("en;q=0.999, ar;q=1.000", "ar"),
        ("en;q=0, ar;q=0.001", "ar"),
        ("en;q=0.5,,,ar;q=1.", "ar"),
        ("", "site"),
        ("*", "site"),
        ("ar;q=0", "site"),
        ("ar;q=0.000", "site"),
        ("arz, are", "site"),
        # not weights at all: the range they belong to is not counted
        ("ar;q=1.5, en;q=0.2", "en"),
        ("ar;q=9, en;q=0.2", "en"),
        ("ar;q=-1, en;q=0.2", "en"),
        ("ar;q=nan, en;q=0.2", "en"),
        ("ar;q=1e9, en;q=0.2", "en"),
        ("ar;q=0.٩, en;q=0.2", "en"),
        ("ar;q=0.9;q=1, en;q=0.2", "en"),
        ("ar\r\nX: 1", "site"),
        ("ar\x00", "site"),
        ("../ar", "site"),
        ("<script>", "site"),
        ("عربي", "site"),
        ("ar-" + "a" * 9, "site"),
        ("ar" + "-a" * 200, "site"),
        ("," * 100_000 + "ar", "site"),
        (" " * 100_000 + "ar", "site"),
        ("ar;" + " " * 100_000 + "q=1", "site"),
        ("xx," * 19 + "ar", "ar"),
        ("xx," * 20 + "ar", "site"),
        ("en;q=0.50" + (",xx" + " " * 58) * 8 + ",ar;q=0.1", "en"),  # long, yet no weight is cut off
    ],
)
def test_the_best_spoken_language_of_the_header_is_chosen(header, language):
    assert accepted(header, "site") == language


@pytest.mark.parametrize(
    ("tag", "way"),
    [
        ("ar", "rtl"),
        ("ar-EG", "rtl"),
        ("AR_eg", "rtl"),
        ("he", "rtl"),
        ("iw", "rtl"),
        ("fa-IR", "rtl"),
        ("ur", "rtl"),
        ("yi", "rtl"),
        ("ckb", "rtl"),
        ("uz-Arab", "rtl"),
        ("pa-Arab-PK", "rtl"),
        ("ar-Latn", "ltr"),
        ("ug-Cyrl", "ltr"),
        ("uz", "ltr"),
        ("en", "ltr"),
        ("tr-TR", "ltr"),
        ("arn", "ltr"),
        ("zh-Hant", "ltr"),
        ("", "ltr"),
    ],
)
def test_the_direction_of_a_language(tag, way):
    assert direction(tag) == way
