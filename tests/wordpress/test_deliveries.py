"""Signed posts past the service: what comes twice, at once, late, in the wrong order, or from somebody else."""

import base64
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.deliveries import new_id, new_secret, signed
from tests.service import Service, until
from tests.wordpress.conftest import HOOK, WordPress


def one(wordpress: WordPress, comment_id: str) -> dict[str, Any]:
    (found,) = wordpress.comments(comment_id)
    return found


def test_what_is_not_signed_by_the_service_is_refused(wordpress: WordPress) -> None:
    comment_id = new_id()
    event = wordpress.event("approved", comment_id, 1)
    body = json.dumps(event).encode()
    good = signed(wordpress.secret, body)
    refusals = {
        "moderation_unsigned": [{**good, "webhook-signature": ""}, {**good, "webhook-id": ""}],
        "moderation_stale": [
            signed(wordpress.secret, body, at=time.time() - 310),
            signed(wordpress.secret, body, at=time.time() + 310),
            {**good, "webhook-timestamp": "now"},
        ],
        "moderation_signature": [
            signed(new_secret(), body),
            {**good, "webhook-id": "msg_other"},
            {**good, "webhook-signature": good["webhook-signature"].replace("v1,", "v1a,")},
            {**good, "webhook-signature": "v1,"},
        ],
    }
    for code, tries in refusals.items():
        for headers in tries:
            answer = wordpress.request("POST", HOOK, body, headers)
            assert (answer.status, answer.json["code"]) == (401, code), headers
    assert wordpress.request("POST", HOOK, body + b" ", good).status == 401
    assert wordpress.comments(comment_id) == []


def test_both_secrets_hold_while_one_is_rotated(wordpress: WordPress) -> None:
    new = new_secret()
    wordpress.set(secrets=[new, wordpress.secret])
    ping = {"type": "endpoint.ping", "timestamp": "2026-01-31T12:00:00Z", "data": {"site": wordpress.site}}
    try:
        assert wordpress.deliver(ping).json == {"result": "pong"}
        assert wordpress.deliver(ping, secret=new).json == {"result": "pong"}
        body = json.dumps(ping).encode()
        both = signed(new_secret(), body, message="msg_1")
        both["webhook-signature"] += " v1a,AAAA " + signed(wordpress.secret, body, message="msg_1")["webhook-signature"]
        assert wordpress.request("POST", HOOK, body, both).status == 200
    finally:
        wordpress.set(secrets=[wordpress.secret])


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'"x"', b"\xff", b'{"type": 1, "data": {}}', b'{"type": "comment.approved"}']
)
def test_what_can_not_be_read_is_a_clear_400(wordpress: WordPress, body: bytes) -> None:
    for kind in ("application/json", "text/plain"):
        answer = wordpress.request("POST", HOOK, body, signed(wordpress.secret, body) | {"content-type": kind})
        assert answer.status == 400, answer.text


def test_what_names_no_comment_or_no_post_ends_at_once(wordpress: WordPress) -> None:
    lost = [
        wordpress.event("approved", new_id(), 1, thread="999999"),
        wordpress.event("approved", new_id(), 1, thread="../4"),
        wordpress.event("approved", "1' OR '1'='1", 1),
        wordpress.event("approved", new_id(), -1),
    ]
    for event in lost:
        answer = wordpress.deliver(event)
        assert (answer.status, answer.headers["webhook-delivery"]) == (422, "abort-message")
    other = wordpress.event("approved", new_id(), 1)
    other["data"]["site"] = "another"
    answer = wordpress.deliver(other)
    assert (answer.status, answer.json["code"], "webhook-delivery" in answer.headers) == (422, "moderation_site", False)


def test_a_comment_is_stored_once_however_often_and_at_once_it_comes(wordpress: WordPress) -> None:
    comment_id = new_id()
    event = wordpress.event("approved", comment_id, 1)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: wordpress.deliver(event, message=f"msg_{n % 3}"), range(12)))
    assert {answer.status for answer in answers} == {200}
    (external_id,) = {answer.json["external_id"] for answer in answers}
    assert one(wordpress, comment_id)["comment_ID"] == external_id


def test_what_came_late_is_dropped(wordpress: WordPress) -> None:
    comment_id = new_id()
    wp_id = wordpress.deliver(wordpress.event("approved", comment_id, 1)).json["external_id"]
    wordpress.deliver(wordpress.event("spam", comment_id, 3))
    assert wordpress.deliver(wordpress.event("approved", comment_id, 2)).json == {
        "result": "late",
        "external_id": wp_id,
    }
    assert one(wordpress, comment_id)["comment_approved"] == "spam"
    wordpress.deliver(wordpress.event("approved", comment_id, 4))
    assert one(wordpress, comment_id)["comment_approved"] == "1"


def test_a_rejection_that_overtakes_the_approval_keeps_it_out(wordpress: WordPress) -> None:
    comment_id = new_id()
    assert wordpress.deliver(wordpress.event("rejected", comment_id, 2)).json == {"result": "noted"}
    assert wordpress.deliver(wordpress.event("approved", comment_id, 1)).json == {"result": "late"}
    assert wordpress.comments(comment_id) == []


@pytest.mark.parametrize("first", [True, False])
def test_what_was_erased_stays_erased(wordpress: WordPress, first: bool) -> None:
    comment_id = new_id()
    if first:
        wordpress.deliver(wordpress.event("approved", comment_id, 1))
    assert wordpress.deliver(wordpress.event("erased", comment_id, 2)).status == 200
    for sequence in (1, 3):
        assert wordpress.deliver(wordpress.event("approved", comment_id, sequence)).json == {"result": "late"}
    assert wordpress.comments(comment_id) == []


@pytest.mark.parametrize("parent_first", [True, False])
def test_a_reply_finds_its_parent_whichever_comes_first(wordpress: WordPress, parent_first: bool) -> None:
    parent, reply = new_id(), new_id()
    events = [wordpress.event("approved", parent, 1), wordpress.event("approved", reply, 1, parent=parent)]
    for event in events if parent_first else reversed(events):
        assert wordpress.deliver(event).status == 200
    assert one(wordpress, reply)["comment_parent"] == one(wordpress, parent)["comment_ID"]


def test_replies_and_parents_find_each_other_at_once(wordpress: WordPress) -> None:
    pairs = [(new_id(), new_id()) for _ in range(5)]
    events = [
        event
        for parent, reply in pairs
        for event in (wordpress.event("approved", reply, 1, parent=parent), wordpress.event("approved", parent, 1))
    ]
    with ThreadPoolExecutor(6) as pool:
        assert {answer.status for answer in pool.map(wordpress.deliver, events)} == {200}
    for parent, reply in pairs:
        assert one(wordpress, reply)["comment_parent"] == one(wordpress, parent)["comment_ID"]


def test_replies_of_an_erased_comment_move_up(wordpress: WordPress) -> None:
    parent, reply = new_id(), new_id()
    wordpress.deliver(wordpress.event("approved", parent, 1))
    wordpress.deliver(wordpress.event("approved", reply, 1, parent=parent))
    wordpress.deliver(wordpress.event("erased", parent, 2))
    assert one(wordpress, reply)["comment_parent"] == "0"


def test_an_attempt_that_was_killed_after_the_insert_is_taken_up(wordpress: WordPress) -> None:
    comment_id = new_id()
    wp_id = wordpress.deliver(wordpress.event("approved", comment_id, 1)).json["external_id"]
    # as if the process had died before the meta, the status and the row were written
    wordpress.php(
        f"global $wpdb; delete_comment_meta( {wp_id}, '_moderation_id' ); wp_set_comment_status( {wp_id}, 'hold' );"
        f" $wpdb->update( $wpdb->prefix . 'moderation_receiver', array( 'wp_id' => 0, 'sequence' => -1, 'status' => '' ), array( 'id' => '{comment_id}' ) ); return 1;"
    )
    assert wordpress.deliver(wordpress.event("approved", comment_id, 1)).json["external_id"] == wp_id
    assert one(wordpress, comment_id)["comment_approved"] == "1"


def test_what_people_wrote_is_kept_and_harmless(wordpress: WordPress) -> None:
    comment_id = new_id()
    html = (
        '<p dir="auto">قال: "نعم" \\ ثم &lt;script&gt;alert(1)&lt;/script&gt; 👍<br>سطر</p><p dir="auto"><script>alert(2)</script>'
        '<a href="https://news.example/a?b=1&amp;c=2" rel="nofollow ugc noopener">https://news.example/a?b=1&amp;c=2</a>'
        '<img src=x onerror=alert(3)> <a href="javascript:alert(4)">x</a></p>'
    )
    author = {"id": "x", "name": 'O\'Brien & "هند" <b>', "url": "https://hind.example/ملف"}
    wordpress.deliver(wordpress.event("approved", comment_id, 1, html=html, author=author))
    found = one(wordpress, comment_id)
    text = found["comment_content"]
    assert 'قال: "نعم" \\ ثم &lt;script&gt;alert(1)&lt;/script&gt; 👍\nسطر\n\n' in text
    assert '<a href="https://news.example/a?b=1&amp;c=2" rel="nofollow ugc">' in text
    assert "<script" not in text
    assert "onerror" not in text
    assert "javascript" not in text
    assert found["comment_author"] == 'O\'Brien &amp; "هند"'
    assert found["comment_author_email"] == ""
    assert (found["comment_date_gmt"], found["comment_date"]) == ("2026-01-31 11:58:00", "2026-01-31 14:58:00")


def test_what_does_not_fit_is_cut_at_a_letter(wordpress: WordPress) -> None:
    comment_id = new_id()
    author = {"id": "x", "name": "هـ" * 120, "url": "https://hind.example/" + "a" * 1900}
    answer = wordpress.deliver(wordpress.event("approved", comment_id, 1, html=f"<p>{'ش' * 65_000}</p>", author=author))
    assert answer.status == 200, answer.text
    found = one(wordpress, comment_id)
    assert found["comment_content"].rstrip("…") == "ش" * (len(found["comment_content"]) - 1)
    assert 32_000 < len(found["comment_content"]) < 32_768
    assert found["comment_author"].endswith("…")
    assert found["comment_author_url"] == ""


@pytest.fixture
def imported(wordpress: WordPress) -> Iterator[str]:
    """The comment that WordPress had before the service, and that an administrator says was imported there: its id."""
    wordpress.set(imported=1)
    old = str(wordpress.facts["old"])
    yield old
    wordpress.php(
        f"delete_comment_meta( {old}, '_moderation_id' ); wp_set_comment_status( {old}, 'approve' ); return 1;"
    )
    wordpress.set(imported=0)


def test_a_comment_from_before_is_found_by_its_time_and_by_nothing_less(wordpress: WordPress, imported: str) -> None:
    named = {"external_id": imported, "thread": str(wordpress.facts["post"])}
    written = {**named, "created_at": "2024-01-31T12:00:00.000Z"}
    status = f"return wp_get_comment_status( {imported} );"
    assert wordpress.deliver(wordpress.event("spam", new_id(), 1, **named)).json == {"result": "noted"}
    assert wordpress.php(status) == "approved", "anybody may send an external_id"
    wordpress.php(f"return wp_set_comment_status( {imported}, 'hold' );")
    assert wordpress.deliver(wordpress.event("approved", new_id(), 1, **written)).json["external_id"] != imported
    wordpress.php(f"return wp_set_comment_status( {imported}, 'approve' );")
    real = new_id()
    for sequence, event, becomes in ((1, "pending", "unapproved"), (2, "approved", "approved")):
        assert wordpress.deliver(wordpress.event(event, real, sequence, **written)).json["external_id"] == imported
        assert wordpress.php(status) == becomes


def test_a_reply_to_an_imported_comment_asks_the_service_for_its_parent(
    service: Service, wordpress: WordPress, imported: str
) -> None:
    post = str(wordpress.facts["other"])
    wp_id = wordpress.php(
        f"return wp_insert_comment( array( 'comment_post_ID' => {post}, 'comment_content' => 'قديم', 'comment_approved' => 1 ) );"
    )
    parent = service.comment(wordpress.site, thread=post, external_id=str(wp_id))["id"]
    second = service.one(parent)["created_at"][:19].replace(
        "T", " "
    )  # as if it had been written here and imported there
    wordpress.php(
        f"global $wpdb; $wpdb->update( $wpdb->comments, array( 'comment_date_gmt' => '{second}' ), array( 'comment_ID' => {wp_id} ) ); clean_comment_cache( {wp_id} ); return 1;"
    )
    service.decide(parent, "approve")
    until("the delivery", lambda: service.one(parent)["delivery"]["state"] == "delivered")
    assert [str(c["comment_ID"]) for c in wordpress.comments(parent)] == [str(wp_id)]
    # and as if no event had ever told of it
    wordpress.php(
        f"global $wpdb; delete_comment_meta( {wp_id}, '_moderation_id' ); $wpdb->delete( $wpdb->prefix . 'moderation_receiver', array( 'id' => '{parent}' ) ); return 1;"
    )
    reply = new_id()
    assert wordpress.deliver(wordpress.event("approved", reply, 1, parent=parent)).status == 200
    assert one(wordpress, reply)["comment_parent"] == str(wp_id)


def test_a_request_of_an_administrator_gains_nothing(wordpress: WordPress) -> None:
    comment_id = new_id()
    body = json.dumps(wordpress.event("approved", comment_id, 1, html="<p><iframe src=x></iframe>نص</p>")).encode()
    password = wordpress.php(
        "return WP_Application_Passwords::create_new_application_password( 1, array( 'name' => 'test' ) )[0];"
    )

    credentials = base64.b64encode(f"admin:{password}".encode()).decode()
    answer = wordpress.request(
        "POST", HOOK, body, signed(wordpress.secret, body) | {"authorization": f"Basic {credentials}"}
    )
    assert answer.status == 200
    assert one(wordpress, comment_id)["comment_content"] == "نص"
