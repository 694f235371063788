"""Files of other systems and our own: what each yields, and what hostile or broken ones come to."""

import gzip
import io
import json
import random
import sqlite3
import time
from pathlib import Path

import pytest

from moderation.archive_file import ArchiveFile
from moderation.archives import disqus, jsonlines, remark42, wxr, wxr_writer
from moderation.archives.archived import Archived, Entry, Reason, Skipped, iso, ms_of
from moderation.archives.prose import to_text
from moderation.archives.recognise import recognise
from moderation.errors import Unreadable
from moderation.model import Status

SAMPLES = Path(__file__).parent / "archives"


def raw(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def taken(entries: list[Entry]) -> dict[str, Archived]:
    return {entry.source_id: entry for entry in entries if isinstance(entry, Archived)}


def passed_over(entries: list[Entry]) -> dict[str, Reason]:
    return {entry.source_id: entry.reason for entry in entries if isinstance(entry, Skipped)}


@pytest.fixture
def isso_file(tmp_path: Path) -> Path:
    path = tmp_path / "comments.db"
    database = sqlite3.connect(path)
    database.executescript(raw("isso.sql").decode())
    database.close()
    return path


def test_wordpress() -> None:
    entries = list(wxr.read(io.BytesIO(raw("wordpress.xml"))))
    found = taken(entries)
    assert list(found) == ["12", "11", "13", "15", "16"]
    assert passed_over(entries) == {"14": Reason.PINGBACK}
    tom, layla = found["12"], found["11"]
    assert (tom.name, tom.email, tom.parent, tom.external_id) == ("Tom O'Hara", "tom@example.org", "11", "12")
    assert tom.text == (
        "I agree: the report (https://water.example/report) says 3 < 5.\n\n> old pipes\n\nWrite to tom.private@example.org"
    )
    assert (layla.thread, layla.thread_url, layla.thread_title) == (
        "41",
        "https://news.example/?p=41",
        "المياه & المدينة",
    )
    assert layla.text == "شكراً على التقرير\n\nسطر ثانٍ\nوثالث"
    assert (layla.url, layla.parent) == ("https://layla.example/", "")
    assert iso(layla.created_ms or 0) == "2019-03-01T08:00:00.000Z"
    assert [found[i].status for i in ("11", "13", "15", "16")] == [
        Status.APPROVED,
        Status.PENDING,
        Status.SPAM,
        Status.REJECTED,
    ]
    assert iso(found["16"].created_ms or 0) == "2020-01-02T00:00:00.000Z"  # GMT unknown: the local one
    assert found["16"].thread == "42"


def test_disqus() -> None:
    entries = list(disqus.read(io.BytesIO(raw("disqus.xml"))))
    found = taken(entries)
    assert passed_over(entries) == {"9003": Reason.DELETED, "9004": Reason.NO_THREAD}
    first, spam, by_link = found["9001"], found["9002"], found["9005"]
    assert first.text == "شكراً https://water.example/report\n\ntwo\nlines"
    assert (first.thread, first.thread_title, first.email) == (
        "41 https://news.example/?p=41",
        "المياه",
        "layla@example.net",
    )
    assert (spam.status, spam.parent, spam.name) == (Status.SPAM, "9001", "tom")
    assert (by_link.thread, by_link.thread_url) == ("https://news.example/second",) * 2
    assert iso(first.created_ms or 0) == "2015-06-02T08:00:00.000Z"


def test_isso(isso_file: Path) -> None:
    archive = ArchiveFile(isso_file)
    entries = list(archive.entries())
    found = taken(entries)
    assert (archive.format, archive.size, archive.position) == ("isso", 5, 5)
    assert passed_over(entries) == {"3": Reason.DELETED, "5": Reason.UNKNOWN_STATUS}
    assert found["1"].text == "شكراً *جداً*\n\n> if a < b"
    assert (found["1"].name, found["1"].email, found["1"].thread) == ("Tom & ليلى", "layla@example.net", "/water/")
    assert found["1"].created_ms == 1420070400250
    assert (found["2"].status, found["2"].parent, found["2"].name) == (Status.PENDING, "1", "")
    assert found["2"].text == "from an importer\n\nsee https://water.example/"
    assert found["4"].parent == "3"


def test_remark42() -> None:
    entries = list(remark42.read(io.BytesIO(raw("remark42.jsonl"))))
    found = taken(entries)
    assert passed_over(entries) == {"aaa-2": Reason.DELETED, "line 5": Reason.DAMAGED}
    first = found["aaa-1"]
    assert (first.name, first.email, first.thread) == ("Tom & Co", "tom@example.org", "https://news.example/water/")
    assert first.text == "شكراً\n\nsee https://water.example/\nbye"
    assert iso(first.created_ms or 0) == "2021-05-06T04:08:09.123Z"
    assert found["aaa-3"].text == "if x:\n    y\n\n- one\n- two"
    assert (found["aaa-3"].parent, found["aaa-3"].email) == ("aaa-2", "")


def test_our_own() -> None:
    entries = list(jsonlines.read(io.BytesIO(raw("ours.jsonl"))))
    found = taken(entries)
    assert passed_over(entries) == {"line 4": Reason.DAMAGED}
    (whole,) = (entry for entry in found.values() if entry.history)
    assert (whole.status, whole.decided.by, whole.decided.reason, whole.decided.sequence) == (
        Status.REJECTED,
        "amal",
        "off_topic",
        2,
    )
    assert whole.history[1] == json.loads(raw("ours.jsonl").splitlines()[1])["history"][1]
    assert (found["7"].thread, found["7"].home) == ("42", "news")


def test_the_lines_of_the_documentation_are_what_is_written() -> None:
    page = (Path(__file__).parents[2] / "docs" / "import.md").read_text()
    lines = page.partition("```json\n")[2].partition("```")[0].encode()
    (found,) = jsonlines.read(io.BytesIO(lines))
    assert isinstance(found, Archived)
    assert jsonlines.header("news", addresses=False) + jsonlines.write(found) + jsonlines.footer(1) == lines
    assert [reason for reason in Reason if reason.split(" (")[0] not in page.replace("\n", " ")] == []


def test_what_is_written_is_read_again() -> None:
    first = next(jsonlines.read(io.BytesIO(raw("ours.jsonl"))))
    assert isinstance(first, Archived)
    line = jsonlines.write(first)
    assert line == raw("ours.jsonl").splitlines(keepends=True)[1]
    again = jsonlines.header("news", addresses=True) + line + jsonlines.footer(1)
    assert list(jsonlines.read(io.BytesIO(again))) == [first]


def test_a_wordpress_file_of_ours_is_read_again() -> None:
    before = [e for e in wxr.read(io.BytesIO(raw("wordpress.xml"))) if isinstance(e, Archived)][:2]
    hostile = before[0]._replace(text="]]> & <b> \n\n</wp:comment>", name="]]><x>", thread="a page", thread_title="")
    text = wxr_writer.head("N & M", "https://news.example", "ar")
    text += (
        wxr_writer.begin_item(1, before[0]) + wxr_writer.comment(1, 0, before[0]) + wxr_writer.comment(2, 1, before[1])
    )
    text += wxr_writer.end_item() + wxr_writer.begin_item(2, hostile) + wxr_writer.comment(3, 0, hostile)
    text += wxr_writer.end_item() + wxr_writer.tail()
    assert recognise(text.encode()) == "wxr"
    after = taken(list(wxr.read(io.BytesIO(text.encode()))))
    for number, parent, was in (("1", "", before[0]), ("2", "1", before[1])):
        assert after[number] == was._replace(source_id=number, external_id=number, parent=parent)
    assert after["3"].text == hostile.text
    assert (after["3"].thread, after["3"].thread_title) == ("1000000002", "a page")


@pytest.mark.parametrize(
    ("name", "format"),
    [("wordpress.xml", "wxr"), ("disqus.xml", "disqus"), ("remark42.jsonl", "remark42"), ("ours.jsonl", "jsonl")],
)
def test_formats_are_known_by_what_stands_in_them(name: str, format: str, tmp_path: Path) -> None:
    assert recognise(raw(name)) == format
    assert recognise(b"\xef\xbb\xbf\n" + raw(name)) == format
    plain, packed = tmp_path / "plain", tmp_path / "packed.txt"
    plain.write_bytes(raw(name))
    packed.write_bytes(gzip.compress(raw(name)))
    assert ArchiveFile(packed).format == format
    assert list(ArchiveFile(packed).entries()) == list(ArchiveFile(plain).entries())
    with pytest.raises(Unreadable, match=f"looks like {format}"):
        ArchiveFile(plain, "isso")


@pytest.mark.parametrize(
    "head",
    [b"", b"%PDF-1.7", b"<html><body>", b"<rss version='2.0'><channel>", b"{}", b"[1]", b'{"version":1}', b"{" * 9000, b"<" * 9000, b"\xff\xfe<"],
)  # fmt: skip
def test_what_is_none_of_them_is_named_as_such(head: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(head)
    with pytest.raises(Unreadable, match=r"none of these|is empty"):
        ArchiveFile(tmp_path / "x")


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(Unreadable, match=r"no file|No such file"):
            ArchiveFile(path)


@pytest.mark.parametrize("name", ["wordpress.xml", "disqus.xml", "ours.jsonl"])
def test_a_file_that_is_cut_anywhere_is_never_taken_for_whole(name: str, tmp_path: Path) -> None:
    whole = raw(name).rstrip()
    for end in range(600, len(whole) - 1, 97):
        (tmp_path / "cut").write_bytes(whole[:end])
        with pytest.raises(Unreadable, match="cut short"):
            list(ArchiveFile(tmp_path / "cut").entries())


def test_a_packed_file_and_a_database_that_are_cut_are_said_to_be(tmp_path: Path, isso_file: Path) -> None:
    packed = gzip.compress(raw("remark42.jsonl"))
    (tmp_path / "cut").write_bytes(packed[: len(packed) - 20])
    with pytest.raises(Unreadable, match="cut short"):
        list(ArchiveFile(tmp_path / "cut").entries())
    (tmp_path / "lines").write_bytes(raw("remark42.jsonl").partition(b"not a comment")[0][:-30])
    with pytest.raises(Unreadable, match="cut short: line 4"):
        list(ArchiveFile(tmp_path / "lines").entries())
    (tmp_path / "db").write_bytes(isso_file.read_bytes()[:-4096])
    with pytest.raises(Unreadable, match="cut short"):
        list(ArchiveFile(tmp_path / "db").entries())
    other = sqlite3.connect(tmp_path / "other")
    other.executescript("CREATE TABLE pages (id)")
    other.close()
    with pytest.raises(Unreadable, match="not one of Isso"):
        ArchiveFile(tmp_path / "other")


@pytest.mark.parametrize("name", ["wordpress.xml", "disqus.xml", "remark42.jsonl", "ours.jsonl", "isso"])
def test_a_damaged_file_is_read_or_refused(name: str, tmp_path: Path, isso_file: Path) -> None:
    whole = isso_file.read_bytes() if name == "isso" else raw(name)
    dice, refused = random.Random(5), 0
    for _ in range(100):
        damaged = bytearray(whole)
        for _ in range(dice.randint(1, 5)):
            at = dice.randrange(len(damaged))
            damaged[at : at + dice.randrange(3)] = dice.choice(
                [b"\x93", b'"', b"9" * 400, b"{", b"<x>", b"\\ud800", b"\0"]
            )
        (tmp_path / "damaged").write_bytes(damaged)
        try:
            list(ArchiveFile(tmp_path / "damaged").entries())
        except Unreadable:
            refused += 1
    assert refused > 0


BOMB = b"""<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<rss xmlns:wp="http://wordpress.org/export/1.2/"><channel><title>&b;</title></channel></rss>"""
OUTSIDE = BOMB.replace(b'<!ENTITY a "aaaaaaaaaa">', b'<!ENTITY a SYSTEM "file:///etc/hostname">')


@pytest.mark.parametrize("document", [BOMB, OUTSIDE])
def test_entities_are_refused(document: bytes) -> None:
    with pytest.raises(Unreadable, match="declares entities"):
        list(wxr.read(io.BytesIO(document)))


def comment(content: bytes, ident: bytes = b"1") -> bytes:
    return (
        b"<wp:comment><wp:comment_id>" + ident + b"</wp:comment_id><wp:comment_date_gmt>2020-01-01 00:00:00</wp:comment_date_gmt>"
        b"<wp:comment_approved>1</wp:comment_approved><wp:comment_content>" + content + b"</wp:comment_content></wp:comment>"
    )  # fmt: skip


def wordpress(*comments: bytes, encoding: bytes = b"UTF-8") -> io.BytesIO:
    start = (
        b'<?xml version="1.0" encoding="' + encoding + b'"?><rss xmlns:wp="http://wordpress.org/export/1.2/"><channel>'
    )
    return io.BytesIO(
        start + b"<item><wp:post_id>1</wp:post_id>" + b"".join(comments) + b"</item></channel></rss>"
    )  # fmt: skip


def test_what_is_no_utf8_and_what_xml_forbids_does_not_stop_a_file() -> None:
    (found,) = wxr.read(wordpress(comment(b"a\xff\xc3b\x08\x00c <![CDATA[\x0b\xed\xa0\x80]]>")))
    assert isinstance(found, Archived)
    assert found.text.replace("�", "") == "abc "
    (found,) = wxr.read(wordpress(comment("شكراً".encode("cp1256")), encoding=b"windows-1256"))
    assert isinstance(found, Archived)
    assert found.text == "شكراً"
    for odd in (b"nothing", b"rot13", b"base64"):
        with pytest.raises(Unreadable, match="encoding"):
            list(wxr.read(wordpress(encoding=odd)))


def test_what_is_not_well_formed_is_said_with_its_line_and_not_its_words() -> None:
    with pytest.raises(Unreadable, match=r"no XML at line \d+: mismatched tag") as caught:
        list(wxr.read(wordpress(comment(b"canary@example.org</b>"))))
    assert "canary" not in str(caught.value)
    with pytest.raises(Unreadable, match="nested too deeply"):
        list(wxr.read(wordpress(b"<a>" * 300)))


def test_huge_texts_and_tags_are_bounded() -> None:
    huge = wordpress(comment(b"x" * 5_000_000), comment(b"fine", b"2"))
    first, second = wxr.read(huge)
    assert isinstance(first, Archived)
    assert isinstance(second, Archived)
    assert 65_525 < len(first.text) < 1_000_000  # seen to be too long, and no more of it kept
    assert second.text == "fine"
    with pytest.raises(Unreadable, match="no end"):
        list(wxr.read(wordpress(b"<!-- " + b"x" * 9_000_000)))
    lines = raw("ours.jsonl").splitlines(keepends=True)
    lines.insert(2, b'{"id": "' + b"x" * 9_000_000 + b'"}\n')
    lines[-1] = jsonlines.footer(4)
    assert passed_over(list(jsonlines.read(io.BytesIO(b"".join(lines))))) == {
        "line 3": Reason.DAMAGED,
        "line 5": Reason.DAMAGED,
    }


@pytest.mark.parametrize(
    "markup", ["<b>", "<a href=x>", "<p>", "<", "&", "<!--", "<table><b>", "<blockquote>", "<pre>", "<li>"]
)
def test_any_markup_becomes_text_and_the_work_is_bounded(markup: str) -> None:
    found = to_text(markup * (60_000 // len(markup)) + "end", keep_lines=False)
    assert found == "" or "end" in found or len(found) > 10_000


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<script>alert(1)</script>hello<style>p{}</style>", "hello"),
        ('<a href="https://a.example/very/long/page">a.example/very/lon…</a>', "https://a.example/very/long/page"),
        ('<a href="javascript:alert(1)">press</a>', "press"),
        ('<img src="https://a.example/cat.gif" onerror=x>', "https://a.example/cat.gif"),
        ("<blockquote><p>one</p><p>two</p></blockquote><p>three</p>", "> one\n\n> two\n\nthree"),
        ("a&nbsp;b &lt;b&gt; &amp;amp;", "a\xa0b <b> &amp;"),
        ("one\ntwo <b>three</b>", "one two three"),
        ("<h1>T</h1>x<hr>y", "T\n\nx\n\ny"),
    ],
)
def test_html_becomes_what_people_would_type(markup: str, text: str) -> None:
    assert to_text(markup, keep_lines=False) == text


def test_dates() -> None:
    assert ms_of("2019-01-02 03:04:05") == ms_of("2019-01-02T06:04:05+03:00") == 1546398245000
    for odd in ("", "0000-00-00 00:00:00", "yesterday", "1969-01-01", "99999-01-01", "0001-01-01T00:00:00+14:00"):
        assert ms_of(odd) is None
    assert ms_of("9999-12-31T23:59:59Z") is not None
    assert iso(int(time.time() * 1000)).endswith("Z")
