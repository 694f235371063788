"""The documentation is true: settings, commands, links and keys are all there."""

import ast
import re
from pathlib import Path

import pytest
import typer.main

from moderation.cli import app
from moderation.settings import Settings
from moderation.store import keys
from moderation.web.routes import ROUTES

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")])


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented_with_its_default(name: str) -> None:
    rows = [
        line
        for line in (ROOT / "docs/configuration.md").read_text().splitlines()
        if f"`MODERATION_{name.upper()}`" in line
    ]
    assert rows
    default = Settings.model_fields[name].default
    assert ("none" if default is None else "empty" if default == () else str(default)) in rows[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#|mailto:)([^)#]+)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing == []


def test_every_key_that_a_script_makes_is_in_the_table() -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "moderation/store/lua").rglob("*.lua"))
    made = set(re.findall(r"tag \.\. '([a-z]+)[:']", sources))
    assert len(made) > 8
    assert [kind for kind in sorted(made) if not re.search(rf"\| m:{{pNN}}:{kind}[: ]", keys.__doc__ or "")] == []


def test_every_redis_command_is_among_the_documented_rights() -> None:
    scripts = "\n".join(path.read_text() for path in (ROOT / "moderation/store/lua").rglob("*.lua"))
    rooms = [
        *(ROOT / "moderation/store").glob("*.py"),
        *(ROOT / "workers").glob("*.py"),
        *(ROOT / "moderation/web/desk").glob("*.py"),
    ]
    source = "\n".join(path.read_text() for path in rooms)
    used = set(re.findall(r"redis\.call\('([A-Z]+)'", scripts))
    used |= set(re.findall(r'(?:pipe\.call\(|[\s\[(]\()\s*"([A-Z]{2,})"', source))
    used -= {"AUTH", "OOM", "READONLY"}  # needs no right; answers
    rights = set(re.findall(r"\+([a-z]+)", (ROOT / "docs/redis.md").read_text().partition("ACL SETUSER")[2]))
    assert len(used) > 40
    assert sorted(command for command in used if command.lower() not in rights) == []


def test_every_test_that_a_promise_names_exists() -> None:
    named = re.findall(r"`(tests/[a-z_/]+\.py)::(test_[a-z0-9_]+)`", (ROOT / "docs/promises.md").read_text())
    assert len(named) > 30
    assert [
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / path).exists()
        or not re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE)
    ] == []


def test_every_command_of_the_readme_exists() -> None:
    program = typer.main.get_command(app)
    used = set(
        re.findall(
            r"^(?:\.venv/bin/)?moderation ([a-z-]+)(?: ([a-z-]+))?", (ROOT / "README.md").read_text(), re.MULTILINE
        )
    )
    assert {name for name, _ in used} >= {"serve", "check", "site", "import"}
    for name, below in used:
        found = program.commands[name]  # type: ignore[attr-defined]
        assert below in found.commands if hasattr(found, "commands") else True


def test_every_test_that_shows_a_defence_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs/security.md").read_text())
    assert len(named) > 70
    there: dict[str, set[str]] = {}
    for path, name in named:
        if path not in there:
            source = ast.parse((ROOT / path).read_text())
            there[path] = {n.name for n in source.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert name in there[path], f"{path}::{name}"


def test_every_room_that_the_threats_name_exists() -> None:
    rooms = set(
        re.findall(r"`((?:web|store|workers|screening)/[\w/]+\.py|\w+\.py)`", (ROOT / "docs/security.md").read_text())
    )
    assert len(rooms) > 25
    assert [
        room for room in sorted(rooms) if not ((ROOT / "moderation" / room).exists() or (ROOT / room).exists())
    ] == []


def test_every_url_is_unique_and_named_once() -> None:
    pairs = [(route.method, route.path) for route in ROUTES]
    assert len(pairs) == len(set(pairs))


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_locks_hold_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    packages = re.findall(r"^[a-z0-9._-]+(?:\[[^]]+\])?==[^\s\\;]+", text, re.MULTILINE)
    assert len(packages) > 20
    assert text.count("--hash=sha256:") >= len(packages)
