"""`moderation import` and `export` through the shell: a trial, a second run, a killed run, hidden addresses, and the way round."""

import gzip
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from moderation.archives import jsonlines
from moderation.archives.archived import Archived, Decided
from moderation.model import Status
from tests.contract.test_canary import spellings
from tests.fault.proxy import Valkey, valkey
from tests.service import ADMIN, Service, running, until

SAMPLES = Path(__file__).parents[1] / "unit" / "archives"


def environ(**more: str) -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("MODERATION_")} | more


def moderation(*arguments: object, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "moderation", *map(str, arguments)]
    done = subprocess.run(command, env=environ(**more), capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def together(*jobs: Callable[[], Any]) -> list[Any]:
    """Commands that have nothing to do with each other: each is a process of its own, and starting them takes most of the time."""
    with ThreadPoolExecutor(2) as pool:
        return [done.result() for done in [pool.submit(job) for job in jobs]]


def everything(service: Service, site: str) -> list[dict[str, Any]]:
    return service.get(f"/api/v1/comments?site={site}&limit=200&sort=oldest", ADMIN).json["items"]  # type: ignore[no-any-return]


def files_of(data: Path) -> list[tuple[Path, bytes]]:
    return [(path, path.read_bytes()) for path in data.rglob("*") if path.is_file()]


def counted(report: str) -> dict[str, int]:
    rows = [line.split() for line in report.splitlines() if not line.startswith(" ")]
    return {" ".join(row[:2]) if row[1] in {"already", "out"} else row[0]: int(row[-1] if row[1] in {"already", "out"} else row[1]) for row in rows[1:] if row[0] != "left"}  # fmt: skip


def test_wordpress_comes_in_once_with_parents_dates_and_statuses(service: Service, site: str) -> None:
    wordpress = SAMPLES / "wordpress.xml"
    trial = moderation("import", site, wordpress, "--dry-run", "--data", service.data)
    assert everything(service, site) == []
    assert service.get(f"/api/v1/sites/{site}/audit", ADMIN).json["items"] == []
    first = moderation("import", site, wordpress, "--data", service.data)
    assert first.stdout == trial.stdout
    assert counted(first.stdout) == {
        "read": 6, "created": 5, "existed already": 0, "skipped": 1, "orphans": 1, "threads": 2,
    }  # fmt: skip
    assert "a pingback or trackback: 14" in first.stdout
    found = {comment["external_id"]: comment for comment in everything(service, site)}
    assert {i: c["status"] for i, c in found.items()} == {
        "11": "approved", "12": "approved", "13": "pending", "15": "spam", "16": "rejected",
    }  # fmt: skip
    assert found["12"]["parent"] == found["11"]["id"]
    assert found["16"]["parent"] == found["15"]["id"]  # spam itself, but the link stays
    assert found["13"]["parent"] is None
    assert found["11"]["created_at"] == "2019-03-01T08:00:00.000Z"
    assert found["11"]["author"]["email_masked"] == "l•••@e•••.net"
    assert found["15"]["author"]["email_masked"] is None
    assert found["15"]["author"]["url"] is None
    assert "t•••@e•••.org" in found["12"]["text"]
    assert found["12"]["masked"] == ["comment"]
    assert found["12"]["decided_by"] == "import"
    assert found["12"]["delivery"]["state"] == "none"

    again = moderation("import", site, wordpress, "--data", service.data)
    assert counted(again.stdout) | {"created": 0, "existed already": 5} == counted(again.stdout)
    assert everything(service, site) == [found[i] for i in ("11", "12", "13", "15", "16")]
    audited = service.get(f"/api/v1/sites/{site}/audit", ADMIN).json["items"]
    assert [entry["action"] for entry in audited] == ["import", "import"]
    assert audited[1]["detail"] == "wxr: 5 new, 0 there already, 1 skipped, 2 threads"


def test_what_came_in_is_as_if_it_had_been_submitted(service: Service, site: str) -> None:
    comment = service.comment(site, thread="41", author="ليلى", email="layla@example.net")
    before = service.get(f"/api/v1/sites/{site}/threads/41/comments")
    moderation("import", site, SAMPLES / "wordpress.xml", "--data", service.data)
    after = service.get(f"/api/v1/sites/{site}/threads/41/comments")
    assert [c["external_id"] for c in after.json["items"]] == ["11", "12"]
    assert before.headers["etag"] != after.headers["etag"]
    author = service.one(comment["id"])["author"]["id"]
    same = service.get(f"/api/v1/comments?site={site}&author={author}", ADMIN).json
    assert {c["external_id"] for c in same["items"]} == {None, "11"}
    reply = service.comment(site, thread="41", parent="12")  # by the id that WordPress knows
    assert service.one(reply["id"])["parent"] == after.json["items"][1]["id"]
    waiting = service.send("POST", "/api/v1/queue/claim", {"site": site, "limit": 50, "lease_seconds": 60}).json[
        "items"
    ]
    assert waiting[0]["external_id"] == "13"
    assert service.decide(waiting[0]["id"], "approve").json["status"] == "approved"
    gone = moderation("erase", "layla@example.net", "--yes", "--data", service.data)
    assert f"{site}: 2 erased" in gone.stdout


def test_a_comment_that_wordpress_has_from_us_is_not_taken_twice(service: Service, site: str) -> None:
    ours = service.comment(site, thread="41", author="ليلى", email="layla@example.net", external_id="11")
    other = service.comment(site, thread="41", author="Somebody", email="else@example.net", external_id="12")
    service.decide(ours["id"], "approve")
    report = moderation("import", site, SAMPLES / "wordpress.xml", "--data", service.data).stdout
    assert counted(report) | {"created": 4, "existed already": 1} == counted(report)
    found = everything(service, site)
    (tom,) = (c for c in found if c["author"]["name"] == "Tom O'Hara")
    assert tom["parent"] == ours["id"]
    assert tom["external_id"] is None  # another comment has that number
    assert service.one(other["id"])["external_id"] == "12"


def test_nobody_hears_of_an_import(service: Service, site: str, receiver: Any) -> None:
    every = ["comment.submitted", "comment.approved", "comment.rejected", "comment.spam", "comment.pending"]
    made = service.send("POST", f"/api/v1/sites/{site}/endpoints", {"url": receiver.url, "events": every})
    moderation("import", site, SAMPLES / "wordpress.xml", "--data", service.data)
    comment = service.comment(site)
    _, raw = receiver.next()
    assert json.loads(raw)["data"]["comment"]["id"] == comment["id"]
    assert receiver.count == 1
    rows = service.get(f"/api/v1/sites/{site}/endpoints/{made.json['id']}/deliveries", ADMIN).json["items"]
    assert len(rows) == 1


@pytest.mark.parametrize("name", ["disqus.xml", "remark42.jsonl", "isso.db"])
def test_other_systems_come_in_too(service: Service, site: str, name: str, tmp_path: Path) -> None:
    file = SAMPLES / name
    if name == "isso.db":
        import sqlite3

        file = tmp_path / name
        database = sqlite3.connect(file)
        database.executescript((SAMPLES / "isso.sql").read_text())
        database.close()
    report = moderation("import", site, file, "--data", service.data)
    expected = {"disqus.xml": (3, 2, 0), "remark42.jsonl": (2, 2, 1), "isso.db": (3, 2, 1)}[name]
    found = counted(report.stdout)
    assert (found["created"], found["skipped"], found["orphans"]) == expected
    assert len(everything(service, site)) == expected[0]
    if name == "isso.db":
        assert {c["thread"]["url"] for c in everything(service, site)} == {"https://news.example/water/"}
    again = moderation("import", site, file, "--data", service.data)
    assert counted(again.stdout)["existed already"] == expected[0]


def hostile(path: Path) -> Path:
    """Lines that a careless or wicked hand wrote."""
    line = {"thread": {"id": "1"}, "status": "approved", "created_at": "2020-01-01T00:00:00Z", "text": "x"}
    rows: list[dict[str, Any]] = [
        line | {"id": "a", "parent": "b"},
        line | {"id": "b", "parent": "a"},  # a circle
        line | {"id": "c", "parent": "c"},
        line | {"id": "d", "parent": "a", "thread": {"id": "2"}},  # a reply to another page
        line | {"id": "a", "text": "the same id again"},
        line | {"id": "future", "created_at": "2999-01-01T00:00:00Z"},
        line | {"id": "old", "created_at": "soon"},
        line | {"id": "long", "text": "x" * 70_000},
        line | {"id": "empty", "text": " \n "},
        line | {"id": "nowhere", "thread": {"id": ""}},
        line | {"id": ""},
        line | {"id": "someone@example.org", "text": ""},
        line | {"id": "names", "author": {"name": "n" * 9000, "email": "no", "url": "data:x"}},
    ]
    body = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    path.write_bytes(jsonlines.header("elsewhere", addresses=True) + body + jsonlines.footer(len(rows)))
    return path


def test_each_that_is_not_taken_has_its_reason(service: Service, site: str, tmp_path: Path) -> None:
    trial = moderation("import", site, hostile(tmp_path / "file"), "--dry-run", "--data", service.data).stdout
    report = moderation("import", site, tmp_path / "file", "--data", service.data).stdout
    assert report == trial
    assert counted(report) == {"read": 13, "created": 5, "existed already": 0, "skipped": 8, "orphans": 3, "threads": 2}
    for reason in (
        "the same id twice: a", "its date is in the future: future", "there is no date: old", "the text is too long: long",
        "there is no text: empty, s•••@e•••.org", "no page is named: nowhere", "it has no id: ?",
    ):  # fmt: skip
        assert reason in report
    found = {c["id"]: c for c in everything(service, site)}
    assert len(found) == 5
    assert len([c for c in found.values() if c["parent"]]) == 1
    assert {len(c["author"]["name"]) for c in found.values()} == {0, 245}


def test_what_can_t_be_done_is_said_with_the_right_code(service: Service, site: str, tmp_path: Path) -> None:
    bad, cut = tmp_path / "bad", tmp_path / "cut"
    bad.write_text("canary@example.org")
    cut.write_bytes((SAMPLES / "wordpress.xml").read_bytes()[:3000])
    cases: list[tuple[tuple[object, ...], int, str]] = [
        (("import", "nowhere", SAMPLES / "disqus.xml"), 1, "no such site"), (("export", "nowhere"), 1, "no such site"),
        (("import", site, bad), 2, "none of these"), (("import", site, cut), 2, "cut short"), (("import", site, tmp_path / "missing"), 2, "No such file"),
        (("export", site, tmp_path / "no" / "folder"), 2, ""),
    ]  # fmt: skip
    tried = together(*[partial(moderation, *said, "--data", service.data, code=code) for said, code, _ in cases])
    for (_, _, why), done in zip(cases, tried, strict=True):
        assert why in done.stderr
        assert "canary" not in done.stderr + done.stdout
    assert everything(service, site) == []


def many(path: Path, count: int) -> Path:
    """An archive of ours with every status, some replies, histories and addresses."""
    statuses = list(Status)
    with path.open("wb") as out:
        out.write(jsonlines.header("elsewhere", addresses=True))
        for n in range(count):
            status = statuses[n % 4]
            decided = (
                Decided("2020-01-01T00:00:00.000Z", "amal", "off_topic" if n % 4 == 2 else None) if n % 4 else Decided()
            )
            step = {
                "at": "2020-01-01T00:00:00.000Z",
                "by": "amal",
                "decision": "approve",
                "note": "write to me: note@example.org",
            }
            found = Archived(
                str(n), status, 1_500_000_000_000 + n * 1000, f"page {n // 50}", f"نص {n}", f"قارئ {n % 97}", f"reader{n % 97}@example.net",
                parent=str(n - 7) if n % 5 == 0 and n % 50 > 7 else "", locale="ar", external_id=f"x{n}", decided=decided,
                history=(step,) if n % 4 else (), notify_replies=n % 3 == 0,
            )  # fmt: skip
            out.write(jsonlines.write(found))
        out.write(jsonlines.footer(count))
    return path


def indexes(server: Valkey) -> dict[str, Any]:
    """Everything but texts that are sealed with a nonce, ids of the audit log, and when."""
    read = {"string": server.client.get, "set": server.client.smembers, "hash": server.client.hgetall}
    read |= {"zset": lambda key: server.client.zrange(key, 0, -1), "list": lambda key: server.client.lrange(key, 0, -1)}
    found = {}
    for key in server.client.scan_iter():
        if ":audit:" in key:
            continue
        value = read[server.client.type(key)](key)
        if key.endswith(":meta"):
            value.pop("hash_key")
        found[key] = value.partition("\n")[0] if "}:c:" in key else value
    return found


def test_a_run_that_is_killed_is_completed_by_the_next(tmp_path: Path) -> None:
    file, key = many(tmp_path / "many.jsonl", 4000), "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
    with valkey(tmp_path / "one") as whole, valkey(tmp_path / "two") as broken:
        for server in (whole, broken):
            moderation("site", "add", "news", MODERATION_REDIS_URL=server.url, MODERATION_SECRET_KEY=key, MODERATION_DATA_DIR=str(tmp_path))  # fmt: skip
        settings = {"MODERATION_SECRET_KEY": key, "MODERATION_DATA_DIR": str(tmp_path)}
        before = indexes(whole)
        trial = moderation("import", "news", file, "--dry-run", MODERATION_REDIS_URL=whole.url, **settings)
        assert indexes(whole) == before
        assert moderation("import", "news", file, MODERATION_REDIS_URL=whole.url, **settings).stdout == trial.stdout
        command = [sys.executable, "-m", "moderation", "import", "news", str(file)]
        killed = 0
        for at_least in (1, 400, 800):  # with most of them still to come: a run may not end before we kill it
            process = subprocess.Popen(
                command, env=environ(MODERATION_REDIS_URL=broken.url, **settings), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )  # fmt: skip
            until(
                "some comments to be there",
                lambda n=at_least, p=process: broken.client.dbsize() >= n + 3 or p.poll() is not None,
            )
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                killed += 1
            process.wait(60)
        assert killed == 3
        assert 0 < sum(1 for _ in broken.client.scan_iter("*}:c:*")) < 4000
        report = counted(moderation("import", "news", file, MODERATION_REDIS_URL=broken.url, **settings).stdout)
        assert report["created"] + report["existed already"] == 4000
        assert report["existed already"] > 0
        assert indexes(broken) == indexes(whole)


def test_the_way_round_gives_the_same_lines(tmp_path: Path) -> None:
    with valkey(tmp_path / "one") as one, valkey(tmp_path / "two") as two, valkey(tmp_path / "three") as three:

        def run(server: Valkey, *arguments: object) -> str:
            """Another server is another installation: with a key of its own."""
            folder = str(tmp_path / str(server.port))
            return moderation(*arguments, MODERATION_REDIS_URL=server.url, MODERATION_DATA_DIR=folder).stdout

        def round_trip(server: Valkey, *options: str) -> Path:
            out, back = tmp_path / f"out{server.port}", tmp_path / f"back{server.port}"
            run(one, "export", "first", out, *options)
            assert out.stat().st_mode & 0o777 == 0o600
            run(server, "import", "second", out)
            run(server, "export", "second", back, *options)
            lines = back.read_text().splitlines()
            assert out.read_text().splitlines()[1:] == lines[1:]
            assert json.loads(lines[0])["site"] == "second"
            assert len(lines) == 502
            assert ("reader1@example.net" in out.read_text()) is bool(options)
            assert "note@example.org" not in out.read_text()
            # back where they came from they are known, and under another name on the same server they are others
            assert counted(run(one, "import", "first", back, "--dry-run"))["existed already"] == 500
            return back

        names = ((one, "first"), (two, "second"), (three, "second"))
        together(*[partial(run, server, "site", "add", name, "--locale", "ar") for server, name in names])
        run(one, "import", "first", many(tmp_path / "many.jsonl", 500))
        _, back = together(partial(round_trip, two, "--with-addresses"), partial(round_trip, three))
        assert not list(tmp_path.glob("*.part"))
        run(one, "site", "add", "second")
        assert counted(run(one, "import", "second", back))["created"] == 500
        assert run(one, "export", "second") == back.read_text()
        assert counted(run(one, "import", "first", back, "--dry-run"))["existed already"] == 500


def test_a_site_that_is_set_up_again_keeps_the_ids_of_its_comments(service: Service, site: str, tmp_path: Path) -> None:
    first = service.comment(site, thread="41")
    service.decide(first["id"], "approve", note="good")
    reply = service.comment(site, thread="41", parent=first["id"])
    out = tmp_path / "out.jsonl"
    moderation("export", site, out, "--data", service.data)
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(out.read_bytes()))
    with running(tmp_path / "other") as other:
        other.site(id=site)
        moderation("import", site, packed, "--data", other.data)
        found = {c["id"]: c for c in everything(other, site)}
        assert set(found) == {first["id"], reply["id"]}
        assert found[reply["id"]]["parent"] == first["id"]
        was = service.one(first["id"])
        assert [other.one(first["id"])[k] for k in ("decided_at", "decided_by")] == [
            was[k] for k in ("decided_at", "decided_by")
        ]
        assert other.one(first["id"])["history"] == was["history"]


def test_wordpress_gets_back_what_it_gave(service: Service, site: str, tmp_path: Path) -> None:
    moderation("import", site, SAMPLES / "wordpress.xml", "--data", service.data)
    out = tmp_path / "out.xml"
    moderation("export", site, out, "--format", "wxr", "--data", service.data)
    assert "example.net" not in out.read_text()
    again = service.site()
    report = moderation("import", again, out, "--data", service.data)
    assert counted(report.stdout) | {"created": 5, "skipped": 0, "orphans": 0, "threads": 2} == counted(report.stdout)

    def told(name: str) -> list[Any]:
        keys = {c["id"]: c["text"] for c in everything(service, name)}
        return [
            (c["text"], c["status"], c["created_at"], c["thread"], keys.get(c["parent"]))
            for c in everything(service, name)
        ]

    assert told(again) == told(site)


def test_addresses_are_nowhere(tmp_path: Path) -> None:
    data, sealed, typed = tmp_path / "data", f"canary{uuid.uuid4().hex[:10]}", f"typed{uuid.uuid4().hex[:10]}"
    line = {
        "id": f"{typed}@example.org", "thread": {"id": "1", "title": f"T {typed}@example.org"}, "status": "rejected", "text": f"to {typed}@example.org",
        "created_at": "2020-01-01T00:00:00Z", "author": {"name": f"{typed}@example.org", "email": f"{sealed}@example.net"},
        "decided_at": "2020-01-02T00:00:00Z", "decided_by": f"{typed}@example.org", "reason": f"{typed}@example.org",
        "history": [{"at": "2020-01-02T00:00:00Z", "by": "a", "decision": "reject", "note": f"{typed}@example.org"}],
    }  # fmt: skip
    line["id"] = "1"
    named = {"id": f"{typed}@example.org", "thread": {"id": "1"}, "status": "pending", "created_at": "", "text": "x"}
    file = tmp_path / "file"
    rows = b"".join(json.dumps(row).encode() + b"\n" for row in (line, named))
    file.write_bytes(jsonlines.header("x", addresses=True) + rows + jsonlines.footer(2))
    with running(data) as service:
        service.site(id="news")
        said = [moderation("import", "news", file, *more, "--data", data) for more in (["--dry-run"], [])]
        said += [moderation("export", "news", "--format", form, "--data", data) for form in ("jsonl", "wxr")]
        whole = moderation("export", "news", "--with-addresses", "--data", data)
        (entry, _) = service.get("/api/v1/sites/news/audit", ADMIN).json["items"]
    assert (entry["action"], entry["by"], entry["detail"]) == ("export.addresses", "shell", "jsonl")
    needles = [*spellings(sealed, f"{sealed}@example.net"), *spellings(typed, f"{typed}@example.org")]
    for path, raw in [*files_of(data), *[(Path("output"), (done.stdout + done.stderr).encode()) for done in said]]:
        assert not [needle for needle in needles if needle in raw], path
    assert f"{sealed}@example.net" in whole.stdout
    assert f"to {typed}@example.org" in whole.stdout
