"""Raw fields → a Submission, or every field error at once."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moderation.errors import FieldError, Invalid
from moderation.model import Policy, Site, Submission
from moderation.submission import ALIASES, clean, is_address, is_on_site, is_web_url, origin_of, parse

SITE = Site(id="news", name="News", origins=("https://news.example",))
GOOD = {"author": "ليلى", "email": "layla@example.net", "comment": "شكراً", "thread": "41"}


def read(*, json: bool = True, site: Site = SITE, **changes: Any) -> Submission:
    return parse({**GOOD, **changes}, site, json=json)


def errors(fields: dict[str, Any], *, json: bool = True, site: Site = SITE) -> dict[str, str]:
    with pytest.raises(Invalid) as found:
        parse(fields, site, json=json)
    return {e.field: e.code for e in found.value.errors}


@pytest.mark.parametrize(
    ("field", "alias"), [(field, alias) for field, aliases in ALIASES.items() for alias in aliases]
)
def test_every_alias_names_its_field(field: str, alias: str) -> None:
    value = {
        "email": "a@example.org", "url": "https://a.example/", "thread_url": "https://a.example/p", "locale": "pt-BR",
        "redirect_to": "https://news.example/p", "notify_replies": "on",
    }.get(field, "77")  # fmt: skip
    said = parse({k: v for k, v in GOOD.items() if k != field} | {alias: value}, SITE, json=True)
    attribute = {"author": "name", "comment": "text"}.get(field, field)
    assert getattr(said, attribute) == (True if field == "notify_replies" else value)


def test_the_first_filled_alias_wins() -> None:
    assert read(author=" ", name="Noor").name == "Noor"
    assert read(name="other").name == "ليلى"


def test_all_missing_fields_are_named_at_once() -> None:
    assert errors({}) == dict.fromkeys(("author", "email", "comment", "thread"), "required")


def test_all_wrong_fields_are_named_at_once() -> None:
    wrong = {
        "author": "x" * 246, "email": "nobody", "url": "javascript:alert(1)", "comment": " \n ", "thread": "t" * 513, "parent": [],
        "thread_url": "ftp://a.example", "thread_title": "t" * 501, "locale": "??", "redirect_to": "https://evil.example/",
        "external_id": "e" * 201, "is_admin": True,
    }  # fmt: skip
    assert errors(wrong) == {
        "author": "too_long", "email": "invalid", "url": "invalid", "comment": "required", "thread": "too_long",
        "parent": "invalid", "thread_url": "invalid", "thread_title": "too_long", "locale": "invalid",
        "redirect_to": "invalid", "external_id": "too_long", "is_admin": "unknown",
    }  # fmt: skip


@pytest.mark.parametrize("tag", ["de-1996", "zh-Hant-CN", "sl-rozaj-biske-1994", "ar-EG-u-nu-latn", "de-DE-x-goethe"])
def test_language_tags_may_have_extensions(tag: str) -> None:
    assert read(locale=tag).locale == tag


@pytest.mark.parametrize("tag", ["e", "en-", "en_US", "en-u", "abcdefghij", "en-x-123456789", "en" + "-abcdefgh" * 4])
def test_what_is_no_language_tag_is_refused(tag: str) -> None:
    assert list(errors(GOOD | {"locale": tag})) == ["locale"]


@pytest.mark.parametrize("nothing", ["\u200b", "\u202e\u2066", " \ufeff\u200d\n", "\u3164"])
def test_what_shows_nothing_is_missing(nothing: str) -> None:
    assert errors(GOOD | {"author": nothing, "comment": nothing}) == {"author": "required", "comment": "required"}


@pytest.mark.parametrize(
    ("field", "limit", "make"),
    [
        ("author", 245, lambda n: "ض" * n), ("comment", 65_525, lambda n: "ض" * n), ("thread", 512, lambda n: "ض" * n),
        ("url", 2000, lambda n: "https://a.example/".ljust(n, "x")),
    ],
)  # fmt: skip
def test_limits_count_characters_after_trimming(field: str, limit: int, make: Any) -> None:
    read(**{field: f"  {make(limit)}\n "})
    assert errors({**GOOD, field: make(limit + 1)}) == {field: "too_long"}


def test_an_address_of_254_characters_passes_and_one_more_does_not() -> None:
    domain = ".".join(["d" * 60] * 3) + "."
    address = "a" * 60 + "@" + domain
    read(email=address + "e" * (254 - len(address)))
    assert errors({**GOOD, "email": address + "e" * (255 - len(address))}) == {"email": "too_long"}


def test_a_site_may_ask_for_less() -> None:
    site = SITE.model_copy(update={"policy": Policy(require_author=False, require_email=False, max_comment_length=3)})
    said = parse({"comment": "abc", "thread": "1"}, site, json=True)
    assert (said.name, said.email) == ("", "")
    assert errors({"comment": "abcd", "thread": "1"}, site=site) == {"comment": "too_long"}


def test_unknown_fields_are_ignored_in_forms_and_refused_in_json() -> None:
    assert read(json=False, nonce="1").text == "شكراً"
    assert errors({**GOOD, "nonce": "1"}) == {"nonce": "unknown"}
    assert read(**{"submit": "Send", "wp-comment-cookies-consent": "yes"}).text == "شكراً"


def test_unknown_fields_are_not_named_without_end() -> None:
    found = errors({**{f"f{n}": n for n in range(100_000)}, "email": "nobody"})
    assert 10 < len(found) < 100
    assert found["email"] == "invalid"
    assert found["comment"] == "required"


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  a  ", "a"), ("a\r\nb\rc\nd", "a\nb\nc\nd"), ("a\u2028b", "a\nb"), ("a\x00\x07\x1b\x9fb", "ab"), ("a\ud800b", "ab"),
        ("a\ufffeb", "ab"), ("cafe\u0301", "café"), ("آ", "آ"), ("a\tb", "a\tb"), ("👩‍👩‍👧", "👩‍👩‍👧"), ("می‌خواهم", "می‌خواهم"),
        ("\x00 a \x00", "a"),
    ],
)  # fmt: skip
def test_text_is_trimmed_composed_and_free_of_control_characters(typed: str, kept: str) -> None:
    assert clean(typed, lines=True) == kept


def test_a_name_has_one_line() -> None:
    assert read(author="Eve\r\nBcc: x").name == "Eve Bcc: x"


@pytest.mark.parametrize("value", [5, 5.5, True, [], {}, ["a"]])
def test_only_text_is_taken_for_text(value: Any) -> None:
    assert errors({**GOOD, "comment": value})["comment"] == "invalid"


@pytest.mark.parametrize(("value", "kept"), [(41, "41"), (0, "0"), ("0", "0"), (-1, "-1")])
def test_threads_may_be_numbers(value: Any, kept: str) -> None:
    assert read(thread=value).thread == kept


@pytest.mark.parametrize("value", [True, 1.5, 10**30, [1]])
def test_threads_are_nothing_else(value: Any) -> None:
    assert errors({**GOOD, "thread": value})["thread"] == "invalid"


@pytest.mark.parametrize("value", ["0", 0, "", " ", " 0 ", None])
def test_no_parent_is_no_parent(value: Any) -> None:
    assert read(parent=value).parent == ""


@pytest.mark.parametrize("value", ["1", "on", "yes", "TRUE", " true ", True])
def test_replies_are_notified_on_request(value: Any) -> None:
    assert read(notify_replies=value).notify_replies


@pytest.mark.parametrize("value", ["", "0", "off", "no", False, None])
def test_replies_are_not_notified_otherwise(value: Any) -> None:
    assert not read(notify_replies=value).notify_replies


@pytest.mark.parametrize(
    "address",
    ["a@example.com", "a.b+c@sub.example.co.uk", "O'Neil@example.org", "x@example.test", "محمد@example.com", "a@xn--mgba.example"],
)  # fmt: skip
def test_addresses_that_pass(address: str) -> None:
    assert is_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "", "a", "@", "a@", "@b.example", "a@b", "a@b@c.example", "a b@c.example", "a@c..example", "a..b@c.example", ".a@c.example",
        "a.@c.example", "a@-c.example", "a@c.example,d@e.example", "a@c.example\nBcc: d@e.example", "Eve <a@c.example>", "a@[127.0.0.1]",
        "a@c.example;d@e.example", "(a)@c.example", "a@c.example.", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@" + "a." * 100,
    ],
)  # fmt: skip
def test_addresses_that_do_not_pass(address: str) -> None:
    assert not is_address(address)


@pytest.mark.parametrize(
    "url",
    ["http://a.example", "https://a.example:8443/x?y=1#z", "https://مثال.example/مقال", "http://[2001:db8::1]/", "https://social.example/@user", "https://a.example/a%20b?q=%22x%22"],
)  # fmt: skip
def test_urls_that_pass(url: str) -> None:
    assert is_web_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "ftp://a.example", "//a.example", "http://", "http:///x", "https://u:p@a.example",
        "https://a.example/ x", 'https://a.example/"onclick=', "https://a.example/<b>", "http://[::1", "http://a.example:99999/", "http://a.example:x/",
        "https://evil.example\\@news.example/", "mailto:a@b.example", "https://a.example/%0d%0aSet-Cookie:x", "https://a.example/?to=a@b.example",
    ],
)  # fmt: skip
def test_urls_that_do_not_pass(url: str) -> None:
    assert not is_web_url(url)


def test_a_bare_host_is_completed_as_wordpress_does() -> None:
    assert read(url="a.example/x").url == "http://a.example/x"


@pytest.mark.parametrize(
    ("url", "on"),
    [
        ("https://news.example/p", True), ("https://NEWS.example:443/p", True), ("https://news.example.evil.example/", False), ("https://xnews.example/", False),
        ("http://news.example/", False), ("https://news.example:8443/", False), ("https://evil.example/https://news.example", False), ("null", False),
        ("", False), ("https://news.example@evil.example/", False), ("http://[", False), ("/p", False),
    ],
)  # fmt: skip
def test_origins_are_compared_whole(url: str, on: bool) -> None:
    assert is_on_site(url, SITE) is on


TEXT = st.text(st.characters(blacklist_categories=()), max_size=40)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from([alias for aliases in ALIASES.values() for alias in aliases]) | TEXT


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(NAMES, VALUE, max_size=12), st.booleans())
def test_anything_is_a_submission_or_invalid(fields: dict[str, Any], json: bool) -> None:
    found: list[FieldError] = []
    try:
        said = parse(GOOD | fields, SITE, json=json)
    except Invalid as error:
        found = error.errors
        texts = [e.field for e in found]
    else:
        texts = [said.name, said.email, said.url, said.text, said.thread, said.parent, said.external_id]
    assert {e.code for e in found} <= {"required", "too_long", "too_short", "invalid", "unknown"}
    assert all("\x00" not in text and text.encode() is not None for text in texts)


@settings(max_examples=150, deadline=None)
@given(TEXT, st.booleans())
def test_cleaning_twice_is_cleaning_once(text: str, lines: bool) -> None:
    once = clean(text, lines=lines)
    assert clean(once, lines=lines) == once


@settings(max_examples=150, deadline=None)
@given(TEXT | st.builds("{}@{}.example".format, TEXT, TEXT) | st.builds("https://{}".format, TEXT))
def test_checks_answer_for_any_text(text: str) -> None:
    assert is_address(text) in {True, False}
    assert is_web_url(text) in {True, False}
    assert isinstance(origin_of(text), str)
