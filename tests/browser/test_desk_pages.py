"""Every page of the desk as people use it: managing, many at once, other people's comments, every way in."""

import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit, barriers, fits, reload_until, sign_in
from tests.browser.test_demo import picture
from tests.service import ADMIN, Receiver, Service, free_port, running, until

PAGES = (
    "/review", "/review?status=all", "/review?view=one", "/review/statistics", "/review/account", "/review/people", "/review/sites", "/review/sites/{site}",
    "/review/sites/{site}/screening", "/review/sites/{site}/endpoints", "/review/sites/{site}/mails", "/review/sites/{site}/audit", "/review/suppressions",
    "/review/mails", "/review/personal-data", "/review/comments/{comment}", "/review/sites/{site}/endpoints/{endpoint}",
)  # fmt: skip
PASSWORD = "a password of ten"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of its own, at an address that passkeys can be bound to."""
    port = free_port()
    service = Service(
        tmp_path_factory.mktemp("house") / "data", {"MODERATION_PUBLIC_URL": f"http://localhost:{port}"}, port=port
    )
    service.start()
    yield service
    service.stop()
    print(service.log.read_text()[-6000:])


def at(house: Service) -> str:
    return house.base.replace("127.0.0.1", "localhost")


@pytest.fixture(scope="module")
def invitation(house: Service) -> str:
    return until("the link", lambda: re.search(r"http://\S+/review/setup/\S+", house.log.read_text()))[0]  # type: ignore[no-any-return]


@pytest.fixture
def chief(house: Service, visit: Visit, invitation: str) -> "Visit":
    """Opens pages as an admin of everything; the first time by the link that the service printed."""

    def opened(path: str = "/review", **more: object) -> Page:
        page = visit(at(house) + "/review/sign-in", **more)
        if house.get(invitation.removeprefix(at(house))).status == 200:
            page.goto(invitation)
            page.locator("#name").fill("chief")
            page.locator("#password").fill(PASSWORD)
            page.locator("button[type=submit]").click()
        else:
            sign_in(page, "chief", PASSWORD)
        page.wait_for_url("**/review")
        if path != "/review":
            page.goto(at(house) + path)
        return page

    return opened


def test_the_first_account_is_made_by_a_link_that_works_once(
    house: Service, visit: Visit, chief: Visit, invitation: str
) -> None:
    page = chief()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(visit(invitation).locator("main")).to_contain_text("There is nothing here.")


@pytest.mark.parametrize(
    ("locale", "width", "scheme"),
    [("ar", 390, "dark"), ("en", 1440, "light"), ("fa", 1440, "dark"), ("de", 390, "light")],
)
def test_no_page_has_a_barrier(house: Service, chief: Visit, locale: str, width: int, scheme: str) -> None:
    site = house.site()
    house.send("PATCH", f"/api/v1/sites/{site}", {"policy": {"words": [{"name": "قمار", "entries": ["كازينو"]}]}})
    hostile = "<script>alert(1)</script> <b hx-get='/x' onclick=alert(1)> \u202eevil كازينو " + "x" * 65_000
    comment = house.comment(site, comment=hostile[:65_000], author="<i onmouseover=alert(1)>" + "n" * 200)["id"]
    house.decide(house.comment(site)["id"], "approve")
    endpoint = house.send("POST", f"/api/v1/sites/{site}/endpoints", {"url": "http://127.0.0.1:9/hook"}).json["id"]
    page = chief(locale=locale, width=width, scheme=scheme)
    for path in PAGES:
        page.goto(at(house) + path.format(site=site, comment=comment, endpoint=endpoint))
        assert (path, barriers(page), fits(page)) == (path, [], True)
        assert page.locator("main img:not([src^=data]), article script, [hx-get]").count() == 0
        if locale in {"ar", "en"} and path in {"/review/statistics", "/review/sites/{site}/screening"}:
            picture(page, f"desk-{path.rpartition('/')[2]}-{locale}.png")
    house.send("DELETE", f"/api/v1/sites/{site}")


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
def test_many_are_decided_after_a_preview_and_taken_back(house: Service, chief: Visit, javascript: bool) -> None:
    site = house.site()
    ids = [
        house.comment(site, comment=f"{word} {uuid.uuid4().hex}")["id"] for word in ("uno", "drei", "quattro", "пять")
    ]
    page = chief(f"/review?site={site}", javascript=javascript)
    page.locator("#many-at-once > summary").click()
    page.locator("article input[type=checkbox]").nth(1).check()
    page.locator("article input[type=checkbox]").nth(2).check()
    if javascript:
        expect(page.locator("#chosen")).to_contain_text("2")
    page.locator("#many").get_by_role("button", name="Mark as spam").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("2 comments")
    assert [house.one(one)["status"] for one in ids] == ["pending"] * 4  # nothing is done yet
    page.get_by_role("button", name="Do it").click()
    expect(page.locator("#notice")).to_contain_text("2 comments")
    assert [house.one(one)["status"] for one in ids] == ["pending", "spam", "spam", "pending"]
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#notice")).to_contain_text("Taken back")
    assert [house.one(one)["status"] for one in ids] == ["pending"] * 4
    page.locator("#many-at-once > summary").click()
    page.get_by_label("All that is found: 4 comments").check()
    page.locator("#many").get_by_role("button", name="Approve").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("4 comments")
    late = house.comment(site)["id"]  # after they looked
    page.get_by_role("button", name="Do it").click()
    expect(page.locator("#notice")).to_contain_text("4 comments")
    assert [house.one(one)["status"] for one in (*ids, late)] == ["approved"] * 4 + ["pending"]


def test_who_has_what_is_shown_live_and_can_be_taken_over(house: Service, chief: Visit) -> None:
    site = house.site()
    comment = house.comment(site)["id"]
    token = house.send("POST", "/api/v1/tokens", {"name": "Nadia", "role": "moderator"}).json["token"]
    page = chief(f"/review?site={site}")
    house.send("POST", "/api/v1/queue/claim", {"ids": [comment]}, token)
    expect(page.locator("article .live")).to_have_text("Nadia holds this comment.")
    page.get_by_role("button", name="Approve").click()
    expect(page.locator("#notice")).to_contain_text("Nadia holds this comment right now")
    page.get_by_role("button", name="Take it over").click()
    expect(page.locator("#notice")).to_contain_text("yours for five minutes")
    assert house.one(comment)["claim"]["by"] == "chief"
    assert house.send("POST", f"/api/v1/comments/{comment}/decisions", {"decision": "approve"}, token).status == 409
    page.keyboard.press("t")
    expect(page.get_by_role("button", name="Take it")).to_be_visible()
    assert house.one(comment)["claim"] is None
    house.send("POST", f"/api/v1/comments/{comment}/decisions", {"decision": "spam"}, token)
    expect(page.locator("article .live")).to_have_text("Nadia decided this comment.")


def test_a_filter_is_saved_and_forgotten(house: Service, chief: Visit) -> None:
    site = house.site()
    house.comment(site, comment="Bonjour à tous", locale="fr")
    house.comment(site, comment="Guten Tag zusammen", locale="de")
    page = chief(f"/review?site={site}")
    page.locator("select[name=language]").select_option("fr")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("article")).to_have_count(1)
    page.get_by_text("Save this filter").click()
    page.get_by_label("Name of the filter").fill("فرنسي")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#notice")).to_contain_text("saved")
    page.goto(at(house) + "/review")
    page.get_by_role("link", name="فرنسي").click()
    expect(page.get_by_role("article")).to_have_count(1)
    expect(page.get_by_role("article")).to_contain_text("Bonjour")
    page.get_by_role("button", name="Forget the filter فرنسي").click()
    expect(page.get_by_role("link", name="فرنسي")).to_have_count(0)


def test_keys_are_listed_changed_and_work_under_another_layout(house: Service, chief: Visit) -> None:
    site = house.site()
    comment = house.comment(site)["id"]
    page = chief("/review/account")
    page.locator("#key-approve").select_option("KeyR")
    page.locator("#keys-form").get_by_role("button", name="Save").click()
    expect(page.locator("#reject-error")).to_be_visible()  # used twice
    page.locator("#key-approve").select_option("KeyF")
    page.locator("#key-reject").select_option("KeyR")
    page.locator("#keys-form").get_by_role("button", name="Save").click()
    expect(page.locator("#notice")).to_contain_text("Kept")
    page.goto(at(house) + f"/review?site={site}")
    page.keyboard.press("Shift+Slash")
    expect(page.get_by_role("dialog")).to_contain_text("Approve")
    page.keyboard.press("Escape")
    # what a browser reports when the Arabic layout is on: another letter at the same place
    page.evaluate("document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'ب', code: 'KeyF', bubbles: true}))")
    expect(page.locator("#notice")).to_contain_text("Published")
    assert house.one(comment)["status"] == "approved"
    page.goto(at(house) + "/review/account")
    page.get_by_role("button", name="As they were at first").click()
    expect(page.locator("#key-approve")).to_have_value("KeyA")


def test_one_at_a_time_goes_through_the_queue_on_a_phone(house: Service, chief: Visit) -> None:
    site = house.site()
    ids = [house.comment(site, comment=f"{n} {uuid.uuid4().hex}")["id"] for n in ("first", "second", "third")]
    page = chief(f"/review?view=one&site={site}", width=390)
    expect(page.get_by_role("article")).to_have_count(1)
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("article")).to_contain_text("second")
    page.get_by_role("link", name="Later").click()
    expect(page.get_by_role("article")).to_contain_text("third")
    assert [house.one(one)["status"] for one in ids] == ["approved", "pending", "pending"]


def test_an_address_is_read_once_asked_for_and_the_reading_is_written_down(house: Service, chief: Visit) -> None:
    site, address = house.site(), f"canary-{uuid.uuid4().hex[:8]}@example.net"
    comment = house.comment(site, email=address)["id"]
    page = chief(f"/review/comments/{comment}")
    assert address not in page.content()
    page.get_by_role("button", name="Show the e-mail address").click()
    expect(page.locator(".once code")).to_have_text(address)
    page.goto(at(house) + f"/review/sites/{site}/audit")
    expect(page.get_by_role("row").nth(1)).to_contain_text("contact.read")
    assert address not in page.content()


def test_an_author_is_blocked_and_a_comment_erased(house: Service, chief: Visit) -> None:
    site, address = house.site(), f"{uuid.uuid4().hex[:8]}@example.net"
    comment = house.comment(site, email=address)["id"]
    page = chief(f"/review/comments/{comment}")
    page.get_by_role("button", name="Block this author").click()
    expect(page.locator("#notice")).to_contain_text("is spam")
    assert house.one(house.comment(site, email=address, comment="once more, please")["id"])["status"] == "spam"
    page.goto(at(house) + f"/review/comments/{comment}")
    page.get_by_text("Erase this comment").click()
    page.get_by_role("button", name="Erase it now").click()
    expect(page.locator("#notice")).to_contain_text("gone for good")
    assert house.get(f"/api/v1/comments/{comment}", ADMIN).status == 404


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
def test_a_site_is_set_up_at_the_desk(house: Service, chief: Visit, receiver: Receiver, javascript: bool) -> None:
    page, site = chief("/review/sites", javascript=javascript), f"d-{uuid.uuid4().hex[:8]}"
    page.locator("#id").fill("Not A Slug")
    page.locator("#origins").fill("news.example")
    page.get_by_role("button", name="Add the site").click()
    expect(page.locator("#id-error")).to_be_visible()
    expect(page.locator("#origins-error")).to_be_visible()
    page.locator("#id").fill(site)
    page.locator("#origins").fill("https://news.example")
    page.get_by_role("button", name="Add the site").click()
    expect(page.get_by_role("status").first).to_contain_text("Added")
    page.locator("#notify").fill("moderator@example.org")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("m•••@e•••.org")).to_be_visible()
    assert "moderator@example.org" not in page.content()

    page.get_by_role("link", name="Webhooks").click()
    page.locator("#url").fill(receiver.url)
    page.get_by_role("button", name="Add the endpoint").click()
    secret = page.locator(".once code").inner_text()
    assert secret.startswith("whsec_")
    page.get_by_role("link", name=receiver.url).click()
    expect(page.get_by_role("heading", name="Deliveries")).to_be_visible()
    assert secret not in page.content()  # shown once
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_role("status").first).to_contain_text("A test event is on its way")
    assert b"endpoint.ping" in receiver.next()[1]
    reload_until(page, page.get_by_role("row").filter(has_text="endpoint.ping").locator(".state.good"))
    page.get_by_role("button", name="A new secret").click()
    assert page.locator(".once code").inner_text() != secret
    page.get_by_role("button", name="Disable").click()
    expect(page.locator("article .state")).to_have_text("Disabled")
    page.get_by_role("button", name="Enable").click()
    expect(page.locator("article .state")).to_have_text("Works")
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("No endpoint yet")).to_be_visible()

    page.goto(at(house) + f"/review/sites/{site}")
    page.get_by_text("Delete this site").click()
    page.locator("details #id").fill("another")
    page.get_by_role("button", name="Delete everything").click()
    expect(page.locator("#id-error")).to_have_count(1)
    page.get_by_text("Delete this site").click()
    page.locator("details #id").fill(site)
    page.get_by_role("button", name="Delete everything").click()
    expect(page.get_by_role("status").first).to_contain_text("Deleted")
    assert house.get(f"/api/v1/sites/{site}", ADMIN).status == 404


def test_a_policy_is_tried_before_it_is_kept(house: Service, chief: Visit) -> None:
    site = house.site()
    for n in range(3):
        house.decide(house.comment(site, comment=f"lovely casino {n} {uuid.uuid4().hex}")["id"], "approve")
    page = chief(f"/review/sites/{site}/screening")
    page.get_by_text("One more list").click()
    page.locator("#words-0-name").fill("scams")
    page.locator("#words-0-outcome").select_option("spam")
    page.locator("#words-0-entries").fill("casino\n/(/")
    page.get_by_role("button", name="Try it on past comments first").click()
    expect(page.get_by_role("alert").first).to_contain_text("Word lists")
    page.locator("#words-0-entries").fill("casino")
    page.get_by_role("button", name="Try it on past comments first").click()
    expect(page.locator("#tried")).to_contain_text("Looked at 3 of 3 comments.")
    expect(page.locator("#tried .figure strong").first).to_have_text("3")
    assert house.get(f"/api/v1/sites/{site}", ADMIN).json["policy"]["words"] == []
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").first).to_contain_text("Kept")
    assert house.get(f"/api/v1/sites/{site}", ADMIN).json["policy"]["words"][0]["entries"] == ["casino"]
    assert house.one(house.comment(site, comment="my casino")["id"])["status"] == "spam"


def test_accounts_and_tokens_are_made_changed_and_taken_away(house: Service, chief: Visit, visit: Visit) -> None:
    site, name = house.site(), f"mod {uuid.uuid4().hex[:6]}"
    page = chief("/review/people")
    form = page.locator("form[action='/review/people']")
    form.locator("[name=name]").fill(name)
    form.locator(f"[name=site-{site}]").check()
    form.get_by_role("button").click()
    password = page.locator(".once code").inner_text()
    other = visit(at(house) + "/review/sign-in")
    sign_in(other, name, password)
    expect(other.get_by_role("search")).to_be_visible()
    expect(other.get_by_role("link", name="Sites")).to_have_count(0)
    assert other.goto(at(house) + "/review/people").status == 403  # type: ignore[union-attr]
    page.goto(at(house) + "/review/people")
    page.locator("summary").filter(has_text=name).click()
    row = page.locator("details").filter(has_text=name)
    row.locator("[name=role]").select_option("viewer")
    row.get_by_role("button", name="Save").click()
    expect(page.locator("#notice")).to_contain_text("Kept")
    house.comment(site)
    other.goto(at(house) + "/review")  # rights are those of now
    expect(other.get_by_role("article")).to_have_count(1)
    expect(other.get_by_role("button", name="Approve")).to_have_count(0)
    page.locator("summary").filter(has_text=name).click()
    page.locator("details").filter(has_text=name).get_by_role("button", name="Remove").click()
    expect(page.locator("summary").filter(has_text=name)).to_have_count(0)
    other.goto(at(house) + "/review")
    expect(other.locator("#password")).to_be_visible()  # signed out
    page.locator("#token-name").fill("robot")
    page.get_by_role("button", name="Make the token").click()
    token = page.locator(".once code").inner_text()
    assert house.get("/api/v1/comments", token).status == 200
    page.get_by_role("button", name="Revoke robot").click()
    expect(page.locator("#notice")).to_contain_text("Kept")
    assert house.get("/api/v1/comments", token).status == 401


def test_statistics_say_the_same_in_every_form(house: Service, chief: Visit) -> None:
    site = house.site(policy={"rate_limits": False, "words": [{"name": "x", "entries": ["tulip"]}]})
    for n, decision in enumerate(["approve", "approve", "reject", "spam"]):
        house.decide(house.comment(site, comment=f"tulip {n} {uuid.uuid4().hex}")["id"], decision)
    house.comment(site)
    page = chief(f"/review/statistics?site={site}&days=7")
    expect(page.locator(".figure strong").first).to_have_text("5")
    expect(page.locator("svg[role=img] rect")).to_have_count(4)
    page.get_by_text("As a table").click()
    expect(page.locator("details tbody tr").last.locator("td")).to_have_text(["1", "2", "1", "1"])
    expect(page.get_by_role("row").filter(has_text="Listed words")).to_contain_text("2 (50%)")
    session = {"cookie": "; ".join(f"{one['name']}={one['value']}" for one in page.context.cookies())}
    lines = house.get(f"/review/statistics.csv?site={site}&days=7", **session).text.splitlines()
    assert "rule word_lists,hits,4" in lines
    assert "rule word_lists,overturned,2" in lines
    assert "decided by admin,approved,2" in lines
    audit = house.get(f"/review/sites/{site}/audit.csv", **session)
    assert audit.headers["content-disposition"] == f'attachment; filename="audit-{site}.csv"'
    assert audit.text.count("decision.approve") == 2
    assert house.get(f"/review/sites/{site}/audit.jsonl", **session).text.count('"decision.spam"') == 1


def test_a_suppression_is_added_and_lifted(house: Service, chief: Visit) -> None:
    page = chief("/review/suppressions")
    page.locator("#email").fill("nobody@example.org")
    page.locator("fieldset").get_by_role("button", name="Save").click()
    expect(page.get_by_role("row").filter(has_text="n•••@e•••.org")).to_be_visible()
    assert "nobody@example.org" not in page.content()
    page.get_by_role("button", name="Send to them again").click()
    expect(page.get_by_text("Nobody.")).to_be_visible()


def test_what_is_kept_of_an_address_is_found_given_out_and_deleted(
    house: Service, chief: Visit, tmp_path: Path
) -> None:
    site, who = house.site(name="صحيفة"), f"canary-{uuid.uuid4().hex[:6]}@example.org"
    one = house.comment(site, email=who)["id"]
    page = chief("/review/personal-data")
    page.locator("#email").fill("nobody-there@example.org")
    page.get_by_role("button", name="Look", exact=True).click()
    expect(page.get_by_text("No comment came with this address.")).to_be_visible()
    page.locator("#email").fill(who)
    page.get_by_role("button", name="Look", exact=True).click()
    expect(page.get_by_text("1 comment:")).to_be_visible()
    assert who not in page.content()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as a file").click()
    download.value.save_as(tmp_path / "kept.json")
    assert one in (tmp_path / "kept.json").read_text()
    page.get_by_text("Delete everything").click()
    page.get_by_role("button", name="Delete it for good").click()
    expect(page.get_by_text("1 comment was deleted.")).to_be_visible()
    assert house.get(f"/api/v1/comments/{one}", ADMIN).status == 404
    actions = [entry["action"] for entry in house.get(f"/api/v1/sites/{site}/audit", ADMIN).json["items"]]
    assert actions == ["address.erased", "comment.erased", "address.exported"]


def test_a_site_says_for_how_long_it_keeps_comments(house: Service, chief: Visit) -> None:
    site = house.site()
    page = chief(f"/review/sites/{site}")
    page.locator("#keep_spam").fill("0")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#keep_spam-error")).to_be_visible()
    page.locator("#keep_spam").fill("30")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#notice")).to_be_visible()
    assert house.get(f"/api/v1/sites/{site}", ADMIN).json["retention"]["spam"] == 30


# ways in


def test_a_password_is_changed_and_every_other_session_ends(house: Service, visit: Visit, chief: Visit) -> None:
    name = f"p-{uuid.uuid4().hex[:6]}"
    page = chief("/review/people")
    form = page.locator("form[action='/review/people']")
    form.locator("[name=name]").fill(name)
    form.get_by_role("button").click()
    first = page.locator(".once code").inner_text()
    one, other = visit(at(house) + "/review/sign-in"), visit(at(house) + "/review/sign-in")
    for session in (one, other):
        sign_in(session, name, first)
    one.goto(at(house) + "/review/account")
    one.locator("#old").fill("wrong")
    one.locator("#new").fill(PASSWORD)
    one.get_by_role("button", name="Change the password").click()
    expect(one.locator("#old-error")).to_be_visible()
    one.locator("#old").fill(first)
    one.locator("#new").fill(PASSWORD)
    one.get_by_role("button", name="Change the password").click()
    expect(one.get_by_role("status").first).to_contain_text("Kept")
    other.goto(at(house) + "/review")
    expect(other.locator("#password")).to_be_visible()
    one.locator("select[name=language]").select_option("he")
    one.locator("form[action='/review/account/language'] button").click()
    expect(one.locator("html")).to_have_attribute("lang", "he")
    one.locator("button.danger").first.click()  # everywhere, this one too
    expect(one.locator("#password")).to_be_visible()


def test_a_second_step_asks_for_a_code_that_works_once(house: Service, visit: Visit, chief: Visit) -> None:
    name = f"t-{uuid.uuid4().hex[:6]}"
    page = chief("/review/people")
    form = page.locator("form[action='/review/people']")
    form.locator("[name=name]").fill(name)
    form.get_by_role("button").click()
    password = page.locator(".once code").inner_text()
    one = visit(at(house) + "/review/sign-in", javascript=False)
    sign_in(one, name, password)
    one.goto(at(house) + "/review/account")
    one.get_by_role("button", name="Set it up").click()
    secret = one.locator("code").inner_text()
    one.locator("#code").fill("000000")
    one.get_by_role("button", name="Switch it on").click()
    expect(one.locator("#code-error")).to_be_visible()
    used = pyotp.TOTP(secret).now()
    one.locator("#code").fill(used)
    one.get_by_role("button", name="Switch it on").click()
    expect(one.get_by_text("The second step is on.")).to_be_visible()
    other = visit(at(house) + "/review/sign-in", javascript=False)
    sign_in(other, name, password)
    other.locator("#code").fill(used)  # it was used already
    other.get_by_role("button", name="Sign in").click()
    expect(other.get_by_role("alert")).to_contain_text("not right")
    assert other.context.request.get(at(house) + "/review").url.endswith("/review/sign-in")  # not in yet
    steps = pyotp.TOTP(secret)
    other.locator("#code").fill(next(code for code in (steps.at(_now() + 30), steps.at(_now() - 30)) if code != used))
    other.get_by_role("button", name="Sign in").click()
    expect(other.get_by_role("search")).to_be_visible()


def _now() -> int:
    return int(time.time())


def test_a_passkey_signs_in_without_a_password(house: Service, chief: Visit) -> None:
    page = chief("/review/account")
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send("WebAuthn.addVirtualAuthenticator", {"options": {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True}})  # fmt: skip
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("button", name="Remove")).to_have_count(1)
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("search")).to_be_visible()
    page.goto(at(house) + "/review/account")
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("No passkey yet.")).to_be_visible()
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.locator("#passkey-trouble")).to_be_visible()


def test_a_form_of_another_session_is_refused(house: Service, chief: Visit) -> None:
    site = house.site()
    comment = house.comment(site)["id"]
    page = chief(f"/review?site={site}")
    cookie = "; ".join(f"{one['name']}={one['value']}" for one in page.context.cookies())
    token = page.locator("[name=form_token]").first.get_attribute("value") or ""
    asked = {"decision": "approve", "form_token": token}
    own = {"cookie": cookie, "origin": at(house)}
    assert house.form(f"/review/comments/{comment}", asked, **own | {"origin": "https://evil.example"}).status == 403
    assert house.form(f"/review/comments/{comment}", asked | {"form_token": "x"}, **own).status == 403
    assert house.form(f"/review/comments/{comment}", asked, origin=at(house)).status == 303  # to the door
    assert house.one(comment)["status"] == "pending"
    assert house.form(f"/review/comments/{comment}", asked, **own).status == 303
    assert house.one(comment)["status"] == "approved"


def test_nothing_of_another_site_is_seen_or_done(tmp_path: Path) -> None:
    with running(tmp_path / "data") as service:
        ours, theirs = service.site(), service.site()
        comment = service.comment(theirs)["id"]
        token = service.send("POST", "/api/v1/tokens", {"name": "x", "role": "moderator", "sites": [ours]}).json[
            "token"
        ]
        assert service.send("POST", "/api/v1/queue/claim", {"ids": [comment]}, token).json["items"] == []
        assert service.get("/review/people", None, accept="text/html").status == 303
