"""`moderation demo`: the product with a sample site, a receiver that shows what arrives, and comments that wait."""

import asyncio
import contextlib
import email
import email.policy
import ipaddress
import json
import logging
import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP
from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError

from moderation import public, service
from moderation.errors import ConfigurationError, Conflict, NotFound
from moderation.model import Endpoint, Moderator, Role, Site, Status, Submission
from moderation.policy import Policy, WordList
from moderation.privacy import mask_addresses, new_secret, new_token
from moderation.screening import Facts, active, screen
from moderation.screening.rulebook import compile_policy
from moderation.settings import Settings
from moderation.store import comments, endpoints, people, sites
from moderation.store.connection import Store
from moderation.web import pages
from moderation.web.auth import same_origin
from moderation.web.context import CONTEXT
from moderation.web.desk import entry
from moderation.web.middleware import locale_of

SITE, MODERATOR = "demo", "demo"
_KEPT = 30
ARTICLES = {
    "41": {
        "lang": "ar",
        "title": "مكتبة الحيّ تفتح أبوابها من جديد",
        "text": "بعد عامين من الترميم عادت مكتبة الحيّ لاستقبال قرّائها، وفيها قاعة للأطفال وركن للمخطوطات وساعات عمل تمتدّ إلى المساء.",
        "reply": "اترك تعليقاً",
        "note": "لن يتم نشر عنوان بريدك الإلكتروني. الحقول الإلزامية مشار إليها بـ",
        "comment": "التعليق", "author": "الاسم", "email": "البريد الإلكتروني", "url": "الموقع الإلكتروني", "submit": "إرسال التعليق",
        "pending": "شكراً لك. تعليقك بانتظار المراجعة.", "comments": "التعليقات", "other": "English", "paper": "صحيفة الحيّ", "menu": "القائمة", "demo": "العرض",
    },
    "42": {
        "lang": "en",
        "title": "The neighbourhood library opens again",
        "text": "After two years of repairs the library is back, with a room for children, a corner for manuscripts and opening hours into the evening.",
        "reply": "Leave a comment",
        "note": "Your e-mail address will not be published. Required fields are marked",
        "comment": "Comment", "author": "Name", "email": "E-mail", "url": "Website", "submit": "Post comment",
        "pending": "Thank you. Your comment waits for review.", "comments": "Comments", "other": "العربية", "paper": "The Neighbourhood Paper", "menu": "Menu", "demo": "Demo",
    },
}  # fmt: skip
SAMPLES = (
    ("41", "ar", "ليلى", "شكراً على هذا الخبر الجميل. هل يمكن للطلاب الاستعارة مجاناً؟"),
    ("41", "ar", "سامي", "زرتها أمس، والقاعة الجديدة رائعة. للاستفسار راسلوني على sami@example.org"),
    ("41", "fa", "نرگس", "چه خبر خوبی! کاش کتاب‌های فارسی هم داشته باشد."),
    ("42", "en", "Maya", "Lovely news! The plans are at https://example.org/library (PDF, 2 MB)."),
    ("42", "he", "נועה", "כל הכבוד, חיכינו לזה הרבה זמן."),
    ("42", "fr", "Élise", "Bravo ! Est-ce que la salle est ouverte le dimanche ?"),
    ("42", "en", "Best Deals", "CHEAP books!!! http://spam.example/1 http://spam.example/2 http://spam.example/3"),
    ("41", "ar", "رابح", "العب في كـازينـو الأحلام واربح كل يوم: http://casino.example"),
    ("42", "en", "Pat", "A fine cas\u200bino for book lovers \u202emoc.elpmaxe"),
)


class Inbox:
    """What arrived, newest first; in memory, for the demo's page."""

    def __init__(self) -> None:
        self.items: deque[dict[str, Any]] = deque(maxlen=_KEPT)

    def add(self, kind: str, title: str, detail: str, body: str) -> None:
        now = datetime.now(UTC).strftime("%H:%M:%S")
        self.items.appendleft({"kind": kind, "at": now, "title": title, "detail": detail, "body": body})

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:
        """The demo's mail server: shows the letter, hides whom it is for."""
        letter = email.message_from_bytes(envelope.content, policy=email.policy.default)
        part = letter.get_body(("plain",))
        text = part.get_content() if part else ""
        self.add("mail", str(letter["subject"]), mask_addresses(str(letter["to"])), mask_addresses(text))
        return "250 OK"


INBOX = web.AppKey("INBOX", Inbox)
SECRET = web.AppKey("SECRET", dict[str, str])


async def hook(request: web.Request) -> web.Response:
    """The site's end, as a site would write it: verify with the public library, then believe."""
    raw = await request.read()
    inbox = request.app[INBOX]
    try:
        event: Any = Webhook(request.app[SECRET]["whsec"]).verify(raw, dict(request.headers))
    except (WebhookVerificationError, KeyError, ValueError):
        inbox.add("webhook", "unverified request", "signature wrong", "")
        return web.Response(status=401)
    said = event["data"]["comment"]
    inbox.add(
        "webhook",
        event["type"],
        f"signature verified · {request.headers['webhook-id']}",
        json.dumps(event, ensure_ascii=False, indent=2),
    )
    return web.json_response({"external_id": f"wp-{said['id'][-6:]}"})


async def _published(context: Any, thread: str) -> list[dict[str, Any]]:
    found = await comments.page(context.store, SITE, [Status.APPROVED], thread=thread, limit=100)
    return [public.comment(comment) for comment in found.items]


async def article(request: web.Request) -> web.Response:
    """A news page with WordPress's comment form; only its action points here."""
    number = request.match_info["thread"]
    if number not in ARTICLES:
        raise NotFound()
    context = request.app[CONTEXT]
    words = ARTICLES[number]
    return pages.page(
        request, "demo_article.html", words["lang"], words=words, number=number, other="42" if number == "41" else "41",
        action=f"/api/v1/sites/{SITE}/comments", published=await _published(context, number), state=request.query.get("comment_status", ""), form_action=(context.settings.base_url,),
    )  # fmt: skip


async def home(request: web.Request) -> web.Response:
    """The first screen: what to do, and what arrives."""
    waiting = await comments.count(request.app[CONTEXT].store, SITE, Status.PENDING)
    return pages.page(
        request, "demo.html", locale_of(request), script=True, waiting=waiting, items=list(request.app[INBOX].items)
    )


async def feed(request: web.Request) -> web.Response:
    """The part of the page that changes."""
    return pages.page(request, "demo_feed.html", locale_of(request), items=list(request.app[INBOX].items))


async def sign_in(request: web.Request) -> web.Response:
    """The demo's shortcut to the desk; there is none in the real service."""
    same_origin(request)
    return await entry.signed_in(request, MODERATOR)


async def run(settings: Settings, data_dir: Path | None = None) -> None:
    """Serve with everything the demo needs, on loopback only."""
    try:
        loopback = ipaddress.ip_address(settings.host).is_loopback
    except ValueError:
        loopback = settings.host == "localhost"
    if not loopback:
        raise ConfigurationError(
            ["MODERATION_HOST: the demo signs everybody in, so it listens on loopback only; use `moderation serve`"]
        )
    logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd tells every line of every mail
    inbox, secret = Inbox(), {"whsec": new_secret("whsec_")}
    mailbox = await asyncio.get_running_loop().create_server(lambda: SMTP(inbox), "127.0.0.1", 0)
    port = mailbox.sockets[0].getsockname()[1]
    changes = {
        "smtp_url": SecretStr(f"smtp://127.0.0.1:{port}"),
        "mail_from": "comments@demo.example",
        "egress_allow": (*settings.egress_allow, ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")),
        # it signs everybody in and sends mails to itself: not in what a real service keeps, unless told so by name
        "data_dir": data_dir or settings.data_dir / "demo",
        "redis_url": None,
        "public_url": None,
    }
    settings = settings.model_copy(update=changes)

    def add(app: web.Application) -> None:
        app[INBOX], app[SECRET] = inbox, secret
        app.router.add_get("/", home)
        app.router.add_get("/demo", home)
        app.router.add_get("/demo/feed", feed)
        app.router.add_get("/demo/article/{thread}", article)
        app.router.add_post("/demo/hook", hook)
        app.router.add_post("/demo/sign-in", sign_in)

    def announce(bound: int) -> None:
        print(f"\n  The demo is ready: open http://{settings.host}:{bound}/\n", flush=True)  # noqa: T201

    try:
        await service.run(
            settings,
            workers=True,
            announce=announce,
            prepare=lambda store, s: _seed(store, s, secret["whsec"]),
            extra=(add,),
        )
    finally:
        mailbox.close()


async def _seed(store: Store, settings: Settings, secret: str) -> None:
    """The sample site, its endpoint with this start's secret, and comments that wait."""
    base = settings.base_url
    who = Moderator(name=MODERATOR, role=Role.ADMIN, contact=True)
    with contextlib.suppress(Conflict):
        await people.add_user(store, who, new_token(""))  # nobody knows it: the demo signs in by its button
    # a person may as well type localhost: another origin, the same loopback
    origins = (base, f"http://localhost:{settings.port}")
    site = Site(
        id=SITE, name="صحيفة الحيّ", origins=origins, locale="ar", thread_url_template=base + "/demo/article/{thread}",
        notify=(store.privacy.seal("moderators@demo.example", f"site:{SITE}"),), mail_rejections=True, policy=Policy(rate_limits=False, words=(WordList(name="scams", outcome="hold", entries=("casino", "كازينو", "cheap *")),)),
    )  # fmt: skip
    try:
        await sites.create(store, site)
        fresh = True
    except Conflict:
        await sites.save(store, site)
        fresh = False
    for old in await endpoints.of_site(store, SITE):
        await endpoints.remove(store, SITE, old.id)
    endpoint = Endpoint(
        id=store.new_id(SITE), site=SITE, url=base + "/demo/hook", description="the demo's own receiver"
    )
    await endpoints.save(store, endpoint, endpoints.Keys(((secret, 0),)))
    if not fresh:
        return
    _, version = await sites.load(store, SITE)
    book, rules = compile_policy(site.policy), active(site.policy)
    for number, (thread, locale, name, text) in enumerate(SAMPLES):
        said = Submission(
            name=name,
            email=f"sample{number}@example.org",
            url="",
            text=text,
            thread=thread,
            locale=locale,
            thread_title=ARTICLES[thread]["title"],
        )
        verdict = screen(said, Facts(time.time(), store.privacy.author_id(SITE, said.email, said.name)), book, rules)
        await comments.submit(store, site, version, said, address="", screening=verdict.trace())
