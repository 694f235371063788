"""Rebuilds a static site when its approved comments change. Standard library only.

    rebuild.py --state DIR (--github OWNER/REPOSITORY | --post | --run COMMAND) [--port 8000]

A delivery is answered once the wish to rebuild is on disk. Several within a few seconds are one rebuild; a failed one is tried again;
what was wished for before a kill is built after the restart.
"""

import argparse
import http.client
import json
import logging
import os
import re
import secrets
import shlex
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from receiver import Event, Misconfigured, from_environment, keys, log, serve

BACKOFF_FIRST_SECONDS, BACKOFF_MAX_SECONDS = 2.0, 300.0
REQUEST_SECONDS, COMMAND_SECONDS = 30, 3600
Action = Callable[[], None]


class Failed(Exception):
    """Why a rebuild could not be started; names no secret."""


class Rebuilder:
    """A wish is a file: written before it is answered, removed after a rebuild that began later than the last of them."""

    def __init__(self, state: Path, action: Action, quiet_seconds: float, longest_seconds: float) -> None:
        self._wish = state / "rebuild.wish"
        self._action = action
        self._quiet_seconds, self._longest_seconds = quiet_seconds, longest_seconds
        self._lock = threading.Lock()
        self._wished = threading.Event()
        self._last_at = 0.0

    def start(self) -> None:
        """Work off wishes in the background, those of a former life first."""
        if self._wish.exists():
            self._wished.set()
        threading.Thread(target=self._work, daemon=True).start()

    def ask(self) -> None:
        """When it returns, a rebuild will happen."""
        with self._lock:
            write_durably(self._wish, secrets.token_hex(8))
            self._last_at = time.monotonic()
            self._wished.set()

    def _work(self) -> None:
        wait = BACKOFF_FIRST_SECONDS
        while self._wished.wait():
            self._wished.clear()
            self._until_quiet()
            try:
                self._rebuild()
                wait = BACKOFF_FIRST_SECONDS
            except Exception as error:
                why = error if isinstance(error, Failed) else type(error).__name__
                log.error("the rebuild failed, again in %.0f s: %s", wait, why)
                time.sleep(wait)
                wait = min(wait * 2, BACKOFF_MAX_SECONDS)
                self._wished.set()

    def _rebuild(self) -> None:
        with self._lock:
            if not self._wish.exists():
                return  # the rebuild before began after it was wished for
            wish = self._wish.read_text()
        self._action()
        log.info("rebuilt")
        with self._lock:
            if self._wish.read_text() == wish:
                self._wish.unlink()  # else another was wished for meanwhile, and stays

    def _until_quiet(self) -> None:
        ends = time.monotonic() + self._longest_seconds
        while (now := time.monotonic()) < min(ends, self._last_at + self._quiet_seconds):
            time.sleep(min(ends, self._last_at + self._quiet_seconds) - now)


def write_durably(path: Path, text: str) -> None:
    """The whole file or the old one, also after a power cut."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is a failure: a token must not travel on."""

    def redirect_request(self, *_: object) -> None:
        return None


def post(url: str, data: object, headers: dict[str, str]) -> None:
    """Raises Failed unless the answer is 2xx."""
    body, headers = json.dumps(data).encode(), {"content-type": "application/json", **headers}
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310  an administrator named it
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=REQUEST_SECONDS):
            return
    except urllib.error.HTTPError as error:
        raise Failed(f"answered {error.code}") from None
    except (
        OSError,
        http.client.HTTPException,
        ValueError,
    ) as error:  # their texts may hold the address, which may be a secret
        raise Failed(type(error).__name__) from None


def of_github(repository: str, api: str) -> Action:
    """A repository_dispatch event: a workflow with `on: repository_dispatch: types: [comments]` runs."""
    token = from_environment("GITHUB_TOKEN")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise Misconfigured("--github wants OWNER/REPOSITORY")
    if not token:
        raise Misconfigured("set GITHUB_TOKEN or GITHUB_TOKEN_FILE: a token that may write the repository's contents")
    headers = {
        "authorization": f"Bearer {token}",
        "accept": "application/vnd.github+json",
        "user-agent": "comments-rebuild",
    }
    return lambda: post(f"{api}/repos/{repository}/dispatches", {"event_type": "comments"}, headers)


def of_hook() -> Action:
    """An address that rebuilds when something is posted there, as hosts of static sites offer it. It is a secret itself."""
    url = from_environment("BUILD_HOOK_URL")
    if not re.match(r"https?://[^/\s]+", url):
        raise Misconfigured("set BUILD_HOOK_URL or BUILD_HOOK_URL_FILE to the address of the build hook")
    return lambda: post(url, {}, {"user-agent": "comments-rebuild"})


def of_command(command: str) -> Action:
    """A command; it fails with another exit code than 0, or after an hour."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if not words:
        raise Misconfigured("--run wants a command")

    def run() -> None:
        try:
            done = subprocess.run(words, timeout=COMMAND_SECONDS, stdin=subprocess.DEVNULL, check=False)  # noqa: S603
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Failed(f"the command did not end well ({type(error).__name__})") from None
        if done.returncode:
            raise Failed(f"the command ended with {done.returncode}")

    return run


def changes_the_site(event: Event) -> bool:
    """Whether what the public sees is another since: not for what was never shown."""
    kind, data = event["type"], event["data"]
    return kind in {"comment.approved", "comment.erased"} or (
        kind in {"comment.rejected", "comment.spam", "comment.pending"} and data.get("previous_status") == "approved"
    )


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument(
        "--quiet", type=float, default=5, metavar="SECONDS", help="rebuild once nothing came for so long (5)"
    )
    parser.add_argument("--longest", type=float, default=60, metavar="SECONDS", help="but not later than this (60)")


def in_words(main: Callable[[list[str] | None], None]) -> None:
    """Run a program; what is wrong with its configuration is one line and exit code 2."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        main(None)
    except Misconfigured as error:
        log.error("%s", error)
        sys.exit(2)


def folder(path: Path) -> Path:
    """Make it, or say why that can't be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".probe-{secrets.token_hex(4)}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise Misconfigured(f"can't write into {path}: {error.strerror}") from None
    return path


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Rebuild a static site when its approved comments change.")
    parser.add_argument("--state", type=Path, required=True, metavar="DIR", help="where the wish to rebuild is kept")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--github", metavar="OWNER/REPOSITORY", help="repository_dispatch; token in GITHUB_TOKEN")
    action.add_argument("--post", action="store_true", help="a build hook; its address in BUILD_HOOK_URL")
    action.add_argument("--run", metavar="COMMAND")
    parser.add_argument("--github-api", default="https://api.github.com", metavar="URL", help="of a GitHub of your own")
    add_server_arguments(parser)
    said = parser.parse_args(arguments)
    secret_keys = keys(from_environment("WEBHOOK_SECRET"))
    chosen = (
        of_github(said.github, said.github_api.rstrip("/"))
        if said.github
        else of_hook()
        if said.post
        else of_command(said.run)
    )
    rebuilder = Rebuilder(folder(said.state), chosen, said.quiet, said.longest)
    rebuilder.start()

    def take(event: Event) -> Event:
        if not changes_the_site(event):
            return {"result": "ignored"}
        rebuilder.ask()
        return {"result": "rebuild"}

    serve(said.host, said.port, secret_keys, take)


if __name__ == "__main__":
    in_words(main)
