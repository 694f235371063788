"""Reading what was approved: for anyone, never stale, nothing private."""

import json
import uuid
from typing import Any
from urllib.parse import quote

import pytest

from tests.service import Answer, Receiver, Service, until

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


def test_the_etag_changes_with_each_decision_and_saves_the_body(service: Service, site: str) -> None:
    comment = service.comment(site)["id"]
    tags = [read(service, site).headers["etag"]]
    for decision in ("approve", "hold", "approve", "reject", "approve", "spam"):
        service.decide(comment, decision)
        fresh = read(service, site, **{"if-none-match": tags[-1]})
        assert fresh.status == 200
        tags.append(fresh.headers["etag"])
        for matching in (tags[-1], f'"x", W/{tags[-1]}'):
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
