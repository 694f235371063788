"""Text to what may be shown: HTML that is safe anywhere, directions, bidi controls."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.markup import close_bidi, direction, plain_line, text_direction, to_html

REL = 'rel="nofollow ugc noopener"'


class Seen(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.words = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in {"href", "src"}]

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '"><svg onload=alert(1)>', "</p></div><iframe src=//evil>", "<a href=javascript:alert(1)>x</a>",
        "javascript:alert(1)", "https://a.example/\"onmouseover='alert(1)'", "https://a.example/<script>", "http://a.example/'><b>", "<!--", "<![CDATA[<b>]]>",
        "&lt;script&gt;", "&#60;script&#62;", "<math><mtext></p><style><!--</style><img src=x>", "data:text/html,<b>", "<p dir=ltr style=x>",
    ],
)  # fmt: skip
def test_markup_that_was_typed_is_shown_as_text(text: str) -> None:
    seen = Seen(to_html(text))
    assert seen.tags <= {"p", "br", "a"}
    assert seen.attributes <= {"dir", "href", "rel"}
    assert all(link.startswith(("http://", "https://")) for link in seen.links)
    assert seen.words == text


@given(st.text(max_size=300))
def test_nothing_but_paragraphs_breaks_and_safe_links_comes_out(text: str) -> None:
    seen = Seen(to_html(text))
    assert seen.tags <= {"p", "br", "a"}
    assert seen.attributes <= {"dir", "href", "rel"}


@given(st.text(alphabet="<>\"'&/=:;htps a.b\n", max_size=120))
def test_hostile_alphabets_stay_text(text: str) -> None:
    seen = Seen(to_html("https://x.example/" + text))
    assert seen.tags <= {"p", "br", "a"}
    assert seen.attributes <= {"dir", "href", "rel"}


@pytest.mark.parametrize(
    ("text", "href", "after"),
    [
        ("see https://a.example/x.", "https://a.example/x", "."),
        ("(https://a.example/x)", "https://a.example/x", ")"),
        ("https://a.example/x_(y)", "https://a.example/x_(y)", ""),
        ("راجع https://a.example/x، ثم", "https://a.example/x", "،"),
        ("HTTP://A.example/?a=1&b=2", "HTTP://A.example/?a=1&amp;b=2", ""),
        ("https://مثال.example/مقال؟", "https://مثال.example/مقال", "؟"),
    ],
)
def test_links_are_recognised_without_the_sentence_around_them(text: str, href: str, after: str) -> None:
    html = to_html(text)
    assert f'href="{href}"' in html or href.lower() in html.lower()
    assert REL in html
    assert f"</a>{after}" in html


def test_paragraphs_and_lines_are_kept() -> None:
    assert to_html("a\nb\n\nc") == '<p dir="auto">a<br>b</p><p dir="auto">c</p>'


@pytest.mark.parametrize(
    ("locale", "way"),
    [("ar", "rtl"), ("ar-EG", "rtl"), ("AR", "rtl"), ("he", "rtl"), ("fa_IR", "rtl"), ("en", "ltr"), ("uz-Arab", "rtl"), ("az-Latn", "ltr"),
     ("pa-Arab-PK", "rtl"), ("", "ltr"), ("ku-Latn", "ltr"), ("ar-Latn", "ltr"), ("arn", "ltr"), ("ar-EG-u-nu-latn", "rtl"), ("en-x-arab", "ltr")],
)  # fmt: skip
def test_a_language_tag_has_a_direction(locale: str, way: str) -> None:
    assert direction(locale) == way


@pytest.mark.parametrize(
    ("text", "fallback", "way"),
    [("مرحبا", "ltr", "rtl"), ("hello", "rtl", "ltr"), ("123 مرحبا hello", "ltr", "rtl"), ("123 !?", "rtl", "rtl"), ("😀", "ltr", "ltr"), ("שלום", "ltr", "rtl")],
)  # fmt: skip
def test_the_first_strong_character_decides(text: str, fallback: str, way: str) -> None:
    assert text_direction(text, fallback) == way


@pytest.mark.parametrize(
    ("text", "closed"),
    [
        ("\u202eabc", "\u202eabc\u202c"), ("\u2067abc", "\u2067abc\u2069"), ("abc\u202c", "abc"), ("abc\u2069\u202c", "abc"),
        ("\u202a\u2066x", "\u202a\u2066x\u2069\u202c"), ("\u2066x\u2069", "\u2066x\u2069"), ("a\u202eb\nc", "a\u202eb\u202c\nc"), ("plain", "plain"),
    ],
)  # fmt: skip
def test_no_bidi_control_reaches_past_its_line(text: str, closed: str) -> None:
    assert close_bidi(text) == closed


@given(st.text(alphabet="a\n\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069", max_size=60))
def test_every_line_is_balanced(text: str) -> None:
    for line in close_bidi(text).split("\n"):
        openers = sum(line.count(c) for c in "\u202a\u202b\u202d\u202e\u2066\u2067\u2068")
        assert line.count("\u202c") + line.count("\u2069") <= openers
        assert close_bidi(line) == line


def test_names_and_html_carry_no_bidi_controls() -> None:
    assert plain_line("\u202eevil\u2066") == "evil"
    assert "\u202e" not in to_html("a\u202eb")
