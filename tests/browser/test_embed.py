"""<comment-thread> on a newspaper's page of another origin, under a strict policy."""

import gzip
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Held, Pages, Visit, barriers, fits
from tests.browser.test_demo import picture
from tests.service import Service

TITLE = {"ar": "مكتبة الحيّ تفتح أبوابها من جديد", "en": "The library opens again"}


STYLE = ":root{color-scheme:light dark;font-family:sans-serif} body{background:Canvas;color:CanvasText;max-inline-size:44rem;margin:0 auto;padding:1rem}"


class Press(Pages):
    """Pages that carry the element under a strict policy; each path is a thread."""

    service = site = attributes = ""

    def answer(self, path: str) -> tuple[str, str, dict[str, str]]:
        if path == "/style.css":
            return STYLE, "text/css", {}
        lang = "ar" if path.startswith("/ar") else "en"
        way = "rtl" if lang == "ar" else "ltr"
        page = (
            f'<!doctype html><html lang="{lang}" dir="{way}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f'<link rel="icon" href="data:,"><link rel="stylesheet" href="/style.css"><title>{TITLE[lang]}</title><script src="{self.service}/embed.js" defer></script></head>'
            f'<body><main><h1>{TITLE[lang]}</h1><p><comment-count site="{self.site}"></comment-count></p><comment-thread site="{self.site}" {self.attributes}></comment-thread></main></body></html>'
        )
        policy = f"default-src 'none'; script-src {self.service}; connect-src {self.service}; style-src 'self'; img-src data:"
        return page, "text/html; charset=utf-8", {"content-security-policy": policy}


@pytest.fixture
def press(service: Service) -> Iterator[Press]:
    found = Press()
    found.service = service.base
    found.site = service.site(origins=[found.origin], locale="ar")
    yield found
    found.close()


def approved(service: Service, press: Press, thread: str, **fields: str) -> str:
    comment_id: str = service.comment(press.site, thread=thread, **fields)["id"]
    assert service.decide(comment_id, "approve").status == 200
    return comment_id


def fill(page: Page, words: dict[str, str]) -> None:
    for label, text in words.items():
        page.get_by_role("textbox", name=label).fill(text)


def test_a_reader_writes_and_later_finds_the_comment_and_its_reply(
    service: Service, press: Press, visit: Visit
) -> None:
    first = approved(service, press, "/ar/41", author="سامي", comment="زرتها أمس، والقاعة الجديدة رائعة.", locale="ar")
    approved(service, press, "/ar/41", author="Maya", comment="Lovely! See https://example.org/library", locale="en")
    page = visit(press.origin + "/ar/41", width=390, locale="ar")
    assert page.locator("comment-thread").get_attribute("dir") == "rtl"
    expect(page.locator("comment-count")).to_have_text(re.compile("[2٢]"))
    expect(page.get_by_role("article")).to_have_count(2)
    assert page.get_by_text("Lovely!").evaluate("node => getComputedStyle(node.closest('.t')).direction") == "ltr"
    page.get_by_role("button", name="إرسال التعليق").click()
    expect(page.get_by_role("textbox", name="التعليق")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("هذا الحقل مطلوب.").first).to_be_visible()
    fill(page, {"التعليق": "شكراً على هذا التقرير المفيد.", "الاسم": "ليلى", "البريد الإلكتروني": "layla@"})
    page.get_by_role("button", name="إرسال التعليق").click()
    expect(page.get_by_role("textbox", name="البريد الإلكتروني")).to_be_focused()
    fill(page, {"البريد الإلكتروني": "layla@example.net"})
    assert (barriers(page), fits(page)) == ([], True)
    picture(page, "embed-ar.png", full=True)
    page.get_by_role("button", name="إرسال التعليق").click()
    expect(page.get_by_text("شكراً لك. تعليقك بانتظار المراجعة.")).to_be_visible()
    expect(page.get_by_role("article")).to_have_count(2)
    (waiting,) = service.get(f"/api/v1/comments?site={press.site}&status=pending", "test-admin-token").json["items"]
    assert (waiting["thread"]["id"], waiting["thread"]["title"], waiting["thread"]["url"]) == (
        "/ar/41",
        TITLE["ar"],
        press.origin + "/ar/41",
    )
    service.decide(waiting["id"], "approve")
    page.reload()
    expect(page.get_by_role("article")).to_have_count(3)
    page.locator(f"#comment-{first}").get_by_role("button", name="ردّ").click()
    fill(page, {"التعليق": "وأنا أيضاً.", "الاسم": "هند", "البريد الإلكتروني": "hind@example.net"})
    page.get_by_role("button", name="إرسال التعليق").click()
    expect(page.get_by_text("شكراً لك. تعليقك بانتظار المراجعة.")).to_be_visible()
    (reply,) = service.get(f"/api/v1/comments?site={press.site}&status=pending", "test-admin-token").json["items"]
    assert reply["parent"] == first
    service.decide(reply["id"], "approve")
    page.reload()
    expect(page.locator(f"#comment-{first} + ol").get_by_text("وأنا أيضاً.")).to_be_visible()


def test_it_remembers_only_when_asked(press: Press, visit: Visit) -> None:
    page = visit(press.origin + "/en/1", scheme="dark")
    for asked in (False, True):
        fill(page, {"Comment": f"Words {asked}", "Name": "Anne", "E-mail": "anne@example.net"})
        page.get_by_label("Remember me").set_checked(asked)
        page.get_by_role("button", name="Post comment").click()
        expect(page.get_by_text("waits for review")).to_be_visible()
        page.reload()
        expect(page.get_by_role("textbox", name="Name")).to_have_value("Anne" if asked else "")
    assert page.context.cookies() == []


def test_hostile_comments_stay_text(service: Service, press: Press, visit: Visit) -> None:
    evil = "<img src=x onerror=alert(1)><script>alert(1)</script> javascript:alert(1) \u202eevil"
    approved(service, press, "/en/2", author="<b onclick=alert(1)>x", comment=evil)
    approved(service, press, "/en/2", comment="x" * 65_000)
    page = visit(press.origin + "/en/2", width=390, scheme="dark")
    expect(page.get_by_role("article")).to_have_count(2)
    assert page.locator("comment-thread img, comment-thread script").count() == 0
    assert (barriers(page), fits(page)) == ([], True)


def test_it_publishes_at_once_where_the_site_does_and_shows_it_in_the_dark(
    service: Service, press: Press, visit: Visit
) -> None:
    service.send(
        "PATCH",
        f"/api/v1/sites/{press.site}",
        {
            "policy": {
                "mode": "publish_unless_flagged",
                "form_stamp": "required",
                "min_fill_seconds": 0,
                "trap_field": "website_3",
            }
        },
    )
    approved(
        service,
        press,
        "/en/3",
        author="Maya",
        comment="Lovely news! The new reading room is bright and quiet.",
        locale="en",
    )
    page = visit(press.origin + "/en/3", scheme="dark")
    expect(page.get_by_role("article")).to_have_count(1)
    fill(page, {"Comment": "A thoughtful comment.", "Name": "Anne", "E-mail": "anne@example.net"})
    page.get_by_role("button", name="Post comment").click()
    expect(page.get_by_text("Your comment is published")).to_be_visible()
    expect(page.get_by_role("article").filter(has_text="A thoughtful comment.")).to_be_visible()
    picture(page, "embed-en-dark.png", full=True)
    assert barriers(page) == []


def test_what_one_wrote_is_shown_though_the_thread_comes_late(service: Service, press: Press, visit: Visit) -> None:
    approved(service, press, "/en/5", comment="I came first, and say so.", locale="en")
    service.send("PATCH", f"/api/v1/sites/{press.site}", {"policy": {"mode": "publish_unless_flagged"}})
    page = visit("about:blank")
    held = Held(page, "**/threads/**", at_once=True)
    page.goto(press.origin + "/en/5")
    held.wait()
    fill(page, {"Comment": "A thoughtful comment.", "Name": "Anne", "E-mail": "anne@example.net"})
    page.get_by_role("button", name="Post comment").click()
    expect(page.get_by_text("Your comment is published")).to_be_visible()
    held.let_go()
    expect(page.get_by_text("A thoughtful comment.")).to_be_visible()
    expect(page.get_by_role("article")).to_have_count(2)


def test_a_service_that_is_away_is_said_so(press: Press, visit: Visit, service: Service) -> None:
    press.attributes = 'form="off"'
    page = visit(press.origin + "/en/4")
    expect(page.get_by_text("No comments yet.")).to_be_visible()
    assert page.get_by_role("textbox").count() == 0
    approved(service, press, "/en/4", comment="After all.", locale="en")
    page.reload()
    expect(page.get_by_text("After all.")).to_be_visible()


@pytest.mark.parametrize(("name", "limit_bytes"), [("embed", 9 * 1024), ("read", 6 * 1024), ("counts", 716)])
def test_the_scripts_are_small_and_may_be_kept(service: Service, name: str, limit_bytes: int) -> None:
    plain = service.get(f"/{name}.js", origin="https://anywhere.example")
    assert plain.headers["content-type"].startswith("text/javascript")
    assert plain.headers["access-control-allow-origin"] == "*"
    assert plain.headers["cross-origin-resource-policy"] == "cross-origin"
    packed = service.get(f"/{name}.js", **{"accept-encoding": "gzip, br"})
    assert len(packed.raw) <= limit_bytes
    assert gzip.decompress(packed.raw) == plain.raw
    for answer, encoding in ((plain, {}), (packed, {"accept-encoding": "gzip"})):
        kept = service.get(f"/{name}.js", **{"if-none-match": answer.headers["etag"], **encoding})
        assert (kept.status, kept.raw) == (304, b"")
    assert plain.headers["etag"] != packed.headers["etag"]
