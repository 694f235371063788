"""Server-rendered pages: autoescaped, translated, right-to-left where the language is, under a nonce-only policy."""

import secrets
from pathlib import Path
from typing import Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from moderation.i18n import install, language_of, languages
from moderation.markup import direction
from moderation.model import REASONS
from moderation.web import static_files
from moderation.web.context import CONTEXT

# of every page: no window of another origin has a hold of it, and it asks for no device
ALONE = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_FOLDER = Path(__file__).parent / "templates"


def environment() -> Environment:
    """Jinja with autoescape; an unknown variable is an error, not an empty place."""
    made = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    install(made)
    made.globals.update(reasons=REASONS, static=static_files.address, languages=languages())
    return made


def page(
    request: web.Request,
    template: str,
    locale: str,
    *,
    status: int = 200,
    form_action: tuple[str, ...] = (),
    script: bool = False,
    frames: bool = False,
    framed_by: tuple[str, ...] = (),
    **values: Any,
) -> web.Response:
    """Render a template. `form_action` names origins a form's answer may redirect to (browsers apply the policy to redirects), `framed_by`
    those whose pages may show it in a frame.
    """
    nonce = secrets.token_urlsafe(16)
    language = language_of(locale)
    html = (
        request.app[CONTEXT]
        .templates.get_template(template)
        .render(lang=language, locale=locale, dir=direction(language), nonce=nonce, **values)
    )
    policy = [
        "default-src 'none'", f"style-src 'self' 'nonce-{nonce}'", "img-src 'self' data:", "form-action " + " ".join(("'self'", *form_action)),
        "frame-ancestors " + (" ".join(framed_by) or "'none'"), "base-uri 'none'",
    ]  # fmt: skip
    if frames:
        policy.append("frame-src 'self'")
    if script:
        policy += [f"script-src 'nonce-{nonce}'", "connect-src 'self'"]
    return web.Response(
        text=html,
        status=status,
        content_type="text/html",
        headers={
            "Content-Security-Policy": "; ".join(policy),
            "Referrer-Policy": "same-origin",
            "X-Robots-Tag": "noindex",
            **ALONE,
            "Vary": "Accept, Accept-Language",
        },
    )
