"""Mails as people see them, and the pages behind their links. PICTURES=1 renews docs/pictures."""

import html as markup
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from moderation.letters import KINDS, SAMPLES, Letters
from tests.browser.conftest import Visit, barriers, fits, open_desk
from tests.browser.test_demo import picture
from tests.mailbox import FROM, Mailbox, links, smtp_server
from tests.service import Service, running

MOD, READER = "mod@example.net", "layla@example.net"
LETTERS = Letters()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("lang", ["ar", "en"])
def test_every_letter_can_be_read_by_everybody_on_a_phone(visit: Visit, lang: str, scheme: str) -> None:
    page = visit("about:blank", width=390, scheme=scheme)
    for kind in KINDS:
        page.set_content(LETTERS.render(kind, lang, SAMPLES[kind]).html)
        assert fits(page), kind
        # a mail is no page of a site: it has no landmarks
        assert [b for b in barriers(page) if not b.startswith(("region", "landmark", "page-has-heading"))] == [], kind
        side = page.evaluate("getComputedStyle(document.querySelector('p')).textAlign + getComputedStyle(document.querySelector('p')).direction")  # fmt: skip
        assert side == ("startrtl" if lang == "ar" else "startltr")


@pytest.mark.parametrize("lang", ["ar", "en"])
def test_the_picture_of_all_letters(visit: Visit, lang: str) -> None:
    page = visit("about:blank", width=1500)
    frames = "".join(
        f'<figure><figcaption dir="auto">{markup.escape(letter.subject)}</figcaption><iframe srcdoc="{markup.escape(letter.html)}" title="{kind}"></iframe></figure>'
        for kind in KINDS
        for letter in [LETTERS.render(kind, lang, SAMPLES[kind])]
    )
    page.set_content(
        f'<body dir="{"rtl" if lang == "ar" else "ltr"}" style="display:grid;grid-template-columns:repeat(3,minmax(0,1fr));gap:16px;margin:16px;font:600 15px system-ui">'
        f"<style>figure{{margin:0}}iframe{{inline-size:100%;block-size:600px;border:1px solid #bbb;margin-block-start:6px}}</style>{frames}</body>"
    )
    expect(page.frame_locator("iframe").last.locator("p").first).to_be_visible()
    picture(page, f"mails-{lang}.png", full=True)


@pytest.fixture(scope="module")
def box() -> Mailbox:
    return Mailbox()


@pytest.fixture(scope="module")
def mailing(box: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with smtp_server(box) as port, running(tmp_path_factory.mktemp("mailing"), MODERATION_SMTP_URL=f"smtp://127.0.0.1:{port}", MODERATION_MAIL_FROM=FROM) as found:  # fmt: skip
        yield found


@pytest.mark.parametrize(
    ("locale", "button", "done"), [("ar", "قبول", "نُشر التعليق."), ("en", "Approve", "It is published.")]
)
def test_a_moderator_decides_from_the_mail_on_a_phone(
    mailing: Service, box: Mailbox, visit: Visit, locale: str, button: str, done: str
) -> None:
    mod = f"{locale}-{MOD}"
    site = mailing.site(notify=[mod], notify_mode="each", locale=locale, name="صحيفة الحيّ")
    comment_id = mailing.comment(site, comment="هل يمكن للطلاب الاستعارة مجاناً؟", thread_title="مكتبة الحيّ تفتح أبوابها من جديد")["id"]  # fmt: skip
    path = links(box.to(mod), "m")[0]
    page = visit(mailing.base + path, width=390, locale=locale, javascript=False)
    expect(page.get_by_text("هل يمكن للطلاب الاستعارة مجاناً؟")).to_be_visible()
    assert mailing.one(comment_id)["status"] == "pending"
    picture(page, f"mail-decide-{locale}.png")
    page.get_by_role("button", name=button).click()
    expect(page.get_by_role("status")).to_contain_text(done)
    assert mailing.one(comment_id)["status"] == "approved"
    for again in (page.url, mailing.base + path):
        page = visit(again, width=390, locale=locale)
        assert barriers(page) == []
        assert fits(page)


@pytest.mark.parametrize(
    ("locale", "choice", "button"), [("ar", "هذا النقاش", "إيقاف الرسائل"), ("en", "this discussion", "No more mails")]
)
def test_a_reader_confirms_and_leaves_without_a_login(
    mailing: Service, box: Mailbox, visit: Visit, locale: str, choice: str, button: str
) -> None:
    reader = f"{locale}-{READER}"
    comment = mailing.comment(mailing.site(), email=reader, notify_replies="1", locale=locale)
    mailing.decide(comment["id"], "approve")
    mail = box.to(reader)
    page = visit(mailing.base + links(mail, "n")[0], width=390, scheme="dark", locale=locale)
    assert (barriers(page), fits(page)) == ([], True)
    page.get_by_role("button").click()
    expect(page.get_by_role("status")).to_be_visible()
    page = visit(mailing.base + links(mail, "u")[0], width=390, scheme="dark", locale=locale)
    assert (barriers(page), fits(page)) == ([], True)
    picture(page, f"mail-unsubscribe-{locale}-dark.png")
    page.get_by_role("radio", name=choice).check()
    page.get_by_role("button", name=button).click()
    expect(page.get_by_role("status")).to_be_visible()
    assert page.locator("html").get_attribute("dir") == ("rtl" if locale == "ar" else "ltr")


def test_the_desk_shows_every_mail(demo: Service, visit: Visit) -> None:
    page = visit(demo.base + "/demo")
    open_desk(page)
    page.get_by_role("link", name="Mails").click()
    for kind in ("Reply", "Waiting comments", "Test"):
        link = page.get_by_role("link", name=kind, exact=True)
        link.click()
        expect(link).to_have_attribute("aria-current", "page")
        page.get_by_role("link", name="العربية").click()
        inner = page.frame_locator("iframe")
        expect(inner.locator("html")).to_have_attribute("dir", "rtl")
        assert barriers(page) == [], kind
        expect(page.locator("pre")).to_have_text(re.compile("[\u0600-\u06ff]"))
        page.get_by_role("link", name="English").click()
        expect(inner.locator("html")).to_have_attribute("dir", "ltr")
    picture(page, "desk-mails.png")
