"""Our pages in a browser: error pages keep what was typed and can be sent again, nobody is shut out, hostile text stays text."""

import re
import subprocess
import sys
import uuid

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Newspaper, Visit, barriers, fits, open_desk
from tests.service import ADMIN, Service

TYPED = {"comment": 'نصٌّ كُتب على مهل\nوفيه <b>سطران</b> & "علامات"', "author": "هند", "url": "https://hind.example"}


def error_page(visit: Visit, service: Service, newspaper: Newspaper, locale: str, width: int, scheme: str) -> Page:
    """What a visitor sees who mistyped the address."""
    site = service.site(origins=[newspaper.origin], thread_url_template=newspaper.origin + "/?p={thread}")
    newspaper.action = f"{service.base}/api/v1/sites/{site}/comments"
    page = visit(newspaper.article, width=width, scheme=scheme, locale=locale)
    for name, value in {**TYPED, "email": "hind@"}.items():
        page.locator(f"#{name}").fill(value)
    page.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_be_visible()
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize(("locale", "direction"), [("ar", "rtl"), ("en", "ltr")])
def test_the_error_page_keeps_what_was_typed_and_sends_it_again(
    service: Service, newspaper: Newspaper, visit: Visit, locale: str, direction: str, width: int, scheme: str
) -> None:
    page = error_page(visit, service, newspaper, locale, width, scheme)
    assert (page.locator("html").get_attribute("lang"), page.locator("html").get_attribute("dir")) == (
        locale,
        direction,
    )
    assert fits(page)
    assert barriers(page) == []
    for name, value in {**TYPED, "email": "hind@"}.items():
        expect(page.locator(f"[name={name}]")).to_have_value(value)
    wrong = page.locator("[aria-invalid=true]")
    expect(wrong).to_have_count(1)
    expect(wrong).to_have_attribute("name", "email")
    expect(wrong).to_have_accessible_description(re.compile(r"\S"))

    page.locator("[name=email]").fill("hind@example.net")
    page.get_by_role("button").click()
    page.wait_for_url(newspaper.origin + "/?p=4&comment_status=pending**")
    site = newspaper.action.split("/")[-2]
    (stored,) = service.get(f"/api/v1/comments?site={site}", ADMIN).json["items"]
    assert (stored["text"], stored["author"]["name"]) == (TYPED["comment"], TYPED["author"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/demo/article/41", "/demo/article/42", "/docs", "/review/sign-in"])
def test_axe_finds_no_barrier(demo: Service, visit: Visit, path: str, scheme: str) -> None:
    assert barriers(visit(demo.base + path, scheme=scheme)) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["ar", "en"])
def test_axe_finds_no_barrier_on_the_desk_in_any_state(demo: Service, visit: Visit, locale: str, scheme: str) -> None:
    demo.comment("demo", thread="42")
    page = visit(demo.base, scheme=scheme, locale=locale)
    open_desk(page)
    assert barriers(page) == []
    page.get_by_role("article").first.locator("[value=reject]").click()
    expect(page.locator("#notice")).to_be_visible()
    assert barriers(page) == []
    page.locator("a[href='/review?status=rejected']").click()
    expect(page.locator("article [value=hold]").first).to_be_visible()
    assert barriers(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_without_a_way_back_a_page_says_that_it_waits_and_leads_to_the_state(
    service: Service, newspaper: Newspaper, visit: Visit, scheme: str
) -> None:
    site = service.site(origins=[newspaper.origin])
    newspaper.action = f"{service.base}/api/v1/sites/{site}/comments"
    page = visit(newspaper.article, width=390, scheme=scheme, locale="ar")
    for name, value in {**TYPED, "email": "hind@example.net"}.items():
        page.locator(f"#{name}").fill(value)
    page.get_by_role("button").click()
    expect(page.get_by_role("status")).to_be_visible()
    assert fits(page)
    assert barriers(page) == []
    page.get_by_role("link").click()
    page.wait_for_url(service.base + "/c/**")
    expect(page.locator("main")).to_contain_text("<b>سطران</b>")
    assert fits(page)
    assert barriers(page) == []


def test_a_button_pressed_after_the_session_ended_leads_to_the_sign_in(demo: Service, visit: Visit) -> None:
    demo.comment("demo", thread="42")
    page = visit(demo.base)
    open_desk(page)
    page.context.clear_cookies()
    page.get_by_role("article").first.locator("[value=approve]").click()
    page.wait_for_url(demo.base + "/review/sign-in")


def test_a_moderator_signs_in_with_the_password_and_out_again(service: Service, site: str, visit: Visit) -> None:
    name = "mod-" + uuid.uuid4().hex[:6]
    made = subprocess.run(
        [sys.executable, "-m", "moderation", "user", "add", name, "--site", site, "--data", str(service.data)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True,
    )  # fmt: skip
    password = made.stdout.split("with the password ")[1].strip()
    service.comment(site, comment="تعليق ينتظر")
    page = visit(service.base + "/review")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill("wrong password")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("alert").first).to_be_visible()
    assert barriers(page) == []
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("article")).to_have_count(1)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Password")).to_be_visible()
    page.goto(service.base + "/review")
    expect(page.get_by_label("Password")).to_be_visible()


HOSTILE = {
    "script": "<script>document.title='hacked'</script><script src=/demo/feed></script>",
    "image": "<img src=x onerror=\"document.title='hacked'\"><svg onload=\"document.title='hacked'\">",
    "override": "\u202e\u2067gnp.exe <b dir=rtl>\u202d" * 20,
    "long": "ح" * 10_000 + "W" * 10_000,
    "closing": "</div></article></main></body><h1 style='position:fixed;inset:0'>hacked</h1>",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_text_stays_text_and_breaks_no_layout(demo: Service, visit: Visit, kind: str) -> None:
    text, mark = HOSTILE[kind], uuid.uuid4().hex[:8]
    receipt = demo.comment(
        "demo", author=f"{text[:200]} {mark}", comment=f"{text} {mark}", thread="42", thread_title=text[:400]
    )
    plain = re.sub("[\u202a-\u202e\u2066-\u2069]", "", text)[:200].strip()

    def harmless(page: Page) -> None:
        card = page.get_by_role("article").filter(has_text=mark)
        expect(card).to_have_count(1)
        shown = card.inner_text()
        assert plain in shown
        assert not re.search("[\u202a-\u202e]", shown)
        expect(card.locator("script, img, svg, b, h1")).to_have_count(0)
        assert page.title() != "hacked"
        assert fits(page)

    desk = visit(demo.base, width=390)
    open_desk(desk)
    harmless(desk)
    desk.get_by_role("article").filter(has_text=mark).locator("[value=approve]").click()
    expect(desk.locator("#notice")).to_be_visible()
    page = visit(f"{demo.base}/demo/article/42#comment-{receipt['id']}", width=390)
    harmless(page)
