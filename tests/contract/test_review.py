"""Reviewing: lists, leases, decisions, undo, the right to read an address."""

import asyncio
import json
import uuid
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from moderation.privacy import Privacy
from moderation.settings import Settings
from moderation.store import connection, review
from tests.service import ADMIN, Receiver, Service, said, until

COMMENTS, CLAIM, RELEASE, BULK = "/api/v1/comments", "/api/v1/queue/claim", "/api/v1/queue/release", "/api/v1/decisions"
LEADS_TO = {"approve": "approved", "reject": "rejected", "spam": "spam", "hold": "pending"}
NOBODY = "019a0000-0000-7000-8000-000000000000"


def listed(service: Service, token: str = ADMIN, **query: Any) -> Any:
    answer = service.get(f"{COMMENTS}?{urlencode(query)}", token)
    assert answer.status == 200, answer.text
    return answer.json


def ids(page: Any) -> list[str]:
    return [item["id"] for item in page["items"]]


def token(service: Service, role: str = "moderator", **more: Any) -> str:
    answer = service.send("POST", "/api/v1/tokens", {"name": f"{role}-{uuid.uuid4().hex[:8]}", "role": role, **more})
    assert answer.status == 201, answer.text
    return str(answer.json["token"])


def hook(service: Service, site: str, receiver: Receiver, *events: str) -> str:
    fields = {"url": receiver.url, "events": events or ["comment.approved"]}
    answer = service.send("POST", f"/api/v1/sites/{site}/endpoints", fields)
    assert answer.status == 201, answer.text
    return str(answer.json["id"])


def claim(service: Service, by: str, **asked: Any) -> list[str]:
    answer = service.send("POST", CLAIM, asked, by)
    assert answer.status == 200, answer.text
    return ids(answer.json)


# lists


def test_a_comment_has_the_fields_of_the_contract(service: Service, site: str) -> None:
    made = service.comment(
        site,
        thread="a/b",
        thread_url="https://news.example/a",
        thread_title="عنوان",
        url="https://l.example",
        external_id="wp-1",
    )
    (found,) = listed(service, site=site)["items"]
    one = service.one(made["id"])
    assert one | found == one
    assert found["thread"] == {"id": "a/b", "url": "https://news.example/a", "title": "عنوان"}
    assert found["author"].keys() == {"id", "name", "url", "email_masked"}
    assert found["author"]["email_masked"] == "r•••@e•••.net"
    assert (found["status"], found["version"], found["parent"], found["claim"]) == ("pending", 1, None, None)
    assert (found["direction"], found["locale"], found["external_id"]) == ("rtl", "ar", "wp-1")
    assert (found["decided_at"], found["decided_by"], found["reason"]) == (None, None, None)
    assert found["delivery"] == {"state": "none"}
    assert found["screening"]["verdict"] == "hold"
    assert all(reason.keys() == {"rule", "verdict", "detail"} for reason in found["screening"]["reasons"])
    assert found["html"].startswith("<p")
    assert found["created_at"].endswith("Z")


def test_filters_narrow_and_combine(service: Service, site: str) -> None:
    first = service.comment(site, author="سارة", email="sara@example.net", comment="القهوة أفضل من الشاي", thread="one")
    second = service.comment(site, author="Omar", email="omar@example.net", comment="I prefer tea", thread="two")
    third = service.comment(
        site, author="سارة", email="SARA@example.net", comment="والشاي أيضاً", thread="two", thread_title="Über Kaffee"
    )
    service.decide(second["id"], "approve")
    sara = service.one(first["id"])["author"]["id"]
    for query, found in [
        ({}, [first, second, third]), ({"status": "pending"}, [first, third]), ({"status": "approved"}, [second]), ({"status": "spam"}, []),
        ({"thread": "two"}, [second, third]), ({"thread": "two", "status": "pending"}, [third]), ({"author": sara}, [first, third]),
        ({"author": sara, "thread": "two"}, [third]), ({"author": sara, "status": "approved"}, []), ({"author": "سارة"}, [first, third]), ({"author": "OMAR"}, [second]), ({"author": "sar"}, []), ({"q": "الشاي"}, [first, third]),
        ({"q": "سارة"}, [first, third]), ({"q": "TEA"}, [second]), ({"q": "über"}, [third]), ({"q": "الشاي", "thread": "one"}, [first]), ({"q": "لا شيء"}, []),
        ({"author": sara, "q": "القهوة"}, [first]), ({"sort": "newest"}, [third, second, first]), ({"thread": "", "q": "", "cursor": "", "status": ""}, [first, second, third]),
    ]:  # fmt: skip
        page = listed(service, site=site, **query)
        assert ids(page) == [comment["id"] for comment in found], query
        assert page["total"] == len(found), query


def test_one_authors_id_is_of_no_use_on_another_site(service: Service, site: str) -> None:
    other = service.site()
    here, there = (
        service.one(service.comment(s, email="same@example.net")["id"])["author"]["id"] for s in (site, other)
    )
    assert here != there
    assert listed(service, site=site, author=there)["total"] == 0
    assert here in ids_of_authors(listed(service, author=here))


def ids_of_authors(page: Any) -> set[str]:
    return {item["author"]["id"] for item in page["items"]}


@pytest.mark.parametrize(
    ("query", "field"),
    [("limit=0", "limit"), ("limit=201", "limit"), ("limit=x", "limit"), ("status=lost", "status"), ("sort=best", "sort"), ("cursor=x", "cursor"),
     ("colour=red", "colour"), (f"q={'x' * 201}", "q")],
)  # fmt: skip
def test_a_wrong_query_names_its_field(service: Service, query: str, field: str) -> None:
    answer = service.get(f"{COMMENTS}?{query}", ADMIN)
    assert answer.status == 422
    assert list(answer.errors) == [field]


@pytest.mark.parametrize("sort", ["oldest", "newest", "risk"])
@pytest.mark.parametrize("query", [{}, {"q": "شكراً"}, {"thread": "41"}])
def test_a_walk_sees_each_comment_once_while_they_move(
    service: Service, site: str, sort: str, query: dict[str, str]
) -> None:
    made = [service.comment(site)["id"] for _ in range(9)]
    seen: list[str] = []
    cursor, moves = "", iter(["approve", "spam", "reject", "hold", "approve", "reject"] * 3)
    while True:
        page = listed(service, site=site, sort=sort, limit=2, **query, **({"cursor": cursor} if cursor else {}))
        assert len(page["items"]) <= 2
        assert page["total"] == 9
        seen += ids(page)
        if not (cursor := page["next_cursor"]):
            break
        for comment_id in made[:: len(seen)]:
            assert service.decide(comment_id, next(moves)).status == 200
    assert sorted(seen) == made
    if sort != "risk":
        assert seen == (made if sort == "oldest" else made[::-1])


def test_a_walk_over_several_sites_is_one_list(service: Service) -> None:
    two = [service.site(), service.site()]
    reader = token(service, "viewer", sites=two)
    made = [service.comment(two[n % 2])["id"] for n in range(5)]
    first = listed(service, reader, limit=3)
    rest = listed(service, reader, limit=3, cursor=first["next_cursor"])
    assert ids(first) + ids(rest) == made
    assert (first["total"], rest["next_cursor"]) == (5, None)


def test_one_comment_tells_its_history_and_deliveries(service: Service, site: str, receiver: Receiver) -> None:
    endpoint = hook(service, site, receiver)
    comment = service.comment(site)["id"]
    service.decide(comment, "reject", reason="off-topic", note="ملاحظة")
    service.decide(comment, "approve")
    until("the webhook to be settled", lambda: service.one(comment)["delivery"]["state"] == "delivered")
    found = service.one(comment)
    first, second = found["history"]
    assert (first["decision"], first["from"], first["to"], first["by"], first["reason"], first["note"]) == (
        "reject", "pending", "rejected", "admin", "off-topic", "ملاحظة",
    )  # fmt: skip
    assert (second["decision"], second["from"], second["to"]) == ("approve", "rejected", "approved")
    (sent,) = [d for d in found["deliveries"] if d["kind"] == "webhook"]
    assert (sent["target"], sent["state"]) == (endpoint, "delivered")
    assert [attempt["status"] for attempt in sent["attempts"]] == [200]
    assert found["screening"]["reasons"]


# leases


def test_claims_are_the_oldest_that_nobody_else_holds(service: Service, site: str) -> None:
    made = [service.comment(site)["id"] for _ in range(5)]
    amal, badr = token(service), token(service)
    assert claim(service, amal, site=site, limit=2) == made[:2]
    assert claim(service, badr, site=site, limit=2) == made[2:4]
    assert claim(service, amal, site=site, limit=50) == [*made[:2], made[4]]
    held = service.one(made[0])["claim"]
    assert held["by"].startswith("moderator-")
    assert held["expires_at"] > service.one(made[0])["created_at"]
    assert [bool(item["claim"]) for item in listed(service, site=site)["items"]] == [True] * 5


def test_a_claim_over_all_sites_keeps_no_more_than_it_gives(service: Service) -> None:
    two = [service.site(), service.site()]
    made = [service.comment(two[n % 2])["id"] for n in range(6)]
    amal, badr = token(service, sites=two), token(service, sites=two)
    assert claim(service, amal, limit=3) == made[:3]
    assert claim(service, badr, limit=50) == made[3:]


def test_release_gives_back_what_is_named_or_everything_of_ones_own(service: Service, site: str) -> None:
    made = [service.comment(site)["id"] for _ in range(4)]
    amal, badr = token(service), token(service)
    claim(service, amal, site=site, limit=3)
    claim(service, badr, site=site, limit=1)
    assert service.send("POST", RELEASE, {"ids": [made[1], made[3], NOBODY, "x"]}, amal).json == {"released": [made[1]]}
    assert [bool(c["claim"]) for c in listed(service, site=site)["items"]] == [True, False, True, True]
    assert sorted(service.send("POST", RELEASE, {}, amal).json["released"]) == [made[0], made[2]]
    assert [bool(c["claim"]) for c in listed(service, site=site)["items"]] == [False, False, False, True]


def test_claim_and_release_take_their_defaults_from_no_body_at_all(service: Service, site: str) -> None:
    made, amal = service.comment(site)["id"], token(service, sites=[site])
    bare = {"authorization": f"Bearer {amal}"}
    claimed = service.request("POST", CLAIM, None, bare)
    assert (claimed.status, [item["id"] for item in claimed.json["items"]]) == (200, [made])
    assert service.request("POST", RELEASE, None, bare).json == {"released": [made]}
    assert service.request("POST", RELEASE, b"ids=x", bare | {"content-type": "text/plain"}).status == 415


@pytest.mark.parametrize(
    ("asked", "field"),
    [({"limit": 0}, "limit"), ({"limit": 51}, "limit"), ({"lease_seconds": 9}, "lease_seconds"), ({"lease_seconds": 3601}, "lease_seconds"), ({"limit": "5"}, "limit")],
)  # fmt: skip
def test_claims_have_bounds(service: Service, asked: dict[str, Any], field: str) -> None:
    assert service.send("POST", CLAIM, asked).errors.keys() == {field}


def test_a_lease_ends_by_itself(service: Service, site: str) -> None:
    comment = service.comment(site)["id"]

    async def lease_for_one_second() -> None:
        settings = Settings(data_dir=service.data)
        store = await connection.open_store(
            (service.data / "redis.url").read_text(), Privacy(settings.keys()), settings.partitions
        )
        try:
            assert [c.id for c in await review.claim(store, site, "somebody", 1, 1)] == [comment]
        finally:
            await store.close()

    asyncio.run(lease_for_one_second())
    until("the lease to end", lambda: claim(service, ADMIN, site=site) == [comment])
    assert service.one(comment)["claim"]["by"] == "admin"


def test_only_what_waits_can_be_claimed_and_a_decision_ends_the_lease(service: Service, site: str) -> None:
    first, second = (service.comment(site)["id"] for _ in range(2))
    service.decide(first, "spam")
    amal, badr = token(service), token(service)
    assert claim(service, amal, site=site) == [second]
    assert service.send("POST", f"{COMMENTS}/{second}/decisions", {"decision": "reject"}, amal).status == 200
    service.decide(second, "hold")
    assert claim(service, badr, site=site) == [second]


# decisions


@pytest.mark.parametrize("decision", LEADS_TO)
@pytest.mark.parametrize("before", LEADS_TO)
def test_each_decision_leads_to_its_status_from_any_other(
    service: Service, site: str, before: str, decision: str
) -> None:
    comment = service.comment(site)["id"]
    was = service.decide(comment, before).json
    now = service.decide(comment, decision).json
    same = LEADS_TO[before] == LEADS_TO[decision]
    assert now["status"] == LEADS_TO[decision] == service.one(comment)["status"]
    assert now["version"] == was["version"] + (not same)
    for status in LEADS_TO.values():
        assert ids(listed(service, site=site, status=status)) == ([comment] if status == now["status"] else [])
        assert ids(listed(service, site=site, status=status, thread="41")) == (
            [comment] if status == now["status"] else []
        )


def test_every_change_fires_its_event_and_what_is_already_so_fires_nothing(
    service: Service, site: str, receiver: Receiver
) -> None:
    hook(service, site, receiver, *[f"comment.{status}" for status in LEADS_TO.values()])
    comment = service.comment(site)["id"]
    plan = ["hold", "approve", "approve", "reject", "reject", "spam", "hold", "hold", "approve"]
    assert [service.decide(comment, decision).status for decision in plan] == [200] * len(plan)
    came = sorted((service_body(receiver) for _ in range(5)), key=lambda event: event["data"]["sequence"])
    assert [(e["type"], e["data"]["previous_status"], e["data"]["sequence"]) for e in came] == [
        ("comment.approved", "pending", 1), ("comment.rejected", "approved", 2), ("comment.spam", "rejected", 3),
        ("comment.pending", "spam", 4), ("comment.approved", "pending", 5),
    ]  # fmt: skip
    assert len([d for d in service.one(comment)["deliveries"] if d["kind"] == "webhook"]) == 5


def service_body(receiver: Receiver) -> Any:
    return json.loads(receiver.next()[1])


def test_reason_note_and_who_are_kept(service: Service, site: str) -> None:
    comment = service.comment(site)["id"]
    amal = token(service)
    decided = service.send(
        "POST", f"{COMMENTS}/{comment}/decisions", {"decision": "reject", "reason": "rude", "note": "طويلة"}, amal
    ).json
    assert (decided["reason"], decided["decided_by"][:10]) == ("rude", "moderator-")
    assert decided["decided_at"].endswith("Z")
    again = service.decide(comment, "approve").json
    assert (again["reason"], again["decided_by"]) == (None, "admin")


def test_a_stale_version_is_a_conflict_and_changes_nothing(service: Service, site: str) -> None:
    comment = service.comment(site)["id"]
    assert service.decide(comment, "approve", version=1).json["version"] == 2
    stale = service.decide(comment, "reject", version=1)
    assert (stale.status, stale.json["code"]) == (409, "stale")
    assert service.one(comment)["status"] == "approved"
    assert service.decide(comment, "reject", version=2).status == 200


def test_anothers_live_lease_is_a_conflict_unless_forced(service: Service, site: str) -> None:
    comment = service.comment(site)["id"]
    amal, badr = token(service), token(service)
    claim(service, amal, site=site)
    path = f"{COMMENTS}/{comment}/decisions"
    refused = service.send("POST", path, {"decision": "approve"}, badr)
    assert (refused.status, refused.json["code"]) == (409, "claimed")
    assert service.one(comment)["status"] == "pending"
    assert service.send("POST", path, {"decision": "hold"}, badr).status == 200, "nothing would change"
    assert service.send("POST", path, {"decision": "approve", "force": True}, badr).json["status"] == "approved"


@pytest.mark.parametrize(
    ("asked", "field"),
    [({}, "decision"), ({"decision": "love"}, "decision"), ({"decision": "approve", "undo_seconds": 61}, "undo_seconds"), ({"decision": "approve", "undo_seconds": -1}, "undo_seconds"),
     ({"decision": "approve", "version": "1"}, "version"), ({"decision": "approve", "x": 1}, "x"), ({"decision": "approve", "note": "x" * 2001}, "note")],
)  # fmt: skip
def test_a_wrong_decision_names_its_field(service: Service, site: str, asked: dict[str, Any], field: str) -> None:
    comment = service.comment(site)["id"]
    answer = service.send("POST", f"{COMMENTS}/{comment}/decisions", asked)
    assert (answer.status, list(answer.errors)) == (422, [field])


@pytest.mark.parametrize(
    "comment_id",
    [NOBODY, "x", quote("تعليق"), "019a0000-0000-7000-8000-0000000000ff", NOBODY.upper().replace("A", "B")],
)
def test_an_unknown_comment_is_not_found(service: Service, comment_id: str) -> None:
    assert service.get(f"{COMMENTS}/{comment_id}", ADMIN).status == 404
    assert service.decide(comment_id, "approve").status == 404
    assert service.send("POST", f"{COMMENTS}/{comment_id}/undo").status == 404


def test_many_decisions_stand_each_alone(service: Service, site: str) -> None:
    fresh, done, held, foreign = (service.comment(s)["id"] for s in (site, site, site, service.site()))
    service.decide(done, "approve")
    claim(service, token(service, sites=[site]), site=site, limit=50)
    service.send("POST", RELEASE, {}, ADMIN)
    caller = token(service, sites=[site])
    service.send("POST", f"{COMMENTS}/{fresh}/decisions", {"decision": "reject", "force": True})
    answer = service.send(
        "POST",
        BULK,
        {"ids": [fresh, done, held, foreign, NOBODY, "x", fresh], "decision": "approve", "reason": "ok"},
        caller,
    )
    assert answer.status == 200
    results = {r["id"]: r for r in answer.json["results"]}
    assert [r["id"] for r in answer.json["results"]] == [fresh, done, held, foreign, NOBODY, "x"]
    assert (results[fresh]["status"], results[done]["status"]) == ("approved", "approved")
    assert "error" not in results[fresh] | results[done]
    assert (results[held]["status"], results[held]["error"]["status"]) == ("pending", 409)
    assert {results[i]["error"]["status"] for i in (foreign, NOBODY, "x")} == {404}
    assert service.one(foreign)["status"] == "pending"


@pytest.mark.parametrize("count", [0, 501])
def test_many_decisions_have_bounds(service: Service, count: int) -> None:
    assert service.send("POST", BULK, {"ids": ["x"] * count, "decision": "approve"}).errors.keys() == {"ids"}


# undo


@pytest.mark.parametrize("before", ["hold", "reject", "spam"])
def test_an_undone_decision_never_happened_and_nothing_was_sent(
    service: Service, site: str, receiver: Receiver, before: str
) -> None:
    hook(service, site, receiver, "comment.approved")
    comment, other = service.comment(site)["id"], service.comment(site)["id"]
    was = service.decide(comment, before, reason="first").json
    held = service.decide(comment, "approve", undo_seconds=60).json
    assert (held["status"], held["delivery"]["state"]) == ("approved", "queued")
    undone = service.send("POST", f"{COMMENTS}/{comment}/undo")
    assert undone.status == 200
    same = ("status", "decided_at", "decided_by", "reason")
    assert {k: undone.json[k] for k in same} == {k: was[k] for k in same}
    assert undone.json["version"] > held["version"]
    assert service.get(f"/api/v1/sites/{site}/threads/41/comments").json["items"] == []
    service.decide(other, "approve")
    assert service_body(receiver)["data"]["comment"]["id"] == other
    assert receiver.count == 1
    found = service.one(comment)
    assert found["deliveries"] == []
    assert found["history"][-1]["decision"] == "undo"
    assert service.send("POST", f"{COMMENTS}/{comment}/undo").status == 409, "only once"
    service.decide(comment, "approve")
    assert service_body(receiver)["data"]["comment"]["id"] == comment


def test_a_decision_that_was_not_undone_is_sent_and_then_it_is_too_late(
    service: Service, site: str, receiver: Receiver
) -> None:
    hook(service, site, receiver)
    comment = service.comment(site)["id"]
    service.decide(comment, "approve", undo_seconds=1)
    assert service_body(receiver)["data"]["comment"]["id"] == comment
    late = service.send("POST", f"{COMMENTS}/{comment}/undo")
    assert (late.status, late.json["code"]) == (409, "too_late")
    assert service.one(comment)["status"] == "approved"


def test_without_undo_seconds_there_is_nothing_to_undo(service: Service, site: str) -> None:
    comment = service.comment(site)["id"]
    assert service.send("POST", f"{COMMENTS}/{comment}/undo").status == 409
    service.decide(comment, "approve")
    assert service.send("POST", f"{COMMENTS}/{comment}/undo").status == 409


# addresses and audit


def test_reading_an_address_is_a_right_of_its_own_and_audited(service: Service, site: str) -> None:
    comment = service.comment(site, email="full.address@example.net")["id"]
    path = f"{COMMENTS}/{comment}/contact"
    for plain in ("viewer", "moderator", "admin"):
        assert service.send("POST", path, token=token(service, plain)).status == 403
    reader = token(service, "viewer", contact=True)
    assert service.send("POST", path, token=reader).json == {"id": comment, "email": "full.address@example.net"}
    reads = [
        e for e in service.get(f"/api/v1/sites/{site}/audit", ADMIN).json["items"] if e["action"] == "contact.read"
    ]
    assert [(e["comment"], e["by"][:7]) for e in reads] == [(comment, "viewer-")]
    assert service.send("POST", path, token=token(service, "admin", contact=True, sites=["elsewhere"])).status == 404
    assert "full.address" not in service.get(f"{COMMENTS}/{comment}", reader).text


def test_every_decision_is_in_the_audit_log_newest_first(service: Service, site: str) -> None:
    comment = service.comment(site)["id"]
    service.decide(comment, "reject", reason="rude")
    service.decide(comment, "approve", undo_seconds=60)
    service.send("POST", f"{COMMENTS}/{comment}/undo")
    entries = service.get(f"/api/v1/sites/{site}/audit", ADMIN).json["items"]
    assert [e["action"] for e in entries] == ["decision.undo", "decision.approve", "decision.reject"]
    assert {(e["by"], e["comment"], e["site"]) for e in entries} == {("admin", comment, site)}


def test_addresses_in_name_and_text_are_masked_and_moderators_see_where(service: Service, site: str) -> None:
    comment = service.post(
        f"/api/v1/sites/{site}/comments", said(author="me@example.org", comment="write to me@example.org")
    ).json["id"]
    found = service.one(comment)
    assert (found["author"]["name"], found["text"]) == ("m•••@e•••.org", "write to m•••@e•••.org")
    assert found["masked"] == ["author", "comment"]
