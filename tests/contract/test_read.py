"""Reading what was approved: for anyone, never stale, nothing private."""

import gzip
import json
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pytest

from tests.service import ADMIN, Answer, Receiver, Service, until

PUBLIC = {
    "id",
    "thread",
    "parent",
    "status",
    "author",
    "text",
    "html",
    "locale",
    "direction",
    "created_at",
    "approved_at",
    "external_id",
}


def read(service: Service, site: str, thread: str = "41", query: str = "", **headers: str) -> Answer:
    return service.get(f"/api/v1/sites/{site}/threads/{quote(thread, safe='')}/comments{query}", None, **headers)


def approved(service: Service, site: str, **fields: str) -> str:
    comment = str(service.comment(site, **fields)["id"])
    assert service.decide(comment, "approve").status == 200
    return comment


def test_only_what_is_approved_is_read_with_public_fields(service: Service, site: str) -> None:
    made = {decision: service.comment(site)["id"] for decision in ("approve", "reject", "spam", "hold")}
    for decision, comment in made.items():
        service.decide(comment, decision, reason="internal")
    answer = read(service, site)
    (item,) = answer.json["items"]
    assert (item["id"], item["status"], answer.json["total"]) == (made["approve"], "approved", 1)
    assert set(item) == PUBLIC
    assert set(item["author"]) == {"id", "name", "url"}
    assert item["approved_at"] >= item["created_at"]
    assert "internal" not in answer.text
    assert "reader-" not in answer.text


@pytest.mark.parametrize("name", ["cafe\u0301", " padded ", "a\tb", "صفحة/١?x=1&y#z"])
def test_a_thread_is_found_under_the_very_name_that_was_posted(service: Service, site: str, name: str) -> None:
    comment = approved(service, site, thread=name)
    assert [item["id"] for item in read(service, site, name).json["items"]] == [comment]
    asked = quote(name, safe="")
    assert service.get(f"/api/v1/sites/{site}/counts?thread={asked}").json == {"counts": {name: 1}}
    assert comment in service.get(f"/api/v1/sites/{site}/threads/{asked}/feed.atom").text
    assert comment in service.get(f"/sites/{site}/threads/{asked}").text
    assert service.get(f"/api/v1/comments?site={site}&thread={asked}", ADMIN).json["total"] == 1


def test_the_etag_changes_with_each_decision_and_saves_the_body(service: Service, site: str) -> None:
    comment = service.comment(site)["id"]
    tags = [read(service, site).headers["etag"]]
    for decision in ("approve", "hold", "approve", "reject", "approve", "spam"):
        service.decide(comment, decision)
        fresh = read(service, site, **{"if-none-match": tags[-1]})
        assert fresh.status == 200
        tags.append(fresh.headers["etag"])
        for matching in (tags[-1], f'"x", W/{tags[-1]}', "*"):
            kept = read(service, site, **{"if-none-match": matching})
            assert (kept.status, kept.raw, kept.headers["etag"]) == (304, b"", tags[-1])
            assert kept.headers["access-control-allow-origin"] == "*"
    assert len(set(tags)) == len(tags)


def test_undo_changes_the_etag_too_and_other_threads_keep_theirs(service: Service, site: str) -> None:
    comment, elsewhere = service.comment(site)["id"], read(service, site, "42").headers["etag"]
    service.decide(comment, "approve", undo_seconds=60)
    held = read(service, site).headers["etag"]
    service.send("POST", f"/api/v1/comments/{comment}/undo")
    assert read(service, site).headers["etag"] != held
    assert read(service, site, "42", **{"if-none-match": elsewhere}).status == 304


@pytest.mark.parametrize("query", ["", "?limit=0", "?colour=red"])
def test_any_page_may_read_also_the_errors(service: Service, site: str, query: str) -> None:
    answer = read(service, site, "41", query, origin="https://anywhere.example")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", ["threads/41/comments", "threads/41/feed.atom", "counts?thread=41"])
def test_any_page_may_ask_whether_its_copy_is_still_good(service: Service, site: str, path: str) -> None:
    asked = {"origin": "https://anywhere.example", "access-control-request-method": "GET", "access-control-request-headers": "if-none-match"}  # fmt: skip
    answer = service.request("OPTIONS", f"/api/v1/sites/{site}/{path}", None, asked)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (204, "*")
    assert "GET" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "if-none-match"
    known = service.request("HEAD", f"/api/v1/sites/{site}/{path}", None, asked)
    assert (known.status, known.raw, known.headers["access-control-allow-origin"]) == (200, b"", "*")


def test_pages_follow_by_cursor_in_both_orders(service: Service, site: str) -> None:
    made = [approved(service, site) for _ in range(5)]
    for order, expected in (("oldest", made), ("newest", made[::-1])):
        seen, cursor = [], ""
        while True:
            page = read(service, site, "41", f"?order={order}&limit=2&cursor={cursor}").json
            seen += [item["id"] for item in page["items"]]
            assert page["total"] == 5
            if not (cursor := page["next_cursor"]):
                break
        assert seen == expected


@pytest.mark.parametrize(
    ("query", "field"),
    [("limit=0", "limit"), ("limit=201", "limit"), ("order=best", "order"), ("cursor=x", "cursor"), ("x=1", "x")],
)
def test_a_wrong_query_names_its_field(service: Service, site: str, query: str, field: str) -> None:
    answer = read(service, site, "41", "?" + query)
    assert (answer.status, list(answer.errors)) == (422, [field])


@pytest.mark.parametrize(
    "thread",
    [
        "a/b/c",
        "مقال عن القهوة",
        "😀",
        "https://news.example/?p=1&x=2#y",
        "100%",
        "%2F",
        "a b+c",
        "..",
        "-",
        "é" * 512,
        "نصّ/جزء",
    ],
)
def test_threads_of_any_name_are_read(service: Service, site: str, thread: str) -> None:
    comment = approved(service, site, thread=thread)
    items = read(service, site, thread).json["items"]
    assert [(item["id"], item["thread"]) for item in items] == [(comment, thread)]


def test_a_site_or_thread_that_is_not_there(service: Service, site: str) -> None:
    assert read(service, "nowhere").status == 404
    assert read(service, "Not%20A%20Slug").status == 404
    assert read(service, site, "never used").json == {"items": [], "next_cursor": None, "total": 0}


def test_sites_do_not_see_each_others_threads(service: Service, site: str) -> None:
    approved(service, site)
    assert read(service, service.site()).json["items"] == []


def test_html_is_safe_to_print_and_text_is_what_was_said(service: Service, site: str) -> None:
    text = "<script>alert(1)</script>\nhttps://a.example/x"
    approved(service, site, comment=text, author="<b>x</b>")
    (item,) = read(service, site).json["items"]
    assert item["text"] == text
    assert "<script" not in item["html"]
    assert 'rel="nofollow ugc noopener"' in item["html"]
    assert item["author"]["name"] == "<b>x</b>"


def test_the_id_a_receiver_answers_with_is_kept_and_names_the_parent(service: Service, site: str) -> None:
    own_id = f"wp-{uuid.uuid4().hex[:6]}"
    receiver = Receiver(lambda n: (201, json.dumps({"external_id": own_id if n == 1 else n}).encode()))
    service.send("POST", f"/api/v1/sites/{site}/endpoints", {"url": receiver.url})
    before = read(service, site).headers["etag"]
    first = approved(service, site)

    def item() -> Any:
        return next((i for i in read(service, site).json["items"] if i["external_id"] == own_id), None)

    assert until("the site's id to be stored", item)["id"] == first
    assert read(service, site, **{"if-none-match": before}).status == 200
    assert service.one(first)["external_id"] == own_id
    for parent in (own_id, first):
        reply = service.comment(site, parent=parent)["id"]
        assert service.one(reply)["parent"] == first
    service.decide(reply, "approve")
    receiver.next()
    assert json.loads(receiver.next()[1])["data"]["comment"]["parent"] == first
    receiver.close()


def test_counts_of_several_threads(service: Service, site: str) -> None:
    for thread, number in (("a", 2), ("ب", 1), ("c/d?e", 1)):
        for _ in range(number):
            approved(service, site, thread=thread)
    service.comment(site, thread="a")
    query = "&".join("thread=" + quote(name, safe="") for name in ("a", "ب", "c/d?e", "none", "a"))
    answer = service.get(f"/api/v1/sites/{site}/counts?{query}", origin="https://elsewhere.example")
    assert answer.json == {"counts": {"a": 2, "ب": 1, "c/d?e": 1, "none": 0}}
    assert answer.headers["access-control-allow-origin"] == "*"
    assert service.get(f"/api/v1/sites/{site}/counts").errors == {"thread": "required"}
    assert service.get(f"/api/v1/sites/{site}/counts?" + "thread=x&" * 3).status == 200
    assert service.get(f"/api/v1/sites/{site}/counts?" + "&".join(f"thread={n}" for n in range(201))).errors == {"thread": "too_long"}  # fmt: skip
    assert service.get("/api/v1/sites/nowhere/counts?thread=a").status == 404


ATOM = "{http://www.w3.org/2005/Atom}"


def atom(service: Service, site: str, thread: str = "41", **headers: str) -> Answer:
    return service.get(f"/api/v1/sites/{site}/threads/{quote(thread, safe='')}/feed.atom", None, **headers)


def test_the_feed_is_atom_with_the_newest_first_and_nothing_private(service: Service) -> None:
    site = service.site(thread_url_template="https://news.example/?p={thread}", name="صحيفة <الصباح> & المساء")
    first = approved(
        service,
        site,
        author="ليلى <b>",
        comment="شكراً <script>alert(1)</script> https://x.example",
        thread_title="المكتبة",
    )
    second = approved(service, site, author="x me@example.org", parent=first, locale="en")
    service.comment(site)
    answer = atom(service, site)
    assert answer.headers["content-type"] == "application/atom+xml"
    assert answer.headers["access-control-allow-origin"] == "*"
    feed = ElementTree.fromstring(answer.text)
    assert feed.tag == ATOM + "feed"
    assert feed.findtext(ATOM + "title") == "المكتبة – صحيفة <الصباح> & المساء"
    assert feed.find(f"{ATOM}link").get("href") == f"{service.base}/api/v1/sites/{site}/threads/41/feed.atom"  # type: ignore[union-attr]
    entries = feed.findall(ATOM + "entry")
    assert [e.findtext(ATOM + "id") for e in entries] == [f"urn:uuid:{second}", f"urn:uuid:{first}"]
    assert entries[1].findtext(f"{ATOM}author/{ATOM}name") == "ليلى <b>"
    content = entries[1].findtext(ATOM + "content") or ""
    assert '<div dir="rtl">' in content
    assert "<script" not in content
    assert entries[1].find(ATOM + "link").get("href") == f"https://news.example/?p=41#comment-{first}"  # type: ignore[union-attr]
    assert "me@example.org" not in answer.text
    assert "reader-" not in answer.text
    assert feed.findtext(ATOM + "updated") == entries[0].findtext(ATOM + "updated")
    assert atom(service, site, **{"if-none-match": answer.headers["etag"]}).status == 304
    service.decide(second, "hold")
    assert atom(service, site, **{"if-none-match": answer.headers["etag"]}).text.count("<entry") == 1


def test_an_empty_feed_is_a_feed(service: Service, site: str) -> None:
    feed = ElementTree.fromstring(atom(service, site, "مقال جديد").text)
    assert feed.findall(ATOM + "entry") == []
    assert atom(service, "nowhere").status == 404


# taking it back


def private_path(service: Service, receipt: dict[str, Any]) -> str:
    return str(receipt["status_url"]).removeprefix(service.base)


@pytest.mark.parametrize("decision", ["", "approve", "reject", "spam"])
@pytest.mark.parametrize("method", ["DELETE", "POST"])
def test_a_comment_that_is_withdrawn_is_gone_everywhere(service: Service, decision: str, method: str) -> None:
    site, receiver = service.site(), Receiver()
    service.send("POST", f"/api/v1/sites/{site}/endpoints", {"url": receiver.url, "events": ["comment.erased"]})
    receipt = service.comment(site, thread="41", external_id="wp-9", comment="أمر سأندم على قوله")
    if decision:
        service.decide(receipt["id"], decision)
    path = private_path(service, receipt)
    assert service.get(path, accept="text/html").status == 200
    assert service.get(path).json["status"] in {"pending", "approved", "rejected"}
    assert service.request(method, path, b"", {"accept": "text/html"}).status == (204 if method == "DELETE" else 200)
    assert service.get(path).status == 404
    assert service.request(method, path, b"").status == 404
    assert service.get(f"/api/v1/comments/{receipt['id']}", ADMIN).status == 404
    assert service.get(f"/api/v1/comments?site={site}", ADMIN).json["total"] == 0
    assert read(service, site).json["total"] == 0
    event = json.loads(receiver.next()[1])
    assert (event["type"], event["data"]["comment"]) == (
        "comment.erased",
        {"id": receipt["id"], "thread": "41", "external_id": "wp-9"},
    )
    assert event["data"]["sequence"] == (2 if decision else 1)
    audit = service.get(f"/api/v1/sites/{site}/audit", ADMIN).json["items"][0]
    assert (audit["action"], audit["by"]) == ("comment.erased", "author")
    assert service.comment(site, external_id="wp-9")  # the id is free again
    receiver.close()


def test_nobody_else_withdraws_a_comment(service: Service, site: str) -> None:
    one, other = service.comment(site), service.comment(site)
    forged = private_path(service, one).replace(one["id"], other["id"])
    for method in ("DELETE", "POST"):
        assert service.request(method, forged, b"").status == 404
    assert service.one(other["id"])["status"] == "pending"


def test_who_withdrew_may_say_it_again(service: Service, site: str) -> None:
    fields = {"author": "x", "email": "again@example.net", "comment": "the same words", "thread": "41"}
    first = service.post(f"/api/v1/sites/{site}/comments", fields)
    assert service.post(f"/api/v1/sites/{site}/comments", fields).status == 409
    service.request("DELETE", private_path(service, first.json))
    assert service.post(f"/api/v1/sites/{site}/comments", fields).status == 202


def test_everything_of_an_address_is_erased(service: Service) -> None:
    sites = [service.site(), service.site()]
    who = f"gone-{uuid.uuid4().hex[:8]}@example.net"
    for site in sites:
        for thread in ("1", "2"):
            service.comment(site, email=who, thread=thread)
        service.comment(site)
    answer = service.send("POST", "/api/v1/erase", {"email": who.upper()})
    assert answer.status == 200
    assert (answer.json["erased"], {site: answer.json["sites"][site] for site in sites}) == (4, dict.fromkeys(sites, 2))
    assert who not in answer.text
    assert [service.get(f"/api/v1/comments?site={site}", ADMIN).json["total"] for site in sites] == [1, 1]
    assert service.send("POST", "/api/v1/erase", {"email": who}).json["erased"] == 0
    assert service.send("POST", "/api/v1/erase", {"email": "nobody"}).errors == {"email": "invalid"}
    token = service.send("POST", "/api/v1/tokens", {"name": "x", "role": "moderator"}).json["token"]
    assert service.send("POST", "/api/v1/erase", {"email": who}, token).status == 403


def test_an_admin_erases_one_comment(service: Service, site: str) -> None:
    comment_id = service.comment(site)["id"]
    token = service.send("POST", "/api/v1/tokens", {"name": "x", "role": "moderator"}).json["token"]
    assert service.send("DELETE", f"/api/v1/comments/{comment_id}", {}, token).status == 403
    assert service.send("DELETE", f"/api/v1/comments/{comment_id}").status == 204
    assert service.send("DELETE", f"/api/v1/comments/{comment_id}").status == 404


def test_the_shell_erases_too(service: Service) -> None:
    who, site = f"shell-{uuid.uuid4().hex[:8]}@example.net", service.site()
    service.comment(site, email=who)
    command = [sys.executable, "-m", "moderation", "erase", who, "--yes", "--data", str(service.data)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"{site}: 1 erased" in found.stdout
    assert who not in found.stdout


# sent packed


@pytest.mark.parametrize("path", ["/api/v1/sites/{site}/threads/41/comments", "/api/v1/sites/{site}/threads/41/feed.atom", "/sites/{site}/threads/41"])  # fmt: skip
def test_who_accepts_gzip_gets_it_under_a_tag_of_its_own(service: Service, site: str, path: str) -> None:
    path = path.format(site=site)
    for _ in range(3):
        approved(service, site)
    plain = service.get(path)
    packed = service.get(path, **{"accept-encoding": "gzip, br"})
    assert (packed.headers["content-encoding"], "content-encoding" in plain.headers) == ("gzip", False)
    assert gzip.decompress(packed.raw) == plain.raw
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    tags = [answer.headers["etag"] for answer in (plain, packed)]
    assert tags[0] != tags[1]
    for encoding, tag in (("identity", tags[0]), ("gzip", tags[1])):
        kept = service.get(path, **{"accept-encoding": encoding, "if-none-match": tag})
        assert (kept.status, kept.raw, kept.headers["etag"]) == (304, b"", tag)


def test_many_readers_at_once_get_the_same_and_nothing_old(service: Service, site: str) -> None:
    """All who ask in one tick share an answer of Redis; whoever asks after a decision sees it."""
    with ThreadPoolExecutor(8) as readers:
        for number in range(1, 6):
            approved(service, site)
            found = list(
                readers.map(lambda _: (read(service, site), read(service, site, "41", "?view=nested")), range(16))
            )
            assert {answer.json["total"] for pair in found for answer in pair} == {number}
            counted = readers.map(lambda _: service.get(f"/api/v1/sites/{site}/counts?thread=41").json["counts"]["41"], range(16))  # fmt: skip
            assert set(counted) == {number}
