"""Letters: every kind in every language, and what comments can't do in them; and the bytes they are sent as."""

import email
import email.policy
import re
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from moderation import letters
from moderation.errors import ConfigurationError
from moderation.i18n import languages
from moderation.letters import KINDS, SAMPLES, Letters
from workers.message import Envelope, compose

ALL = [(kind, lang) for kind in KINDS for lang in languages()]
OURS = Letters()  # the templates are compiled once
EVIL = "\u202eevil\u2066"


def rendered(kind: str, lang: str = "en", **values: Any) -> letters.Rendered:
    return OURS.render(kind, lang, SAMPLES[kind] | values)


@pytest.mark.parametrize(("kind", "lang"), ALL)
def test_every_letter_is_whole_in_every_language(kind: str, lang: str) -> None:
    letter = rendered(kind, lang)
    way = "rtl" if lang in {"ar", "fa", "he"} else "ltr"
    assert f'<html lang="{lang}" dir="{way}">' in letter.html
    assert letter.subject
    assert "\n" not in letter.subject + letter.subject.replace("\r", "\n")
    for text in (letter.text, letter.html, letter.subject):
        assert not re.search(r"%\(\w+\)|\{\{|\}\}|None|undefined", text)
    if lang == "ar":
        own = re.sub(r"\u2068[^\u2069]*\u2069|> .*|https?:\S+", "", letter.text)
        assert len(re.findall("[\u0621-\u064a]", own)) > 3 * len(re.findall("[A-Za-z]{4,}", own))


@pytest.mark.parametrize("kind", ["published", "rejected", "reply", "waiting"])
def test_a_quoted_comment_has_no_link_no_image_and_no_markup(kind: str) -> None:
    text = "see https://evil.example/x?y=1, www.evil.example or evil.example/login <img src=//evil.example/p.gif> <a href='x'>y</a>"
    values = {"text": text} if kind != "waiting" else {"items": [SAMPLES["waiting"]["items"][0] | {"text": text}]}
    letter = rendered(kind, **values)
    for part in (letter.text, letter.html):
        assert "evil.example" not in part
        assert "https://evil" not in part
    assert "<img" not in letter.html
    assert "&lt;img" in letter.html


def test_numbers_and_abbreviations_are_left_alone() -> None:
    text = "3.5 kg, z.B. 12.30 Uhr, e.g. this… الساعة ٣.٥"
    assert letters.unlinked(text) == text


@pytest.mark.parametrize("field", ["site", "name", "author"])
def test_names_can_t_scramble_what_stands_beside_them(field: str) -> None:
    letter = rendered("reply", "ar", **{field: EVIL})
    for line in [*letter.text.split("\n"), letter.subject]:
        assert "\u202e" not in line
        assert line.count("\u2068") + line.count("\u2066") == line.count("\u2069")


def test_a_long_name_is_cut_and_a_long_comment_too() -> None:
    letter = rendered("reply", author="x" * 245, text="كلمة " * 13_000)
    assert len(letter.subject) <= letters.SUBJECT_MAX
    assert len(letter.text) < 3000
    assert "…" in letter.text


def test_hostile_text_is_quoted_quickly() -> None:
    for text in ("a." * 32_000, "http://" * 9000, "w" * 65_000, "\u2066" * 65_000):
        assert len(rendered("published", text=text).text) < 8000


def test_plurals_are_those_of_the_language() -> None:
    subjects = [rendered("waiting", "ar", total=n).subject for n in (1, 2, 3, 11, 100)]
    assert [s.partition(" – ")[0] for s in subjects] == [
        "تعليق واحد بانتظار المراجعة", "تعليقان بانتظار المراجعة", "3 تعليقات بانتظار المراجعة", "11 تعليقًا بانتظار المراجعة", "100 تعليق بانتظار المراجعة",
    ]  # fmt: skip


def test_a_folder_of_one_s_own_wins_and_its_mistakes_are_named(tmp_path: Path) -> None:
    names = letters.export(tmp_path)
    assert "published.txt" in names
    assert "base.html" in names
    assert letters.export(tmp_path) == []
    (tmp_path / "published.txt").write_text("Subject: Hurrah, {{ name }}\n\nOurs: {{ text }}\n")
    letter = Letters(tmp_path).render("published", "en", SAMPLES["published"])
    assert (letter.subject, letter.text) == ("Hurrah, ليلى", f"Ours: {SAMPLES['published']['text']}\n")
    (tmp_path / "reply.html").write_text("{{ email }}")
    (tmp_path / "test.txt").write_text("{% if %}")
    with pytest.raises(ConfigurationError) as caught:
        Letters(tmp_path)
    assert ["reply" in p or "test" in p for p in caught.value.problems] == [True, True]
    with pytest.raises(ConfigurationError):
        Letters(tmp_path / "nowhere")


# the bytes

LONG = "https://comments." + "long-name." * 25 + "example/u/abc"


def parsed(letter: letters.Rendered, **more: Any) -> tuple[bytes, EmailMessage]:
    fields = {"message_id": "1@host.example", "sender": "us@news.example", "sender_name": "News", "recipient": "reader@example.net", "sent_at": datetime(2026, 1, 31, tzinfo=UTC)}  # fmt: skip
    raw = compose(Envelope(**fields | more), letter)
    return raw, email.message_from_bytes(raw, policy=email.policy.default)  # type: ignore[return-value]


@pytest.mark.parametrize(("kind", "lang"), ALL)
def test_every_mail_is_ascii_with_text_and_html_of_the_same_words(kind: str, lang: str) -> None:
    letter = rendered(kind, lang)
    raw, mail = parsed(letter)
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert mail["Subject"] == letter.subject
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().replace("\r\n", "\n") == letter.text
    assert html.get_content_charset() == "utf-8"


def test_ids_and_links_stay_whole_however_long_they_are() -> None:
    thread = "t." + "x" * 120 + "@" + "host." * 20 + "example"
    raw, mail = parsed(rendered("published", "ar"), unsubscribe=LONG, thread=thread, list_id="news." + "host." * 20 + "example", message_id=thread)  # fmt: skip
    assert len(LONG) > 250
    assert f"List-Unsubscribe: <{LONG}>\r\n".encode() in raw
    assert f"In-Reply-To: <{thread}>\r\n".encode() in raw
    assert f"References: <{thread}>\r\n".encode() in raw
    for name in ("List-Unsubscribe", "In-Reply-To", "References", "List-ID", "Message-ID"):
        assert "=?" not in str(mail[name])


@pytest.mark.parametrize("bad", ["x\r\nBcc: evil@example.org", "x\nBcc: e@example.org", "x\u2028y", "x" * 2000])
@pytest.mark.parametrize("field", ["message_id", "unsubscribe", "thread", "list_id", "recipient"])
def test_no_part_of_the_envelope_becomes_a_second_line(field: str, bad: str) -> None:
    with pytest.raises(ValueError, match="not fit"):
        parsed(rendered("test"), **{field: bad})


@pytest.mark.parametrize("name", ["Bob, v@x.example <b@x.example>", "أخبار\r\nBcc: e@x.example", EVIL, '"', "x" * 400])
def test_a_site_s_name_stays_a_display_name(name: str) -> None:
    _, mail = parsed(rendered("published", site=name), sender_name=name)
    assert [a.addr_spec for a in mail["From"].addresses] == ["us@news.example"]
    assert [a.addr_spec for a in mail["To"].addresses] == ["reader@example.net"]
    assert mail["Bcc"] is None
    assert "\u202e" not in mail["From"].addresses[0].display_name


@pytest.mark.parametrize(
    "name", ["Le Journal – صحيفة الحيّ, 2 mots", "صحيفة الحيّ", 'Plain "quoted" News, Ltd.', "ü" * 120]
)
def test_names_and_subjects_arrive_as_they_were_written(name: str) -> None:
    subject = f"{name} – {name}"[: letters.SUBJECT_MAX]
    raw, mail = parsed(letters.Rendered(subject, "text", "<p>text</p>"), sender_name=name)
    assert mail["Subject"] == subject
    assert mail["From"].addresses[0].addr_spec == "us@news.example"
    # the newer parser puts a space between encoded words of a phrase, which RFC 2047 (section 6.2) says are one
    sender = str(make_header(decode_header(email.message_from_bytes(raw)["From"].replace("\r\n", ""))))
    assert sender.rpartition(" <")[0].strip('"').replace('\\"', '"') == letters.header_line(name)
    assert all(len(word) <= 75 for word in re.findall(rb"=\?\S+\?=", raw))
