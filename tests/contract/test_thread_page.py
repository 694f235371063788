"""The page of a thread, as a browser without JavaScript gets it: safe, fresh, framed by the site alone, and it takes comments."""

import html
import re
import time
from html.parser import HTMLParser
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.contract.test_read import approved
from tests.service import ADMIN, HTML, Answer, Service, said

BROWSER = {"accept": HTML}


def address(site: str, thread: str = "41") -> str:
    return f"/sites/{site}/threads/{quote(thread, safe='')}"


def look(service: Service, site: str, query: str = "", thread: str = "41", **headers: str) -> Answer:
    return service.get(address(site, thread) + query, None, **BROWSER, **headers)


class Outline(HTMLParser):
    """Which comments stand on a page, each with the one it stands below, and the names of the form's fields."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.below: dict[str, str] = {}
        self.fields: dict[str, str | None] = {}
        self.links: list[str] = []
        self._path: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        assert self._open == [], "every list is closed"

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if tag in {"ol", "li", "article", "section", "main", "form"}:
            self._open.append(tag)
        if tag == "article":
            name = str(given["id"]).removeprefix("comment-")
            depth = self._open.count("li")
            del self._path[max(0, depth - 1) :]
            self.below[name] = self._path[-1] if self._path else ""
            self._path.append(name)
        if tag in {"input", "textarea"}:
            self.fields[str(given["name"])] = given.get("value")
        if tag == "a":
            self.links.append(str(given["href"]))

    def handle_endtag(self, tag: str) -> None:
        if tag in {"ol", "li", "article", "section", "main", "form"}:
            assert self._open.pop() == tag


def test_approved_comments_stand_below_what_they_answer(service: Service, site: str) -> None:
    first = approved(service, site, author="ليلى", comment="الأول")
    second = approved(service, site, comment="Second, in English", locale="en")
    reply = approved(service, site, comment="ردّ", parent=first)
    below = approved(service, site, comment="ردّ على الرد", parent=reply)
    service.comment(site, comment="still waits")
    page = look(service, site)
    outline = Outline(page.text)
    assert outline.below == {first: "", reply: first, below: reply, second: ""}
    assert list(outline.below) == [first, reply, below, second]
    assert "still waits" not in page.text
    assert "reader-" not in page.text
    assert '<html lang="ar" dir="rtl">' in page.text
    assert re.search(r'class="said" dir="ltr" lang="en"><p dir="auto">Second', page.text)
    newest = Outline(look(service, site, "?order=newest").text).below
    assert list(newest) == [second, first, reply, below]
    flat = look(service, site, "?view=flat")
    assert list(Outline(flat.text).below) == [first, second, reply, below]
    assert set(Outline(flat.text).below.values()) == {""}
    assert [flat.text.count(f'href="#comment-{one}"') for one in (first, reply, below)] == [1, 1, 0]
    assert 'dir="ltr"' in look(service, site, "?lang=en").text.partition("<head>")[0]
    assert 'lang="ar"' in look(service, site, "?lang=xx").text.partition("<head>")[0]


def test_what_is_deep_stands_at_the_fifth_level_and_says_whom_it_answers(service: Service, site: str) -> None:
    chain = [approved(service, site)]
    for _ in range(6):
        chain.append(approved(service, site, parent=chain[-1]))
    page = look(service, site).text
    below = Outline(page).below
    assert list(below) == chain
    assert [below[c] for c in chain[:5]] == ["", *chain[:4]]
    assert below[chain[5]] == below[chain[6]] == chain[3]
    assert f'href="#comment-{chain[4]}"' in page
    assert page.count('href="#comment-') == 2


def test_everything_is_escaped(service: Service) -> None:
    evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    site = service.site(name=evil)
    approved(
        service, site, author=evil, comment=evil, thread=evil, thread_title=evil, url="https://a.example/?a=%22%3E"
    )
    page = look(service, site, thread=evil).text
    assert "<script" not in page
    assert "<img" not in page
    assert html.escape("<script>alert(1)</script>") in page
    assert "<script" not in look(service, site, "?lang=%22%3E%3Cscript%3E", thread=evil).text


def test_it_is_fresh_kept_and_framed_by_the_site_alone(service: Service) -> None:
    site = service.site(origins=["https://news.example", "https://www.news.example"])
    before = look(service, site)
    assert "frame-ancestors https://news.example https://www.news.example" in before.headers["content-security-policy"]
    assert "unsafe" not in before.headers["content-security-policy"]
    assert "x-frame-options" not in before.headers
    assert (before.headers["cache-control"], before.headers["referrer-policy"]) == ("no-cache", "same-origin")
    kept = look(service, site, **{"if-none-match": before.headers["etag"]})
    assert (kept.status, kept.raw) == (304, b"")
    comment = approved(service, site, comment="نص جديد")
    fresh = look(service, site, **{"if-none-match": before.headers["etag"]})
    assert "نص جديد" in fresh.text
    service.decide(comment, "hold")
    assert "نص جديد" not in look(service, site).text
    service.send("PATCH", f"/api/v1/sites/{site}", {"origins": []})
    assert "frame-ancestors 'none'" in look(service, site).headers["content-security-policy"]


def test_a_site_that_is_not_there_and_a_wrong_query(service: Service, site: str) -> None:
    for answer in (look(service, "nowhere"), look(service, "Not%20A%20Slug")):
        assert answer.status == 404
        assert answer.headers["content-type"].startswith("text/html")
    for query in ("?view=x", "?order=best", "?cursor=x", "?at=%00", "?parent=1", "?comment_id=%3Cb%3E"):
        assert look(service, site, query).status == 422
    assert look(service, site, "?utm_source=letter&fbclid=x").status == 200


def test_pages_follow_by_plain_links(service: Service, site: str) -> None:
    ids = [service.comment(site)["id"] for _ in range(120)]
    service.send("POST", "/api/v1/decisions", {"ids": ids, "decision": "approve"})
    reply = approved(service, site, parent=ids[0])
    for query, expected in (
        ("", [ids[0], reply, *ids[1:]]),
        ("?order=newest", [*ids[:0:-1], ids[0], reply]),
        ("?view=flat", [*ids, reply]),
        ("?view=flat&order=newest", [reply, *ids[::-1]]),
    ):
        seen: list[str] = []
        while True:
            page = look(service, site, query).text
            seen += Outline(page).below
            follows = re.search(r'<a class="button quiet" rel="next" href="([^"]+)"', page)
            if not follows:
                break
            query = html.unescape(follows[1])
        assert seen == expected
    flat = look(service, site, "?view=flat&order=newest").text
    elsewhere = re.search(rf'href="(\?[^"#]*at={ids[0]})#comment-{ids[0]}"', flat)
    assert elsewhere, "the reply leads to the page of what it answers"
    assert next(iter(Outline(look(service, site, html.unescape(elsewhere[1])).text).below)) == ids[0]
    for query, begins in ((f"?at={reply}", ids[0]), (f"?view=flat&at={ids[100]}", ids[100])):
        assert next(iter(Outline(look(service, site, query).text).below)) == begins


def sent(service: Service, site: str, query: str = "", thread: str = "41", **fields: str) -> Answer:
    """The form of the page as a browser sends it."""
    form = {name: value or "" for name, value in Outline(look(service, site, query, thread).text).fields.items()}
    form.pop("notify_replies")  # an unticked box is not sent
    mine = {name: value for name, value in said(**fields).items() if name != "thread"}
    return service.form(
        address(site, thread) + query, form | mine, origin=service.base, referer=service.base + address(site, thread)
    )


@pytest.mark.parametrize("template", [None, "https://news.example/?p={thread}"])
@pytest.mark.parametrize("thread", ["41", "https://news.example/مقال?x=1&y"])
def test_who_writes_comes_back_to_the_page_and_reads_that_the_comment_waits(
    service: Service, template: str | None, thread: str
) -> None:
    site = service.site(thread_url_template=template)
    answer = sent(service, site, "?view=flat&lang=en", thread)
    assert answer.status == 303
    target = urlsplit(answer.headers["location"])
    assert answer.headers["location"].startswith(service.base + address(site, thread) + "?")
    (comment,) = service.get(f"/api/v1/comments?site={site}", ADMIN).json["items"]
    assert parse_qs(target.query) == {
        "view": ["flat"], "lang": ["en"], "comment_status": ["pending"], "comment_id": [comment["id"]]
    }  # fmt: skip
    assert (comment["thread"]["id"], comment["locale"], comment["parent"]) == (thread, "en", None)
    page = service.get(f"{target.path}?{target.query}", None, **BROWSER)
    assert f'id="{target.fragment}"' in page.text
    assert "Your comment waits for review" in page.text
    assert comment["text"] not in page.text
    assert "waits for review" not in look(service, site, "?view=flat&lang=en", thread).text


def test_where_comments_are_published_at_once_the_page_begins_with_it(service: Service) -> None:
    site = service.site(policy={"mode": "publish_unless_flagged", "rate_limits": False})
    target = urlsplit(sent(service, site, comment="خبر سارّ").headers["location"])
    assert "comment_status=approved" in target.query
    page = service.get(f"{target.path}?{target.query}", None, **BROWSER).text
    assert "شكرًا" in page or "شكراً" in page
    assert f'<article id="{target.fragment}"' in page


def test_a_reply_has_a_page_of_its_own(service: Service, site: str) -> None:
    first = approved(service, site, author="Maya", comment="A question?", thread_title="كتب")
    other = approved(service, site, thread="42")
    page = look(service, site, f"?parent={first}")
    assert list(Outline(page.text).below) == [first]
    assert Outline(page.text).fields["parent"] == first
    assert sent(service, site, f"?parent={first}", comment="جواب").status == 303
    (reply,) = service.get(f"/api/v1/comments?site={site}&status=pending", ADMIN).json["items"]
    assert (reply["parent"], reply["thread"]["title"]) == (first, "كتب")
    for missing in (other, reply["id"], "00000000-0000-7000-8000-000000000000"):
        page = look(service, site, f"?parent={missing}")
        assert page.status == 200
        assert "parent" not in Outline(page.text).fields
        assert 'role="alert"' in page.text


def test_a_refused_comment_keeps_what_was_typed_in_the_frame_of_the_site(service: Service, site: str) -> None:
    first = approved(service, site)
    answer = sent(service, site, f"?parent={first}", email="nobody", comment="كلام طويل")
    assert answer.status == 422
    assert "frame-ancestors https://news.example" in answer.headers["content-security-policy"]
    fields = Outline(answer.text).fields
    assert (fields["email"], fields["parent"], fields["thread"]) == ("nobody", first, "41")
    assert "كلام طويل" in answer.text
    assert service.base + address(site) in Outline(answer.text).links
    again = {**{n: v or "" for n, v in fields.items()}, "comment": "كلام طويل", "email": "a@example.net"}
    assert service.form(address(site), again, origin=service.base).status == 303
    elsewhere = service.form(address(site), said(), origin="https://evil.example")
    assert elsewhere.status == 403
    door = service.form(f"/api/v1/sites/{site}/comments", {})
    assert "frame-ancestors 'none'" in door.headers["content-security-policy"]


def test_the_address_says_which_thread_it_is(service: Service, site: str) -> None:
    assert service.form(address(site, "7"), said(thread="8"), origin=service.base).status == 303
    (comment,) = service.get(f"/api/v1/comments?site={site}", ADMIN).json["items"]
    assert comment["thread"]["id"] == "7"


def test_stamp_and_trap_come_with_the_form(service: Service) -> None:
    policy = {"form_stamp": "required", "min_fill_seconds": 60, "trap_field": "website_7", "mode": "publish_unless_flagged", "rate_limits": False}  # fmt: skip
    site = service.site(policy=policy)
    page = look(service, site)
    stamp = Outline(page.text).fields["form_stamp"] or ""
    assert abs(int(stamp.partition(".")[0]) - time.time()) < 60
    assert Outline(page.text).fields["website_7"] is None
    assert look(service, site, **{"if-none-match": page.headers["etag"]}).status == 304
    hasty = sent(service, site)
    assert "comment_status=pending" in hasty.headers["location"]  # a program learns nothing
    old = {**said(), "form_stamp": stamp, "website_7": "https://spam.example"}
    service.form(address(site), old, origin=service.base)
    items = service.get(f"/api/v1/comments?site={site}", ADMIN).json["items"]
    rules = {reason["rule"] for one in items for reason in one["screening"]["reasons"]}
    assert {"fill_time", "trap_field"} <= rules


def test_a_closed_thread_says_so_and_has_no_form(service: Service) -> None:
    site = service.site(policy={"mode": "closed"}, locale="en")
    page = look(service, site).text
    assert "Comments are closed." in page
    assert "<form" not in page


def test_conversations_of_the_api(service: Service, site: str) -> None:
    first, second = approved(service, site), approved(service, site)
    reply = approved(service, site, parent=first)

    def ids(query: str) -> tuple[list[str], str | None]:
        found = service.get(f"/api/v1/sites/{site}/threads/41/comments?view=nested&{query}").json
        assert found["total"] == 3
        return [one["id"] for one in found["items"]], found["next_cursor"]

    assert ids("") == ([first, reply, second], None)
    assert ids("order=newest") == ([second, first, reply], None)
    assert ids("limit=1") == ([first, reply], first)
    assert ids(f"limit=1&cursor={first}") == ([second], None)
    assert ids("limit=1&order=newest") == ([second], second)
    assert ids(f"limit=1&order=newest&cursor={second}") == ([first, reply], None)
    service.decide(first, "hold")
    found = service.get(f"/api/v1/sites/{site}/threads/41/comments?view=nested").json["items"]
    assert [one["id"] for one in found] == [second, reply]
