"""Threads of many scripts, deep and long, in the element and on the page without script: everything on its side, nothing over the edge."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit, barriers, fits
from tests.browser.test_demo import picture
from tests.browser.test_embed import Press
from tests.service import ADMIN, Service

PHONE = 375
SAID = (
    ("ar", "rtl", "ليلى حداد", "قرأت التقرير كاملاً، وأكثر ما أعجبني فيه وضوح الأرقام. هل تنشرون الجداول أيضاً؟"),
    ("en", "ltr", "Maya O’Neill", "Thank you for this. The second figure lacks its year, otherwise a careful piece of work."),
    ("he", "rtl", "נועה (Noa)", "תודה על הכתבה! קראתי אותה פעמיים, ושלחתי גם לאמא שלי. ראו: https://example.org/books"),
    ("ja", "ltr", "佐藤ゆき", "とても分かりやすい記事でした。次回は地方の図書館についても書いてください。"),
    ("ar", "rtl", "Omar عمر 2", "السعر 15 USD (تقريباً) حسب https://example.org/prices?year=2026، وليس 20!"),
    ("en", "ltr", "محمد", "He called it «مكتبة الحيّ» in 1998, then the name was changed (twice)."),
    ("zh", "ltr", "王小明", "文章写得很好，谢谢。"),
    ("fa", "rtl", "نرگس…", "کاش ساعت‌های کار کتابخانه (۹ تا ۲۱) را هم می‌نوشتید."),
    ("en", "ltr", "x" * 60, "An address without end: https://example.org/" + "a" * 150),
    ("ar", "rtl", "كـ" * 40, "ه" * 120),
)  # fmt: skip


@dataclass(frozen=True)
class Thread:
    """A thread that was filled: what runs which way, and who answers whom."""

    site: str
    name: str
    directions: dict[str, str]
    parents: dict[str, str]


def fill(
    service: Service, site: str, thread: str, size: int, *, said: tuple[tuple[str, str, str, str], ...] = SAID
) -> Thread:
    """Comments in many scripts; of each ten, seven are replies, three of them in a chain."""
    directions: dict[str, str] = {}
    parents: dict[str, str] = {}
    roots: list[str] = []
    for number in range(size):
        locale, direction, name, text = said[number % len(said)]
        text += f" {number}" if number >= len(said) else ""
        parent = "" if number % 10 in (0, 1, 4) else roots[-1] if number % 10 < 7 else list(directions)[-1]
        fields = {"author": name, "email": f"r{number}@example.net", "comment": text, "thread": thread, "locale": locale, "parent": parent}  # fmt: skip
        answer = service.post(
            f"/api/v1/sites/{site}/comments", fields | {"thread_title": "مكتبة الحيّ تفتح أبوابها من جديد"}
        )
        assert answer.status in {201, 202}, answer.text
        comment = answer.json["id"]
        if answer.status == 202:  # the rules have doubts about some
            assert service.decide(comment, "approve").status == 200
        directions[comment] = direction
        parents[comment] = parent
        if not parent:
            roots.append(comment)
    return Thread(site, thread, directions, parents)


@pytest.fixture(scope="module")
def crowd(service: Service) -> Thread:
    """500 comments."""
    site = service.site(policy={"mode": "publish_unless_flagged", "rate_limits": False})
    return fill(service, site, "crowd", 500)


@pytest.fixture
def press(service: Service) -> Iterator[Press]:
    found = Press()
    found.service = service.base
    yield found
    found.close()


MEASURE = """() => {
  const root = document.querySelector("comment-thread")?.shadowRoot ?? document;
  return [...root.querySelectorAll("article")].map((article) => {
    const said = article.querySelector(".t, .said"), edge = article.getBoundingClientRect();
    const name = article.querySelector("h3 bdi"), time = article.querySelector("time");
    const of = (node) => { const range = document.createRange(); range.selectNodeContents(node); return range.getBoundingClientRect(); };
    return {
      id: article.id.slice(8), direction: getComputedStyle(said).direction, left: edge.left, right: edge.right,
      name: [of(name).left, of(name).right], time: [of(time).left, of(time).right], lines: of(time).height,
      isolated: getComputedStyle(name).unicodeBidi, below: article.parentNode.parentNode.parentNode.querySelector?.(":scope > article")?.id.slice(8) ?? "",
    };
  });
}"""


def measured(page: Page, thread: Thread, way: str) -> list[dict[str, Any]]:
    """Everything on its side: texts by their own direction, replies indented at the page's beginning, names in their own line."""
    found: list[dict[str, Any]] = page.evaluate(MEASURE)
    assert {one["id"]: one["direction"] for one in found}.items() <= thread.directions.items()
    places = {one["id"]: one for one in found}
    for one in found:
        assert 0 <= one["left"] < one["right"] <= PHONE
        assert "isolate" in one["isolated"]
        start = 1 if way == "rtl" else 0  # name and date begin at the same edge, whatever the name is written in
        assert abs(one["name"][start] - one["time"][start]) < 3, one
        below = places.get(one["below"])
        if below:
            near, far = ("right", "left") if way == "rtl" else ("left", "right")
            assert (one[near] - below[near]) * (-1 if way == "rtl" else 1) > 4
            assert abs(one[far] - below[far]) < 2
    return found


@pytest.mark.parametrize("way", ["rtl", "ltr"])
def test_a_long_thread_in_the_element(crowd: Thread, press: Press, visit: Visit, way: str) -> None:
    press.site, press.attributes = crowd.site, 'thread="crowd"'
    page = visit(press.origin + ("/ar/x" if way == "rtl" else "/en/x"), width=PHONE)
    more = page.get_by_role("button", name="تعليقات أخرى" if way == "rtl" else "More comments")
    expect(more).to_be_visible()
    while more.is_visible():
        before = page.get_by_role("article").count()
        more.click()
        page.wait_for_function("n => document.querySelector('comment-thread').shadowRoot.querySelectorAll('article').length > n", arg=before)  # fmt: skip
        assert page.evaluate("document.activeElement.shadowRoot.activeElement.localName") == "article"
    found = measured(page, crowd, way)
    assert [one["id"] for one in found if not one["below"]] == [c for c, parent in crowd.parents.items() if not parent]
    assert {one["id"]: one["below"] for one in found} == crowd.parents
    assert fits(page)


@pytest.mark.parametrize("way", ["rtl", "ltr"])
def test_a_long_thread_on_the_page_without_script(service: Service, crowd: Thread, visit: Visit, way: str) -> None:
    page = visit(f"{service.base}/sites/{crowd.site}/threads/crowd?lang={'ar' if way == 'rtl' else 'en'}", width=PHONE, javascript=True)  # fmt: skip
    assert page.evaluate("getComputedStyle(document.body).direction") == way
    found = measured(page, crowd, way)
    assert {one["id"]: one["below"] for one in found}.items() <= crowd.parents.items()
    assert len(found) >= 100
    assert fits(page)


def test_by_time_a_reply_leads_to_what_it_answers(crowd: Thread, press: Press, visit: Visit) -> None:
    press.site, press.attributes = crowd.site, 'thread="crowd" view="flat" form="off"'
    page = visit(press.origin + "/en/x")
    expect(page.get_by_role("article")).to_have_count(100)
    ids = page.evaluate(
        "[...document.querySelector('comment-thread').shadowRoot.querySelectorAll('article')].map(a => a.id.slice(8))"
    )
    assert ids == list(crowd.directions)[:100]
    reply = next(comment for comment in ids if crowd.parents[comment])
    page.locator(f"#comment-{reply}").get_by_text("Reply to").get_by_role("link").click()
    parent = crowd.parents[reply]
    expect(page.locator(f"#comment-{parent}")).to_be_focused()
    expect(page).to_have_url(re.compile(f"#comment-{parent}$"))


def test_a_link_to_a_comment_finds_it_on_a_later_page(crowd: Thread, press: Press, visit: Visit) -> None:
    press.site, press.attributes = crowd.site, 'thread="crowd"'
    wanted = list(crowd.directions)[320]
    page = visit(press.origin + f"/en/x#comment-{wanted}")
    expect(page.locator(f"#comment-{wanted}")).to_be_focused()
    expect(page.locator(f"#comment-{wanted}")).to_be_in_viewport()


def test_newest_first_keeps_conversations_together(service: Service, press: Press, visit: Visit) -> None:
    press.site = service.site(origins=[press.origin], policy={"mode": "publish_unless_flagged", "rate_limits": False})
    thread = fill(service, press.site, "few", 14)
    press.attributes = 'thread="few" order="newest" form="off"'
    page = visit(press.origin + "/en/x", width=PHONE)
    expect(page.get_by_role("article")).to_have_count(14)
    found = measured(page, thread, "ltr")
    assert {one["id"]: one["below"] for one in found} == thread.parents
    assert [one["id"] for one in found if not one["below"]] == [c for c, p in thread.parents.items() if not p][::-1]


LOOKS = [("ar", 1100, "light"), ("ar", PHONE, "dark"), ("en", PHONE, "dark"), ("en", 1100, "light")]


@pytest.fixture(scope="module")
def shown(service: Service) -> Iterator[tuple[Press, Thread]]:
    press = Press()
    press.service = service.base
    press.site = service.site(
        name="صحيفة الحيّ", origins=[press.origin], policy={"mode": "publish_unless_flagged", "rate_limits": False}
    )
    seen = tuple(one for one in SAID if one[0] not in {"ja", "zh"})[:6]  # a machine without such letters shows boxes
    yield press, fill(service, press.site, "/shown", len(seen), said=seen)
    press.close()


@pytest.mark.parametrize(("lang", "width", "scheme"), LOOKS)
def test_the_element_has_no_barriers(
    shown: tuple[Press, Thread], visit: Visit, lang: str, width: int, scheme: str
) -> None:
    press, _ = shown
    press.attributes = 'thread="/shown"'
    page = visit(press.origin + f"/{lang}/shown", width=width, scheme=scheme, locale=lang)
    expect(page.get_by_role("article")).to_have_count(6)
    assert (barriers(page), fits(page)) == ([], True)


@pytest.mark.parametrize(("lang", "width", "scheme"), LOOKS)
def test_the_page_without_script_has_no_barriers(
    service: Service, shown: tuple[Press, Thread], visit: Visit, lang: str, width: int, scheme: str
) -> None:
    press, _ = shown
    page = visit(f"{service.base}/sites/{press.site}/threads/%2Fshown?lang={lang}", width=width, scheme=scheme)
    if (lang, scheme) in {("ar", "light"), ("en", "dark")}:
        picture(page, f"thread-page-{lang}-{scheme}.png", full=True)
    assert (barriers(page), fits(page)) == ([], True)


def test_who_answers_by_keyboard_comes_back_to_where_they_were(service: Service, press: Press, visit: Visit) -> None:
    press.site, press.attributes = service.site(origins=[press.origin], locale="en"), 'thread="keys"'
    for name in ("Maya", "ليلى"):
        service.decide(service.comment(press.site, author=name, thread="keys", locale="en")["id"], "approve")
    page = visit(press.origin + "/en/keys")
    reply = page.get_by_role("button", name="Reply").nth(1)
    expect(reply).to_be_visible()
    for _ in range(12):
        page.keyboard.press("Tab")
        if reply.evaluate("node => node.matches(':focus')"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Comment")).to_be_focused()
    expect(page.get_by_role("heading", name="Reply to ليلى")).to_be_visible()
    page.get_by_role("button", name="Cancel").focus()
    page.keyboard.press("Enter")
    expect(reply).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Comment")).to_be_focused()
    page.keyboard.type("From the keyboard.")
    for label, text in (("Name", "Anne"), ("E-mail", "anne@example.net")):
        page.get_by_role("textbox", name=label).fill(text)
    page.keyboard.press("Enter")
    thanks = page.get_by_role("status").filter(has_text="waits for review")
    expect(thanks).to_be_focused()
    assert thanks.get_by_role("link").get_attribute("href").startswith(service.base + "/c/")  # type: ignore[union-attr]
    (waiting,) = service.get(f"/api/v1/comments?site={press.site}&status=pending", ADMIN).json["items"]
    assert waiting["text"] == "From the keyboard."


def test_unticking_forgets_at_once(service: Service, press: Press, visit: Visit) -> None:
    press.site = service.site(origins=[press.origin], locale="en")
    page = visit(press.origin + "/en/m")
    for label, text in (("Comment", "Words."), ("Name", "Anne"), ("E-mail", "anne@example.net")):
        page.get_by_role("textbox", name=label).fill(text)
    expect(page.get_by_label("Remember me")).not_to_be_checked()
    page.get_by_label("Remember me").check()
    page.get_by_role("button", name="Post comment").click()
    expect(page.get_by_text("waits for review")).to_be_visible()
    assert "anne@example.net" in page.evaluate("JSON.stringify(localStorage)")
    page.reload()
    page.get_by_label("Remember me").uncheck()
    assert page.evaluate("JSON.stringify(localStorage)") == "{}"


class Frames(Press):
    """Pages that show the thread without script: in a frame, by plain HTML."""

    def answer(self, path: str) -> tuple[str, str, dict[str, str]]:
        frame = f"{self.service}/sites/{self.site}/threads/41?lang=en"
        page = f'<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,"><title>News</title><h1>News</h1><iframe title="Comments" width="360" height="900" src="{frame}"></iframe>'
        return page, "text/html; charset=utf-8", {}


def test_without_script_in_a_frame_of_the_site_one_reads_answers_and_comes_back(service: Service, visit: Visit) -> None:
    press = Frames()
    press.service, press.site = service.base, service.site(origins=[press.origin], locale="en")
    first = service.comment(press.site, author="Maya", locale="en")["id"]
    service.decide(first, "approve")
    page = visit(press.origin + "/41", width=PHONE, javascript=False)
    frame = page.frame_locator("iframe")
    frame.get_by_role("link", name="Reply").click()
    expect(frame.get_by_role("heading", name="Reply to")).to_be_visible()
    frame.get_by_label("Comment").fill("From a frame.")
    frame.get_by_label("Name").fill("Anne")
    frame.get_by_label("E-mail").fill("anne@example")
    frame.get_by_role("button").click()
    expect(frame.get_by_role("alert")).to_be_visible()
    frame.get_by_label("E-mail").fill("anne@example.net")
    frame.get_by_role("button").click()
    expect(frame.get_by_role("status")).to_contain_text("waits for review")
    expect(frame.get_by_role("article")).to_have_count(1)
    assert page.url == press.origin + "/41"
    (waiting,) = service.get(f"/api/v1/comments?site={press.site}&status=pending", ADMIN).json["items"]
    assert (waiting["text"], waiting["parent"]) == ("From a frame.", first)
    press.close()


class Front(Press):
    """A page with many counters, and one that reads only."""

    def answer(self, path: str) -> tuple[str, str, dict[str, str]]:
        script = "counts" if path == "/front" else "read"
        body = "".join(f'<p><comment-count site="{self.site}" thread="t{n}"></comment-count></p>' for n in range(45))
        if path != "/front":
            body = f'<comment-thread site="{self.site}" thread="t3"></comment-thread>'
        page = f'<!doctype html><html lang="ar" dir="rtl"><meta charset="utf-8"><link rel="icon" href="data:,"><title>x</title><script src="{self.service}/{script}.js" defer></script><main><h1>x</h1>{body}</main>'
        policy = f"default-src 'none'; script-src {self.service}; connect-src {self.service}; img-src data:; require-trusted-types-for 'script'; trusted-types comment-thread"
        return page, "text/html; charset=utf-8", {"content-security-policy": policy}


def test_counters_ask_together_and_reading_needs_no_form(service: Service, visit: Visit) -> None:
    press = Front()
    press.service, press.site = service.base, service.site()
    for thread in ("t3", "t3", "t44"):
        service.decide(service.comment(press.site, thread=thread)["id"], "approve")
    page = visit("about:blank", locale="ar")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/counts?" in request.url else None)
    page.goto(press.origin + "/front")
    expect(page.locator("comment-count").nth(44)).not_to_be_empty()
    expect(page.locator("comment-count").nth(3)).to_have_text(page.evaluate("(2).toLocaleString('ar')"))
    assert len(asked) == 3
    page.goto(press.origin + "/read")
    expect(page.get_by_role("article")).to_have_count(2)
    assert page.get_by_role("textbox").count() == 0
    assert page.locator("comment-thread").evaluate("node => node.dir") == "rtl"
    press.close()
