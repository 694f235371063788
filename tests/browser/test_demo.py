"""`moderation demo` as a person meets it: write, review, see what the site gets. PICTURES=1 renews docs/pictures."""

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit, fits, open_desk, reload_until
from tests.service import Service

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"


def picture(page: Page, name: str, *, full: bool = False) -> None:
    if os.environ.get("PICTURES") == "1":
        PICTURES.mkdir(parents=True, exist_ok=True)
        page.wait_for_load_state()
        page.screenshot(
            path=PICTURES / name, full_page=full, caret="initial"
        )  # hiding it takes a style that the policy forbids


def written_and_approved(demo: Service, page: Page, name: str, address: str, text: str) -> None:
    """From the Arabic article over the desk; ends on the page that shows what the site gets."""
    page.get_by_role("link", name="المقال بالعربية").click()
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    page.get_by_role("textbox", name="التعليق").fill(text)
    page.get_by_role("textbox", name="الاسم").fill(name)
    page.get_by_role("textbox", name="البريد الإلكتروني").fill(address)
    page.get_by_role("button", name="إرسال التعليق").click()

    expect(page.get_by_role("status")).to_contain_text("بانتظار المراجعة")
    expect(page).to_have_url(re.compile("/demo/article/41[?]comment_status=pending&comment_id="))
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    page.wait_for_load_state()
    expect(page.get_by_text(text)).to_have_count(0)

    page.goto(demo.base + "/demo")
    open_desk(page)
    picture(page, "desk-en.png")
    card = page.get_by_role("article").filter(has_text=text)
    expect(card).to_contain_text(masked(address))
    card.get_by_role("button", name="Approve").click()
    expect(page.locator("#notice")).to_contain_text("Published")
    expect(page.get_by_text(text)).to_have_count(0)

    page.goto(demo.base + "/demo")


def masked(address: str) -> str:
    return f"{address[0]}•••@e•••.net"


def test_a_comment_goes_from_the_arabic_article_over_the_desk_to_the_site(demo: Service, visit: Visit) -> None:
    # one after the other to the desk, so that the time to undo is waited for once
    readers = (
        (True, "هند", "hind@example.net", "مبادرة جميلة، بارك الله في القائمين عليها."),
        (False, "ريما", "rima@example.net", "هل يمكن حجز القاعة للندوات الثقافية؟"),
    )
    pages = [visit(demo.base + "/", javascript=javascript) for javascript, *_ in readers]
    for page, (_, *said) in zip(pages, readers, strict=True):
        written_and_approved(demo, page, *said)
    for page, (javascript, name, address, text) in zip(pages, readers, strict=True):
        webhook = page.locator("[data-kind=webhook]").filter(has_text=text)
        to_them = page.get_by_text(masked(address), exact=True)  # a mail to moderators names them in its text
        mail = page.locator("[data-kind=mail]").filter(has=to_them)
        if not javascript:
            reload_until(page, webhook, mail)
        expect(webhook).to_have_count(1)
        expect(mail).to_have_count(1)
        expect(webhook).to_contain_text("signature verified")
        assert address not in page.content()
        if javascript:
            picture(page, "demo.png")
        page.goto(demo.base + "/demo/article/41")
        expect(page.get_by_role("article").filter(has_text=text).last).to_contain_text(name)


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
