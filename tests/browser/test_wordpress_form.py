"""The stock form of WordPress, on a site of its own, as Chromium sends it: only the action points at the service."""

import uuid
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Newspaper, Visit
from tests.service import ADMIN, Service

DOORS = ["/api/v1/sites/{site}/comments", "/sites/{site}/wp-comments-post.php"]


def write(page: Page, **fields: str) -> None:
    for name, value in fields.items():
        page.locator(f"#{name}").fill(value)


@pytest.mark.parametrize("door", DOORS, ids=["api", "wp-comments-post.php"])
def test_the_form_comes_back_to_its_thread(service: Service, newspaper: Newspaper, visit: Visit, door: str) -> None:
    site = service.site(origins=[newspaper.origin], thread_url_template=newspaper.origin + "/?p={thread}")
    newspaper.action = service.base + door.format(site=site)
    page = visit(newspaper.article, locale="ar")
    write(page, comment="سطر أول\nسطر ثانٍ", author="هند", email="hind@example.net", url="https://hind.example")
    page.get_by_role("checkbox").check()
    with page.expect_request(newspaper.action) as sent, page.expect_navigation():
        page.get_by_role("button").click()

    names = [name for name, _ in parse_qsl(sent.value.post_data, keep_blank_values=True)]
    assert names == ["comment", "author", "email", "url", "wp-comment-cookies-consent", "submit", "comment_post_ID", "comment_parent"]  # fmt: skip
    answer = sent.value.response()
    assert answer is not None
    assert answer.status == 303

    (stored,) = service.get(f"/api/v1/comments?site={site}", ADMIN).json["items"]
    back = urlsplit(page.url)
    assert page.url.startswith(newspaper.origin + "/?p=4&")
    assert dict(parse_qsl(back.query)) == {"p": "4", "comment_status": "pending", "comment_id": stored["id"]}
    assert back.fragment == f"comment-{stored['id']}"
    assert (stored["text"], stored["author"]["name"]) == ("سطر أول\nسطر ثانٍ", "هند")
    assert (stored["author"]["url"], stored["thread"]["id"]) == ("https://hind.example", "4")
    assert stored["parent"] is None


def test_a_reply_names_its_parent_by_the_comment_id_of_the_form(
    service: Service, newspaper: Newspaper, visit: Visit
) -> None:
    site = service.site(origins=[newspaper.origin], thread_url_template=newspaper.origin + "/?p={thread}")
    newspaper.action = service.base + DOORS[1].format(site=site)
    parent = service.comment(site, thread="4", external_id="14")["id"]
    assert service.decide(parent, "approve").status == 200
    page = visit(newspaper.article)
    page.locator("#comment_parent").evaluate("field => field.value = '14'")  # as comment-reply.js does
    text = f"رد {uuid.uuid4().hex[:8]}"
    write(page, comment=text, author="سامي", email="sami@example.net")
    page.get_by_role("button").click()
    page.wait_for_url("**/?p=4&comment_status=pending**")
    (stored,) = service.get(f"/api/v1/comments?site={site}&status=pending", ADMIN).json["items"]
    assert (stored["text"], stored["parent"]) == (text, parent)


def test_an_empty_form_gets_every_message_and_can_be_sent_again(
    service: Service, newspaper: Newspaper, visit: Visit
) -> None:
    site = service.site(origins=[newspaper.origin], thread_url_template=newspaper.origin + "/?p={thread}")
    newspaper.action = service.base + DOORS[0].format(site=site)
    page = visit(newspaper.article, locale="ar")
    page.get_by_role("button").click()
    expect(page.locator("[aria-invalid=true]")).to_have_count(3)
    assert page.locator("html").get_attribute("dir") == "rtl"
    for name, value in {"comment": "نص", "author": "هند", "email": "hind@example.net"}.items():
        page.locator(f"[name={name}]").fill(value)
    page.get_by_role("button").click()
    page.wait_for_url("**/?p=4&comment_status=pending**")


def test_a_form_on_a_foreign_site_is_refused_with_what_was_typed(
    service: Service, newspaper: Newspaper, visit: Visit
) -> None:
    site = service.site(origins=["https://news.example"])
    newspaper.action = service.base + DOORS[0].format(site=site)
    page = visit(newspaper.article)
    write(page, comment="نص", author="هند", email="hind@example.net")
    with page.expect_navigation() as gone:
        page.get_by_role("button").click()
    assert gone.value.status == 403
    assert service.get(f"/api/v1/comments?site={site}", ADMIN).json["total"] == 0
