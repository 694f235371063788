"""A reader of an Arabic WordPress, from its form to the approved comment under the article."""

import uuid
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.deliveries import new_id
from tests.service import ADMIN, Service, until
from tests.wordpress.conftest import WordPress, logged_in


def write(page: Page, text: str, author: str = "هند") -> None:
    for name, value in {"comment": text, "author": author, "email": "hind@example.net"}.items():
        page.locator(f"#{name}").fill(value)
    with page.expect_navigation():
        page.locator("#commentform [type=submit]").click()


def waiting(service: Service, site: str) -> list[dict[str, Any]]:
    return service.get(f"/api/v1/comments?site={site}&status=pending", ADMIN).json["items"]  # type: ignore[no-any-return]


def approve(service: Service, comment_id: str) -> str:
    """Approved, delivered, and known under WordPress's id: that id."""
    assert service.decide(comment_id, "approve").status == 200
    until("WordPress's id", lambda: service.one(comment_id)["external_id"])
    return str(service.one(comment_id)["external_id"])


@pytest.mark.parametrize("theme", ["classic", "blocks"])
def test_a_comment_and_a_reply_go_through_the_service_and_stand_under_the_article(
    service: Service, wordpress: WordPress, visit: Visit, theme: str
) -> None:
    wordpress.wear(theme)
    text = f"خبر جميل <b>حقاً</b> & مفيد {uuid.uuid4().hex[:8]}"
    page = visit(wordpress.page, locale="ar")
    assert page.locator("html").get_attribute("dir") == "rtl"
    write(page, text + "\nسطر ثانٍ\n\nفقرة ثانية")
    expect(page.locator("[role=status]")).to_have_text("شكراً لك. تعليقك في انتظار المراجعة.")
    assert page.url.startswith(wordpress.page + "?comment_status=pending&comment_id=")
    expect(page.get_by_text(text)).to_have_count(0)

    (stored,) = waiting(service, wordpress.site)
    expect(page.locator(f"#comment-{stored['id']}"), "the address leads to the message").to_have_count(1)
    thread = {"id": str(wordpress.facts["post"]), "url": wordpress.page, "title": "افتتاح معرض الكتاب & الندوات"}
    assert (stored["thread"], stored["locale"]) == (thread, "ar")
    wp_id = approve(service, stored["id"])

    page = visit(f"{wordpress.page}#comment-{stored['id']}", locale="ar")
    standing = page.locator(f"#comment-{wp_id}")
    expect(standing).to_contain_text(text)
    expect(standing).to_contain_text("هند")
    expect(standing.locator(f"[id='comment-{stored['id']}']")).to_have_count(1)  # the links of our mails lead here
    expect(standing.locator(".comment-content p, .wp-block-comment-content p")).to_have_count(2)

    standing.locator(".comment-reply-link").first.click()
    reply = f"أتفق معك {uuid.uuid4().hex[:8]}"
    expect(page.locator("#comment_parent")).to_have_value(wp_id)
    write(page, reply, "سامي")
    (stored_reply,) = waiting(service, wordpress.site)
    assert (stored_reply["text"], stored_reply["parent"]) == (reply, stored["id"])
    reply_id = approve(service, stored_reply["id"])
    page = visit(wordpress.page)
    nested = page.locator("li").filter(has=page.locator(f"#comment-{wp_id}")).or_(page.locator(f"li#comment-{wp_id}"))
    expect(nested.first.locator(f"#comment-{reply_id}")).to_contain_text(reply)

    for gone in (stored_reply["id"], stored["id"]):
        assert service.send("DELETE", f"/api/v1/comments/{gone}").status == 204
        until("it to be gone from WordPress", lambda gone=gone: wordpress.comments(gone) == [])
    page = visit(wordpress.page)
    expect(page.get_by_text(text)).to_have_count(0)


def test_decisions_reach_wordpress(service: Service, wordpress: WordPress) -> None:
    comment_id = service.comment(wordpress.site, thread=str(wordpress.facts["post"]))["id"]
    approve(service, comment_id)
    for decision, status in (("hold", "0"), ("approve", "1"), ("spam", "spam"), ("reject", "trash"), ("approve", "1")):
        assert service.decide(comment_id, decision).status == 200
        until(f"{decision} to arrive", lambda s=status: wordpress.comments(comment_id)[0]["comment_approved"] == s)
    assert len(wordpress.comments(comment_id)) == 1
    text = service.one(comment_id)["text"]
    told = [str(mail["to"]) for mail in wordpress.mails() if text in mail["message"]]
    assert told == ["writer@example.test"], "the article's author hears of it once; moderators are told by the service"


def test_only_what_the_service_knows_can_be_replied_to(wordpress: WordPress, visit: Visit) -> None:
    wordpress.wear("plain")
    page = visit(wordpress.page)
    old = page.locator(f"#comment-{wordpress.facts['old']}")
    expect(old).to_contain_text("تعليق من قبل الخدمة")
    expect(old.locator(".comment-reply-link")).to_have_count(0)
    wordpress.set(imported=1)
    page.reload()
    expect(old.locator(".comment-reply-link")).to_have_count(1)
    wordpress.set(imported=0)


def test_a_post_to_wordpress_itself_is_sent_on(service: Service, wordpress: WordPress) -> None:
    before = wordpress.php("return (int) get_comments( array( 'count' => true, 'status' => 'any' ) );")
    sent = wordpress.form(
        "/wp-comments-post.php", comment="من روبوت", author="روبوت", email="r@example.net", comment_post_ID=str(wordpress.facts["post"])
    )  # fmt: skip
    assert sent.status == 307
    assert sent.headers["location"] == f"{service.base}/api/v1/sites/{wordpress.site}/comments"
    assert wordpress.php("return (int) get_comments( array( 'count' => true, 'status' => 'any' ) );") == before


def test_who_is_logged_in_comments_under_their_name(service: Service, wordpress: WordPress, visit: Visit) -> None:
    page = logged_in(wordpress, visit, "writer")
    page.goto(wordpress.page)
    text = f"من الكاتب {uuid.uuid4().hex[:8]}"
    page.locator("#comment").fill(text)
    with page.expect_navigation():
        page.locator("#commentform [type=submit]").click()
    (stored,) = waiting(service, wordpress.site)
    assert (stored["text"], stored["author"]["name"]) == (text, "writer")
    assert service.decide(stored["id"], "reject").status == 200


def test_switched_off_it_leaves_wordpress_as_it_was(wordpress: WordPress) -> None:
    kept = wordpress.php("return get_option( 'moderation_receiver' );")
    wordpress.set(service="")
    try:
        page = wordpress.request("GET", wordpress.page.removeprefix(wordpress.origin)).text
        assert f'action="{wordpress.origin}/wp-comments-post.php"' in page
        assert "wp-comment-cookies-consent" in page
        assert "redirect_to" not in page
        wordpress.set(site="")  # with the secret alone it still receives: the form is led by a proxy
        assert wordpress.deliver(wordpress.event("approved", new_id(), 1)).json["external_id"]
    finally:
        wordpress.set(**kept)
