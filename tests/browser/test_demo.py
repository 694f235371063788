"""`moderation demo` as a person meets it: write, review, see what the site gets. PICTURES=1 renews docs/pictures."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit, fits
from tests.service import Service, until

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"


def picture(page: Page, name: str, *, full: bool = False) -> None:
    if os.environ.get("PICTURES") == "1":
        PICTURES.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=PICTURES / name, full_page=full)


@pytest.mark.parametrize(
    ("javascript", "text"),
    [(True, "مبادرة جميلة، بارك الله في القائمين عليها."), (False, "هل يمكن حجز القاعة للندوات الثقافية؟")],
    ids=["script", "no-script"],
)
def test_a_comment_goes_from_the_arabic_article_over_the_desk_to_the_site(
    demo: Service, visit: Visit, javascript: bool, text: str
) -> None:
    page = visit(demo.base + "/", javascript=javascript)
    page.get_by_role("link", name="المقال بالعربية").click()
    assert page.locator("html").get_attribute("dir") == "rtl"
    page.get_by_role("textbox", name="التعليق").fill(text)
    page.get_by_role("textbox", name="الاسم").fill("هند")
    page.get_by_role("textbox", name="البريد الإلكتروني").fill("hind@example.net")
    page.get_by_role("button", name="إرسال التعليق").click()

    expect(page.get_by_role("status")).to_contain_text("بانتظار المراجعة")
    assert page.url.startswith(demo.base + "/demo/article/41?comment_status=pending&comment_id=")
    assert page.locator("html").get_attribute("dir") == "rtl"
    expect(page.get_by_text(text)).to_have_count(0)

    page.goto(demo.base + "/demo")
    page.get_by_role("button", name="Open the review desk").click()
    picture(page, "desk-en.png")
    card = page.get_by_role("article").filter(has_text=text)
    expect(card).to_contain_text("h•••@e•••.net")
    card.get_by_role("button", name="Approve").click()
    expect(page.locator("#notice")).to_contain_text("Published")
    expect(page.get_by_text(text)).to_have_count(0)

    page.goto(demo.base + "/demo")
    webhook = page.locator("[data-kind=webhook]").filter(has_text=text)
    mail = page.locator("[data-kind=mail]").filter(has_text="h•••@e•••.net")
    if javascript:
        expect(webhook).to_have_count(1, timeout=20_000)
        expect(mail.first).to_be_visible(timeout=20_000)
    else:
        until("webhook and mail on the page", lambda: page.reload() and webhook.count() and mail.count())
    expect(webhook).to_contain_text("signature verified")
    assert "hind@example.net" not in page.content()
    picture(page, "demo.png")

    page.goto(demo.base + "/demo/article/41")
    expect(page.get_by_role("article").filter(has_text=text).last).to_contain_text("هند")


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("path", ["/", "/demo/article/41", "/demo/article/42", "/docs", "/review/sign-in"])
def test_no_page_scrolls_sideways(demo: Service, visit: Visit, path: str, width: int) -> None:
    assert fits(visit(demo.base + path, width=width))


def test_the_pictures_of_the_documentation_are_of_these_pages(demo: Service, visit: Visit) -> None:
    page = visit(demo.base + "/demo/article/41", width=390, scheme="dark", locale="ar")
    page.get_by_role("textbox", name="التعليق").fill("نصٌّ طويل كتبته على مهل، ولا أريد أن أفقده.")
    page.get_by_role("textbox", name="البريد الإلكتروني").fill("hind@")
    page.get_by_role("button", name="إرسال التعليق").click()
    expect(page.get_by_role("alert")).to_be_visible()
    picture(page, "error-ar-dark.png", full=True)
    assert fits(page)
    page = visit(demo.base + "/demo/article/41", width=390, locale="ar")
    picture(page, "article-ar.png", full=True)
    assert fits(page)
