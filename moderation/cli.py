"""The command line: the one room that sees both wings."""

import asyncio
import getpass
import json
import secrets
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from moderation import archive_commands, backup_commands, checkup, letters, log, privacy_commands, service
from moderation import listen as listener
from moderation.errors import ConfigurationError, Conflict, ModerationError, NotFound, Unreadable
from moderation.model import Moderator, Role, Site
from moderation.policy import Policy
from moderation.screening.rulebook import problems
from moderation.settings import Settings, load
from moderation.store import people, reseal, sites, trial
from moderation.store.connection import ReplyError, Store
from moderation.submission import is_address

app = typer.Typer(
    help="Comment moderation with signed webhooks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
site_app, user_app, token_app, mail_app, rules_app = (typer.Typer(no_args_is_help=True) for _ in range(5))
app.add_typer(site_app, name="site", help="Websites.")
app.add_typer(user_app, name="user", help="Moderators who sign in at the desk.")
app.add_typer(token_app, name="token", help="Bearer tokens for the API.")
app.add_typer(mail_app, name="mail", help="Templates of mails.")
app.add_typer(rules_app, name="rules", help="Screening.")
archive_commands.mount(app)
privacy_commands.mount(app)
backup_commands.mount(app)

Host = Annotated[str | None, typer.Option(help="Address to listen on (MODERATION_HOST).")]
Port = Annotated[int | None, typer.Option(help="Port to listen on (MODERATION_PORT).")]
Data = Annotated[Path | None, typer.Option(help="Data directory (MODERATION_DATA_DIR).")]


def _settings(**overrides: Any) -> Settings:
    settings = load(overrides)
    log.configure(settings.log_level, as_json=settings.log_format == "json")
    return settings


def _run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


@app.command()
def serve(
    host: Host = None,
    port: Port = None,
    data: Data = None,
    no_workers: Annotated[bool, typer.Option(help="HTTP only; run `moderation worker` elsewhere.")] = False,
) -> None:
    """The service: API, review desk and, unless told otherwise, the workers."""
    settings = _settings(host=host, port=port, data_dir=data)

    def announce(bound: int) -> None:
        print(f"moderation listens on http://{settings.host}:{bound} (desk: /review, API: /docs)", flush=True)

    async def invite(store: Store, settings: Settings) -> None:
        token = await people.invite_first(store)
        if token:
            print(
                f"No account yet. Make the first one, within a day: {settings.base_url}/review/setup/{token}",
                flush=True,
            )

    _run(service.run(settings, workers=not no_workers, announce=announce, prepare=invite))


@app.command("http-process", hidden=True)
def http_process() -> None:
    """One HTTP process of several; started by `serve`."""
    _run(service.http_process(_settings()))


@app.command()
def worker() -> None:
    """Workers alone; needs MODERATION_REDIS_URL."""
    from workers.__main__ import main as work

    work()


@app.command()
def demo(host: Host = None, port: Port = None, data: Data = None) -> None:
    """The whole product with a sample site: forms, waiting comments, received webhooks and mails."""
    from moderation import demo as demo_room  # with it come the web and a mail server

    _run(demo_room.run(_settings(host=host, port=port, data_dir=data), data))


@app.command()
def listen(
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 9000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    secret: Annotated[str, typer.Option(help="Secret of the endpoint (whsec_…), to verify what comes.")] = "",
    site: Annotated[str, typer.Option(help="Subscribe to all events of this site for the time of listening.")] = "",
    data: Data = None,
) -> None:
    """A receiver for developers: prints the webhooks that arrive, and whether their signature is right."""
    listener.main(_settings(data_dir=data), host=host, port=port, secret=secret, site=site)


@app.command()
def check(
    data: Data = None,
    mail: Annotated[str, typer.Option(metavar="ADDRESS", help="Send a test mail there.")] = "",
    locale: Annotated[str, typer.Option(help="Language of the test mail.")] = "en",
) -> None:
    """Test the configuration: Redis, its persistence, SMTP, the secret key; say what is wrong and how to mend it."""
    settings = _settings(data_dir=data)
    if not asyncio.run(checkup.run(settings, mail, locale)):
        raise typer.Exit(1)


@mail_app.command("preview")
def mail_preview(
    kind: Annotated[str, typer.Argument(help="One of: " + ", ".join(letters.KINDS))],
    locale: Annotated[str, typer.Option(help="Language, such as ar.")] = "en",
    html: Annotated[bool, typer.Option("--html", help="The HTML part instead of the text.")] = False,
    data: Data = None,
) -> None:
    """Show a mail with made-up values."""
    if kind not in letters.KINDS:
        raise ConfigurationError([f"there is no mail {kind}; there are {', '.join(letters.KINDS)}"])
    letter = letters.Letters(_settings(data_dir=data).mail_templates).render(kind, locale, letters.SAMPLES[kind])
    print(letter.html if html else f"Subject: {letter.subject}\n\n{letter.text}")


@mail_app.command("templates")
def mail_templates(folder: Annotated[Path, typer.Argument(help="Where to put copies of our templates.")]) -> None:
    """Copy the templates into a folder, to be changed and named in MODERATION_MAIL_TEMPLATES. Files that are there stay."""
    for name in letters.export(folder):
        print(folder / name)


@site_app.command("add")
def site_add(
    site_id: Annotated[str, typer.Argument(metavar="ID", help="Short name, such as news; part of the form's address.")],
    origin: Annotated[
        list[str] | None,
        typer.Option(help="Origin whose pages may post, such as https://news.example; repeat for several."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name shown to people.")] = None,
    locale: Annotated[str, typer.Option(help="Language, such as ar.")] = "en",
    thread_url_template: Annotated[
        str | None, typer.Option(help="Where a thread is, such as https://news.example/?p={thread}")
    ] = None,
    notify: Annotated[
        list[str] | None, typer.Option(help="Address that is told of waiting comments; repeat for several.")
    ] = None,
    data: Data = None,
) -> None:
    """Add a website."""
    settings = _settings(data_dir=data)
    wrong = [address for address in notify or () if not is_address(address)]
    if wrong:
        raise ConfigurationError([f"--notify: not an e-mail address ({len(wrong)} of {len(notify or ())})"])

    async def work() -> None:
        site = Site(
            id=site_id,
            name=name or site_id,
            origins=tuple(origin or ()),
            locale=locale,
            thread_url_template=thread_url_template,
        )
        async with service.store_of(settings) as store:
            sealed = tuple(store.privacy.seal(address, f"site:{site.id}") for address in notify or ())
            await sites.create(store, site.model_copy(update={"notify": sealed}))
        print(f"Added. Point the comment form at {settings.base_url}/api/v1/sites/{site.id}/comments")
        if not origin:
            print("It has no origin yet, so no browser may post to it: name one at the desk, under Sites")

    _run(work())


@user_app.command("add")
def user_add(
    name: str,
    role: Role = Role.MODERATOR,
    site: Annotated[list[str] | None, typer.Option(help="Only for this site; repeat for several.")] = None,
    contact: Annotated[bool, typer.Option(help="May read e-mail addresses in full (audited).")] = False,
    email: Annotated[str, typer.Option(help="Is told of disabled endpoints and undeliverable mail, as an admin.")] = "",
    data: Data = None,
) -> None:
    """Add a moderator. The password is asked for, or made up when there is no terminal."""
    settings = _settings(data_dir=data)
    made_up = not sys.stdin.isatty()
    password = secrets.token_urlsafe(12) if made_up else getpass.getpass("Password (at least 10 characters): ")
    if email and not is_address(email):
        raise ConfigurationError(["--email: not an e-mail address"])
    if len(password) < 10:
        raise ConfigurationError(["the password is too short: at least 10 characters"])

    async def work() -> None:
        async with service.store_of(settings) as store:
            who = Moderator(name=name, role=role, sites=tuple(site) if site else None, contact=contact)
            await people.add_user(store, who, password, email)
        print(
            f"Added {name} ({role.value}). Sign in at {settings.base_url}/review"
            + (f" with the password {password}" if made_up else "")
        )

    _run(work())


@token_app.command("add")
def token_add(
    name: str,
    role: Role = Role.MODERATOR,
    site: Annotated[list[str] | None, typer.Option(help="Only for this site; repeat for several.")] = None,
    contact: Annotated[bool, typer.Option(help="May read e-mail addresses in full (audited).")] = False,
    data: Data = None,
) -> None:
    """Add a bearer token; it is shown this once."""
    settings = _settings(data_dir=data)

    async def work() -> None:
        from datetime import UTC, datetime

        who = Moderator(name=name, role=role, sites=tuple(site) if site else None, contact=contact)
        async with service.store_of(settings) as store:
            _, token = await people.add_token(store, who, datetime.now(UTC).isoformat(timespec="seconds"))
        print(token)

    _run(work())


@app.command("reseal")
def reseal_all(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: Data = None,
) -> None:
    """Encrypt anew, with the newest of MODERATION_SECRET_KEY, what older ones encrypted; then those can be dropped. The service may run."""
    settings = _settings(data_dir=data)
    if not yes:
        typer.confirm("Does every process of the service have all of these keys since its last start?", abort=True)

    async def work() -> None:
        async with service.store_of(settings) as store:
            with typer.progressbar(length=max(1, await reseal.total(store)), label="comments", file=sys.stderr) as bar:
                found = await reseal.run(store, bar.update)
        print(f"{found.changed} sealed anew with the newest key")
        if found.lost:
            print(f"{found.lost} can't be opened: the key that sealed them is not among MODERATION_SECRET_KEY")
        elif found.missed:
            print(f"{found.missed} changed meanwhile; run it once more")
        else:
            print("Nothing needs an older key any more; docs/security.md says when links do not either.")
        if not found.is_done:
            raise typer.Exit(1)

    _run(work())


@rules_app.command("try")
def rules_try(
    site_id: Annotated[str, typer.Argument(metavar="SITE")],
    policy: Annotated[Path, typer.Argument(help="JSON file with the fields of the policy that change.")],
    limit: Annotated[int, typer.Option(help="Look at so many comments at most, the newest first.")] = 100_000,
    data: Data = None,
) -> None:
    """What a changed policy would have done with past comments. Changes nothing."""
    settings = _settings(data_dir=data)
    try:
        changes = json.loads(policy.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError([f"{policy}: {error}"]) from None

    async def work() -> None:
        async with service.store_of(settings) as store:
            site, _ = await sites.load(store, site_id)
            merged = json.dumps(site.policy.model_dump(mode="json") | changes)
            wanted = site.model_copy(update={"policy": Policy.model_validate_json(merged)})
            wrong = problems(wanted.policy)
            if wrong:
                raise ConfigurationError([f"{field}: {problem}" for field, problem in wrong])
            _print_trial(await _try(store, wanted, limit))

    _run(work())


async def _try(store: Store, site: Site, limit: int) -> trial.Trial:
    found, cursor = trial.Trial(), ""
    with typer.progressbar(length=1, label="comments", file=sys.stderr) as bar:
        at: str | None = cursor
        while at is not None and found.looked_at < limit:
            before = found.looked_at
            at = await trial.step(store, site, found, at)
            bar.length = max(1, min(found.total, limit))
            bar.update(found.looked_at - before)
    return found


def _print_trial(found: trial.Trial) -> None:
    summary = found.summary()
    print(f"{summary['looked_at']} of {summary['total']} comments")
    for row in summary["outcomes"]:
        print(f"  {row['is']:>9} → {row['would_be']:<9} {row['comments']:>7}")
    print(
        f"wrongly hidden {summary['wrongly_hidden']}, wrongly published {summary['wrongly_published']}, left to humans {summary['left_to_humans']}"
    )
    print("not replayed: " + ", ".join(summary["not_replayed"]))
    for change in summary["changes"][:20]:
        why = next((r["detail"] for r in change["reasons"] if r["rule"] == change["decided_by"]), "")
        print(f"  {change['id']}  {change['is']} → {change['would_be']}  {change['decided_by']}: {why}")


def main() -> None:
    """Wrong configuration ends with code 2, every mistake named; so does a file that can't be read."""
    try:
        app()
    except ConfigurationError as error:
        print("moderation can't start:", file=sys.stderr)
        for problem in error.problems:
            print(f"  - {problem}", file=sys.stderr)
        sys.exit(2)
    except Unreadable as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except (Conflict, NotFound) as error:
        print(error.message, file=sys.stderr)
        sys.exit(1)
    except ReplyError as error:
        print(f"Redis refuses: {error}", file=sys.stderr)
        sys.exit(1)
    except ModerationError:
        print("Redis can't be reached.", file=sys.stderr)
        sys.exit(1)
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=False):
            print(f"{'.'.join(map(str, item['loc']))}: {item['msg'].removeprefix('Value error, ')}", file=sys.stderr)
        sys.exit(2)
