"""A code of an authenticator app after the password (RFC 6238), when the extra `totp` is installed."""

import time

from aiohttp import web

from moderation.errors import FieldError, Invalid, NotFound, Unauthorized
from moderation.model import Role
from moderation.privacy import token_hash
from moderation.store import keys, people
from moderation.store.connection import Store
from moderation.web import body, pages
from moderation.web.auth import same_origin
from moderation.web.context import CONTEXT
from moderation.web.desk import entry, frame
from moderation.web.middleware import locale_of

try:
    import pyotp
    import segno
except ImportError:  # the extra is not installed
    pyotp = segno = None  # type: ignore[assignment,unused-ignore]

WRONG_CODE = "The code is not right."
_ASKED_SECONDS, _CODE_SECONDS = 300, 120


def is_offered() -> bool:
    """Whether the extra is installed."""
    return pyotp is not None


async def _fits(store: Store, name: str, secret: str, code: str) -> bool:
    """Whether the code is the app's right now, one step early or late; each works once."""
    code = "".join(code.split())
    if pyotp is None or not pyotp.TOTP(secret).verify(code, valid_window=1):
        return False
    used = f"{keys.GLOBAL}code:{token_hash(name + ' ' + code)}"
    return bool(await store.pipe.call("SET", used, "1", "NX", "EX", _CODE_SECONDS))


# signing in


async def ask(request: web.Request, name: str, *, message: str = "", status: int = 200) -> web.Response:
    """The page that asks for the code of somebody whose password was right."""
    until = str(int(time.time()) + _ASKED_SECONDS)
    proof = request.app[CONTEXT].store.privacy.sign_link("second step", f"{name} {until}")
    return pages.page(
        request, "second_step.html", locale_of(request), status=status, name=name, until=until, proof=proof, message=message
    )  # fmt: skip


async def answer(request: web.Request) -> web.Response:
    """Check the code. As many tries as for the password."""
    same_origin(request)
    fields = {name: str(value) for name, value in body.parse_form(await body.read(request)).items()}
    store, name, until = request.app[CONTEXT].store, fields.get("name", "")[:100], fields.get("until", "")
    ours = store.privacy.link_is_ours("second step", f"{name} {until}", fields.get("proof", ""))
    if not ours or not until.isdigit() or int(until) < time.time():
        raise web.HTTPSeeOther(frame.SIGN_IN)
    await entry.count_try(request, name)
    record = await people.user_record(store, name)
    if record is None or "totp" not in record:
        raise Unauthorized()
    if not await _fits(store, name, store.privacy.open(record["totp"], f"totp:{name}"), fields.get("code", "")):
        return await ask(request, name, message=WRONG_CODE, status=401)
    await entry.forget_tries(request, name)
    return await entry.signed_in(request, name)


# switching it on and off


async def begin(request: web.Request) -> web.Response:
    """A new secret to read with the app; nothing is switched on before its code comes back."""
    desk, _ = await frame.pressed(request, Role.VIEWER)
    if pyotp is None:
        raise NotFound()
    return _page(desk, pyotp.random_base32())


def _page(desk: frame.Desk, secret: str, errors: dict[str, str] | None = None) -> web.Response:
    uri = pyotp.TOTP(secret).provisioning_uri(name=desk.moderator.name, issuer_name="moderation")
    return desk.page(
        "second_step.html", status=422 if errors else 200, secret=secret, picture=segno.make(uri).svg_data_uri(scale=4, border=3, light="#fff"),
        sealed=desk.store.privacy.seal(secret, f"totp:{desk.moderator.name}"), errors=errors or {},
    )  # fmt: skip


async def switch_on(request: web.Request) -> web.Response:
    """From the next sign-in on, if the app shows the right code."""
    desk, fields = await frame.pressed(request, Role.VIEWER)
    if pyotp is None:
        raise NotFound()
    name = desk.moderator.name
    try:
        secret = desk.store.privacy.open(fields.get("sealed", ""), f"totp:{name}")
    except ValueError:
        raise NotFound() from None
    if not await _fits(desk.store, name, secret, fields.get("code", "")):
        return _page(desk, secret, desk.problems(Invalid([FieldError("code", "invalid", WRONG_CODE)])))
    await people.change_user(desk.store, name, totp=fields["sealed"])
    return frame.see("/review/account", {"done": "kept"})


async def switch_off(request: web.Request) -> web.Response:
    """Only the password is asked for again."""
    desk, _ = await frame.pressed(request, Role.VIEWER)
    await people.change_user(desk.store, desk.moderator.name, totp=None)
    return frame.see("/review/account", {"done": "kept"})
