"""The receivers for static sites, run as they stand in deploy/static, told by the real service."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.deliveries import event, new_id, new_secret, signed
from tests.service import Receiver, Service, free_port, until

SCRIPTS = Path(__file__).parents[2] / "deploy" / "static"
EVENTS = [
    "comment.submitted",
    "comment.approved",
    "comment.pending",
    "comment.rejected",
    "comment.spam",
    "comment.erased",
]
TOKEN = "github-token-that-nobody-may-see"


@dataclass
class Script:
    """One of the programs on a free port, in a process of its own."""

    folder: Path
    name: str
    arguments: tuple[str, ...]
    secret: str
    environ: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def log(self) -> str:
        return (self.folder / "script.log").read_text()

    def start(self) -> "Script":
        environ = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        with (self.folder / "script.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-B", str(SCRIPTS / self.name), *self.arguments, "--port", str(self.port)],
                env=environ | {"WEBHOOK_SECRET": self.secret} | self.environ, stdout=log, stderr=log,
            )  # fmt: skip
        until("it to listen", self._listens)
        return self

    def _listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log
        with contextlib.suppress(OSError):
            return self.request("GET", b"", {}) == 200
        return False

    def request(self, method: str, body: bytes, headers: dict[str, str]) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, "/hook", body, headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def deliver(self, what: dict[str, Any]) -> int:
        body = json.dumps(what).encode()
        return self.request("POST", body, signed(self.secret, body))

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(60)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(60)


@contextlib.contextmanager
def running(folder: Path, name: str, *arguments: str, **environ: str) -> Iterator[Script]:
    script = Script(folder, name, arguments, new_secret(), environ).start()
    try:
        yield script
    finally:
        if script.process and script.process.poll() is None:
            script.stop()


@contextlib.contextmanager
def connected(
    service: Service, site: str, folder: Path, name: str, *arguments: str, **environ: str
) -> Iterator[Script]:
    """Running, with an endpoint of the service that leads to it."""
    script = Script(folder, name, arguments, "", environ)
    made = service.send(
        "POST", f"/api/v1/sites/{site}/endpoints", {"url": script.url, "events": EVENTS, "include_email": True}
    ).json
    script.secret = made["secret"]
    try:
        yield script.start()
    finally:
        if script.process and script.process.poll() is None:
            script.stop()


def files(out: Path) -> dict[str, Any]:
    return {path.name: json.loads(path.read_text()) for path in sorted(out.iterdir())}


def texts(out: Path, thread: str) -> list[str]:
    """What stands in a thread, as a template finds it: by the index."""
    index = json.loads((out / "index.json").read_text())
    if thread not in index:
        return []
    try:
        found = json.loads((out / f"{index[thread]}.json").read_text())
    except FileNotFoundError:  # taken down since the index was read: it says so by now
        return texts(out, thread)
    assert found["thread"] == thread
    assert found["count"] == len(found["comments"])
    return [comment["text"] for comment in found["comments"]]


def places(folder: Path) -> tuple[str, ...]:
    return "--out", str(folder / "data"), "--state", str(folder / "state")


def approve(service: Service, site: str, **said: str) -> dict[str, Any]:
    receipt = service.comment(site, **said)
    assert service.decide(receipt["id"], "approve").status == 200
    return receipt


# data files


def test_approved_comments_become_files_and_leave_them_again(service: Service, site: str, tmp_path: Path) -> None:
    out = tmp_path / "data"
    with connected(service, site, tmp_path, "write_data.py", "serve", *places(tmp_path)):
        threads = ["41", "/2026/معرض الكتاب/", "../../../etc/passwd", "index", "Index"]
        comments = [
            approve(service, site, thread=name, comment=f"في {name}", email="reader@example.net") for name in threads
        ]
        reply = approve(service, site, thread="41", comment="رد", parent=comments[0]["id"])
        until(
            "all files",
            lambda: [texts(out, name) for name in threads] == [["في 41", "رد"], *([f"في {n}"] for n in threads[1:])],
        )

        assert all(path.parent == out and path.suffix == ".json" for path in tmp_path.rglob("*.json"))
        assert len({name.lower() for name in files(out)}) == len(threads) + 1, (
            "no two threads share a file, also where case does not count"
        )
        first, second = files(out)["41.json"]["comments"]
        assert (second["parent"], second["id"]) == (first["id"], reply["id"])
        assert set(first) == {
            "id",
            "parent",
            "text",
            "html",
            "locale",
            "direction",
            "created_at",
            "approved_at",
            "author",
        }
        assert set(first["author"]) == {"id", "name", "url"}
        assert "example.net" not in "".join(path.read_text() for path in out.iterdir())
        assert b"example.net" not in (tmp_path / "state" / "comments.sqlite3").read_bytes()

        assert service.decide(comments[1]["id"], "hold").status == 200
        until("it to be taken down", lambda: texts(out, threads[1]) == [])
        assert service.send("DELETE", f"/api/v1/comments/{comments[0]['id']}").status == 204
        until("it to be gone", lambda: texts(out, "41") == ["رد"])


def test_a_sync_writes_the_same_as_the_webhooks_did(service: Service, site: str, tmp_path: Path) -> None:
    (tmp_path / "hooks").mkdir()
    with connected(service, site, tmp_path, "write_data.py", "serve", *places(tmp_path / "hooks")):
        for n in range(3):
            approve(service, site, thread="/a b/", comment=f"نص <b>{n}</b> https://news.example/")
        gone = approve(service, site, thread="41")
        until(
            "all of them",
            lambda: len(texts(tmp_path / "hooks" / "data", "/a b/")) == 3 and texts(tmp_path / "hooks" / "data", "41"),
        )

        def sync(folder: Path, *threads: str, stdin: str = "") -> int:
            command = [
                sys.executable,
                "-B",
                str(SCRIPTS / "write_data.py"),
                "sync",
                *places(folder),
                "--service",
                service.base,
                "--site",
                site,
                *threads,
            ]
            return subprocess.run(command, input=stdin, text=True, timeout=60, check=False).returncode

        assert sync(tmp_path / "pulled", "-", stdin="/a b/\n41\nempty\n") == 0
        assert files(tmp_path / "pulled" / "data") == files(tmp_path / "hooks" / "data")
        assert service.decide(gone["id"], "reject").status == 200
        assert sync(tmp_path / "pulled") == 0  # the threads it knows
        assert list(files(tmp_path / "pulled" / "data")["index.json"]) == ["/a b/"]
        until("the webhook", lambda: files(tmp_path / "pulled" / "data") == files(tmp_path / "hooks" / "data"))

    before = files(tmp_path / "pulled" / "data")
    site = "no-such-site"
    assert sync(tmp_path / "pulled") == 1
    assert files(tmp_path / "pulled" / "data") == before, "what can't be fetched stays as it was"


def test_late_and_repeated_events_change_nothing(tmp_path: Path) -> None:
    out = tmp_path / "data"
    with running(tmp_path, "write_data.py", "serve", *places(tmp_path)) as script:
        first, second = new_id(), new_id()

        def deliver(kind: str, comment_id: str, sequence: int, **changes: Any) -> int:
            return script.deliver(
                event(kind, comment_id, sequence, site="news", thread="41", text=comment_id, **changes)
            )

        with ThreadPoolExecutor(6) as pool:
            assert set(pool.map(lambda n: deliver("approved", (first, second)[n % 2], 1), range(12))) == {200}
        assert sorted(texts(out, "41")) == sorted([first, second])
        assert deliver("spam", first, 3) == 200
        assert deliver("approved", first, 2) == 200
        assert texts(out, "41") == [second]
        assert deliver("approved", first, 4) == 200
        assert sorted(texts(out, "41")) == sorted([first, second])
        assert deliver("erased", second, 2) == 200
        assert deliver("approved", second, 9) == 200
        assert texts(out, "41") == [first]
        (out / "41.json").unlink()
        script.kill()
        script.start()
        assert texts(out, "41") == [first], "the files are made from the state"


def test_what_is_not_signed_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, "write_data.py", "serve", *places(tmp_path)) as script:
        body = json.dumps(event("approved", new_id(), 1, site="news", thread="41")).encode()
        good = signed(script.secret, body)
        wrong = [
            {}, signed(new_secret(), body), signed(script.secret, body, at=time.time() - 310), signed(script.secret, body, at=time.time() + 310),
            {**good, "webhook-timestamp": "²"}, {**good, "webhook-signature": "v1,x v1a,y"}, signed(script.secret, body + b" "),
        ]  # fmt: skip
        assert {script.request("POST", body, headers) for headers in wrong} == {401}
        for unreadable in (b"{", b"\xff", b"[]", b"[" * 100_000, b'{"type": "x", "data": 1}'):
            assert script.request("POST", unreadable, signed(script.secret, unreadable)) == 400
        assert (
            script.deliver(
                {"type": "comment.approved", "data": {"comment": {"id": "../x", "thread": "41"}, "sequence": 1}}
            )
            == 422
        )
        assert script.request("POST", b"", {"content-length": "99999999999"}) == 413
        assert files(tmp_path / "data") == {"index.json": {}}
        both = {**good, "webhook-signature": "v1a,AAAA v1,AAAA " + good["webhook-signature"]}
        assert script.request("POST", body, both) == 200


def test_data_and_rebuild_in_one(service: Service, site: str, tmp_path: Path) -> None:
    builds = tmp_path / "builds"
    (tmp_path / "build.py").write_text(
        "import pathlib, sys\n"
        "data, builds = map(pathlib.Path, sys.argv[1:])\n"
        "with builds.open('a') as log: log.write(str(len((data / '41.json').read_text())) + '\\n')\n"
    )
    command = f"'{sys.executable}' '{tmp_path}/build.py' '{tmp_path}/data' '{builds}'"
    with connected(
        service, site, tmp_path, "write_data.py", "serve", *places(tmp_path), "--run", command, "--quiet", "0.3"
    ):
        for _ in range(3):
            approve(service, site, thread="41")
        until(
            "a build of the whole",
            lambda: (
                builds.exists()
                and builds.read_text().endswith(f"{len((tmp_path / 'data/41.json').read_text())}\n")
                and len(texts(tmp_path / "data", "41")) == 3
            ),
        )


# rebuilds


@pytest.fixture
def github() -> Iterator[Receiver]:
    """Fails at first, then takes it."""
    found = Receiver(lambda n: (503 if n == 1 else 204, b""))
    yield found
    found.close()


def github_arguments(github: Receiver, folder: Path) -> tuple[str, ...]:
    return "--github", "owner/site", "--github-api", github.url.removesuffix("/hook"), "--state", str(folder / "state")


def test_several_approvals_are_one_rebuild_which_is_tried_again(
    service: Service, site: str, tmp_path: Path, github: Receiver
) -> None:
    arguments = github_arguments(github, tmp_path)
    with connected(service, site, tmp_path, "rebuild.py", *arguments, "--quiet", "3", GITHUB_TOKEN=TOKEN) as script:
        receipts = [approve(service, site) for _ in range(4)]
        for receipt in receipts:
            until("the deliveries", lambda r=receipt: service.one(r["id"])["delivery"]["state"] == "delivered")
        for _ in range(2):  # refused, then taken
            headers, body = github.next()
            assert headers["authorization"] == f"Bearer {TOKEN}"
            assert json.loads(body) == {"event_type": "comments"}
        until("the wish to be forgotten", lambda: not (tmp_path / "state" / "rebuild.wish").exists())
        assert github.count == 2
        assert "answered 503" in script.log
        assert TOKEN not in script.log


def test_a_wish_survives_a_kill(tmp_path: Path, github: Receiver) -> None:
    with running(
        tmp_path,
        "rebuild.py",
        *github_arguments(github, tmp_path),
        "--quiet",
        "600",
        "--longest",
        "600",
        GITHUB_TOKEN=TOKEN,
    ) as script:
        assert script.deliver(event("submitted", new_id(), 0, site="news", thread="41")) == 200
        assert not (tmp_path / "state" / "rebuild.wish").exists(), "nothing changed that the public sees"
        assert script.deliver(event("approved", new_id(), 1, site="news", thread="41")) == 200
        script.kill()
        assert github.count == 0
        script.start()
        github.next()
        assert script.stop() == 0


def test_a_build_hook_is_posted_to_and_never_named(tmp_path: Path) -> None:
    taken, moved = Receiver(), Receiver(lambda n: (302, b""))
    try:
        for hook in (taken, moved):
            folder = tmp_path / str(hook.url.split(":")[2].split("/")[0])
            folder.mkdir()
            (folder / "hook").write_text(hook.url + "/secret-path\n")
            with running(
                folder,
                "rebuild.py",
                "--post",
                "--state",
                str(folder),
                "--quiet",
                "0",
                BUILD_HOOK_URL_FILE=str(folder / "hook"),
            ) as script:
                assert script.deliver(event("approved", new_id(), 1, site="news", thread="41")) == 200
                hook.next()
                until("the outcome", lambda s=script: "rebuilt" in s.log or "failed" in s.log)
                assert "secret-path" not in script.log
                assert ("answered 302" in script.log) is (hook is moved), "a redirect is no success"
    finally:
        taken.close()
        moved.close()


@pytest.mark.parametrize(
    ("arguments", "environ", "said"),
    [
        (["rebuild.py", "--state", "{tmp}", "--run", "true"], {}, "WEBHOOK_SECRET"),
        (["rebuild.py", "--state", "{tmp}", "--run", "true"], {"WEBHOOK_SECRET": "whsec_short"}, "WEBHOOK_SECRET"),
        (["rebuild.py", "--state", "{tmp}", "--github", "owner/site"], {"WEBHOOK_SECRET": "good"}, "GITHUB_TOKEN"),
        (["rebuild.py", "--state", "{tmp}", "--post"], {"WEBHOOK_SECRET": "good"}, "BUILD_HOOK_URL"),
        (["rebuild.py", "--state", "/proc/x", "--run", "true"], {"WEBHOOK_SECRET": "good"}, "/proc/x"),
        (["write_data.py", "sync", "--out", "{tmp}", "--state", "{tmp}", "--service", "file:///etc", "--site", "x"], {}, "--service"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_a_line(
    tmp_path: Path, arguments: list[str], environ: dict[str, str], said: str
) -> None:
    clean = {
        name: value
        for name, value in os.environ.items()
        if name not in {"WEBHOOK_SECRET", "GITHUB_TOKEN", "BUILD_HOOK_URL"}
    }
    environ = {name: new_secret() if value == "good" else value for name, value in environ.items()}
    command = [
        sys.executable,
        "-B",
        str(SCRIPTS / arguments[0]),
        *(a.replace("{tmp}", str(tmp_path)) for a in arguments[1:]),
    ]
    done = subprocess.run(command, env=clean | environ, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
