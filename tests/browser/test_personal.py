"""The pages of somebody who wrote a comment, in a real browser: their comment, and what is kept of them."""

import base64
import time
import uuid

import pytest
from playwright.sync_api import expect

from moderation import links
from moderation.privacy import Privacy
from tests.browser.conftest import Visit, barriers, fits
from tests.service import ADMIN, Service


def link(service: Service, comment_id: str) -> str:
    """What the mail holds."""
    key = Privacy([base64.b64decode((service.data / "secret.key").read_text())])
    return links.person(key, service.base, comment_id, time.time())


@pytest.mark.parametrize(("locale", "width", "scheme"), [("ar", 375, "dark"), ("en-US", 1280, "light")])
def test_no_page_of_an_author_has_a_barrier(service: Service, visit: Visit, locale: str, width: int, scheme: str) -> None:  # fmt: skip
    site, who = service.site(name="صحيفة الحيّ"), f"own-{uuid.uuid4().hex[:6]}@example.net"
    one = service.comment(site, email=who, comment="شكراً <b>لكم</b>\n\nThank you, all of you.", notify_replies="1")
    page = visit(one["status_url"], width, scheme, locale)
    shown = page.locator(".said .line")
    ways = shown.evaluate_all("lines => lines.map(line => getComputedStyle(line).direction)")
    assert (ways[0], ways[2]) == ("rtl", "ltr")  # each line its own way
    for summary in page.locator("summary").all():
        summary.click()
    assert (barriers(page), fits(page)) == ([], True)
    for address in (f"{service.base}/personal-data", link(service, one["id"])):
        page.goto(address)
        for summary in page.locator("summary").all():
            summary.click()
        assert (barriers(page), fits(page)) == ([], True)


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
def test_an_author_corrects_and_then_deletes_everything(service: Service, visit: Visit, javascript: bool) -> None:
    site, who = service.site(locale="en"), f"own-{uuid.uuid4().hex[:6]}@example.net"
    one = service.comment(site, email=who, comment="A misteak.", locale="en")
    page = visit(one["status_url"], javascript=javascript)
    page.get_by_text("Correct this comment").click()
    page.locator("#comment").fill("A mistake.")
    page.get_by_role("button", name="Keep the correction").click()
    expect(page.get_by_role("status")).to_have_text("Your correction is kept.")
    assert service.one(one["id"])["text"] == "A mistake."
    page.goto(link(service, one["id"]))
    expect(page.get_by_text("A mistake.")).to_be_visible()
    page.get_by_text("Delete everything").click()
    page.get_by_role("button", name="Delete it for good").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Everything is deleted")
    assert who not in page.content()
    assert service.get(f"/api/v1/comments/{one['id']}", ADMIN).status == 404
