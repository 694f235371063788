"""The desk: by keyboard, without JavaScript, in both directions, with somebody else at work."""

import re
import subprocess
import sys
import uuid

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Held, Visit, barriers, fits, sign_in
from tests.browser.test_demo import picture
from tests.service import Service


@pytest.fixture
def desk(service: Service) -> tuple[str, str, str]:
    """A site with a moderator of its own: site, name, password."""
    site, name = service.site(), f"mod-{uuid.uuid4().hex[:8]}"
    command = [sys.executable, "-m", "moderation", "user", "add", name, "--site", site, "--data", str(service.data)]
    made = subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    return site, name, made.stdout.split()[-1]


def signed_in(service: Service, visit: Visit, desk: tuple[str, str, str], **more: object) -> Page:
    page = visit(service.base + "/review", **more)
    sign_in(page, *desk[1:])
    expect(page.get_by_role("search")).to_be_visible()
    return page


def status(service: Service, comment_id: str) -> str:
    return str(service.one(comment_id)["status"])


def test_a_queue_is_worked_through_by_keys_alone(service: Service, visit: Visit, desk: tuple[str, str, str]) -> None:
    ids = [service.comment(desk[0], comment=f"كلام رقم {n} {uuid.uuid4().hex}")["id"] for n in range(4)]
    page = signed_in(service, visit, desk)
    expect(page.get_by_role("article")).to_have_count(4)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("a")
    expect(page.locator("#notice")).to_contain_text("Published")
    assert status(service, ids[0]) == "approved"
    page.keyboard.press("z")
    expect(page.locator("#notice")).to_contain_text("Taken back")
    assert status(service, ids[0]) == "pending"
    page.keyboard.press("j")  # they are where they were, with the comment back
    page.keyboard.press("s")
    expect(page.get_by_role("article")).to_have_count(3)
    assert status(service, ids[1]) == "spam"
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("رقم 3")  # typed letters are no commands
    page.keyboard.press("Enter")
    expect(page.get_by_role("article")).to_have_count(1)
    page.keyboard.press("r")
    expect(page.locator("#notice")).to_contain_text("Rejected")
    assert status(service, ids[3]) == "rejected"
    expect(page).to_have_url(re.compile("q="))  # they stay where they were


def test_keys_pressed_while_a_press_is_on_its_way_are_done_after_it(
    service: Service, visit: Visit, desk: tuple[str, str, str]
) -> None:
    ids = [service.comment(desk[0], comment=f"كلام رقم {n} {uuid.uuid4().hex}")["id"] for n in range(4)]
    page = signed_in(service, visit, desk)
    held = Held(page, "**/review/comments/*")
    for key in "ajs":
        page.keyboard.press(key)
    held.let_go()
    expect(page.get_by_role("article")).to_have_count(2)
    assert [status(service, one) for one in ids] == ["approved", "pending", "spam", "pending"]
    held = Held(page, "**/review/comments/*")
    for key in "r/s":  # the last is a letter of what they look for
        page.keyboard.press(key)
    held.let_go()
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("رقم 1")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("q="))
    page.keyboard.press("h")  # of no effect, and after whatever might wait
    page.keyboard.press("r")
    expect(page.locator("#notice")).to_contain_text("Rejected")
    assert [status(service, one) for one in ids] == ["approved", "rejected", "spam", "rejected"]


@pytest.mark.parametrize(("locale", "reject", "why", "undo"), [("ar", "رفض", "لا يتعلق بموضوع الصفحة.", "تراجع"), ("en", "Reject", "It is not about the page.", "Undo")])  # fmt: skip
def test_everything_works_without_javascript(
    service: Service, visit: Visit, desk: tuple[str, str, str], locale: str, reject: str, why: str, undo: str
) -> None:
    comment_id = service.comment(desk[0])["id"]
    page = signed_in(service, visit, desk, locale=locale, javascript=False, width=390)
    page.get_by_role("article").get_by_role("combobox").select_option(label=why)
    page.get_by_role("button", name=reject).click()
    expect(page.locator("#notice")).to_be_visible()
    found = service.one(comment_id)
    assert (found["status"], found["reason"]) == ("rejected", "off_topic")
    page.get_by_role("button", name=undo).click()
    expect(page.get_by_role("article")).to_have_count(1)
    assert status(service, comment_id) == "pending"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("locale", ["ar", "en"])
def test_the_desk_has_no_barriers(
    service: Service, visit: Visit, desk: tuple[str, str, str], locale: str, width: int, scheme: str
) -> None:
    service.send("PATCH", f"/api/v1/sites/{desk[0]}", {"policy": {"words": [{"name": "قمار", "entries": ["كازينو"]}], "max_links": 0}})  # fmt: skip
    run = "عرض خاص لكل القراء الكرام زوروا {} اليوم واربحوا في مسابقتنا الجديدة كازينو مع هدايا مجانية للجميع"
    for n in range(3):
        service.comment(desk[0], comment=run.format(f"https://s{n}.example"), author=f"رابح {n}")
    service.comment(
        desk[0], comment="<img src=x onerror=alert(1)> \u202eevil " + "x" * 3000, author="<b onclick=alert(1)>"
    )
    service.comment(
        desk[0], comment="Lovely news! The new reading room is bright and quiet.", author="Maya", locale="en"
    )
    page = signed_in(service, visit, desk, locale=locale, width=width, scheme=scheme)
    expect(page.get_by_role("article")).to_have_count(3)
    assert page.locator("article img, article script").count() == 0
    assert (barriers(page), fits(page)) == ([], True)
    if width == 1440 and (locale, scheme) in {("ar", "light"), ("en", "dark")}:
        picture(page, f"desk-{locale}-{scheme}.png")


def test_two_at_work_see_each_other(service: Service, visit: Visit, desk: tuple[str, str, str]) -> None:
    comment_id = service.comment(desk[0])["id"]
    one, other = signed_in(service, visit, desk), signed_in(service, visit, desk)
    one.get_by_role("button", name="Approve").click()
    expect(one.locator("#notice")).to_contain_text("Published")
    other.get_by_role("button", name="Mark as spam").click()
    expect(other.locator("#notice")).to_contain_text(f"{desk[1]} decided this comment meanwhile: Published")
    assert status(service, comment_id) == "approved"
    expect(one.locator("#new")).to_be_hidden()
    service.comment(desk[0])
    expect(one.locator("#new")).to_be_visible()  # announced; the list has not moved
    assert one.get_by_role("article").count() == 0


def test_what_happens_before_the_page_listens_is_shown_too(
    service: Service, visit: Visit, desk: tuple[str, str, str]
) -> None:
    decided = service.comment(desk[0])["id"]
    page = signed_in(service, visit, desk)
    held = Held(page, "**/queue/stream*")
    page.reload()
    held.wait()
    service.comment(desk[0])
    service.decide(decided, "spam")
    held.let_go()
    expect(page.locator("#new")).to_be_visible()
    expect(page.locator("article .live")).to_have_text("admin decided this comment.")


def test_an_undo_that_comes_too_late_says_so(service: Service, visit: Visit, desk: tuple[str, str, str]) -> None:
    comment_id = service.comment(desk[0])["id"]
    page = signed_in(service, visit, desk)
    page.get_by_role("button", name="Approve").click()
    expect(page.locator("#notice")).to_contain_text("Published")
    service.decide(comment_id, "hold")  # decided anew meanwhile, without a time to undo
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#notice")).to_contain_text("time to undo is over")
