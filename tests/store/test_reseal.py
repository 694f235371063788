"""Changing the secret key: everything sealed moves to the newest, runs are killed and repeated, the service goes on meanwhile."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from moderation import links, stamps
from moderation.errors import ConfigurationError
from moderation.model import Endpoint, Moderator, Role, Site, Submission
from moderation.privacy import Privacy, Sealed
from moderation.store import checkers, comments, endpoints, erasure, mailboxes, people, reseal, scripts, sites
from moderation.store.checkers import Checker
from moderation.store.connection import Store, open_store
from moderation.store.endpoints import Keys
from moderation.store.mailboxes import Suppression
from tests.fault.proxy import Valkey
from tests.store.conftest import SITE

OLD, NEW = b"o" * 32, b"n" * 32
EMAIL, MOD = "amal.private@example.net", "mod.private@example.org"


async def fill(store: Store, count: int) -> list[str]:
    """Everything that is sealed: comments with and without, a site's mailboxes, an endpoint, a checker, an account."""
    site = Site(id=SITE, name="News", notify=(store.privacy.seal(MOD, f"site:{SITE}"),))
    await sites.create(store, site)
    site = await checkers.save(store, site, Checker("external", "https://c.example/", "whsec_checker", {}))
    record = Endpoint(id=store.new_id(SITE), site=SITE, url="https://a.example/")
    await endpoints.save(store, record, Keys((("whsec_first", 0), ("whsec_old", 5)), {"x-key": "hidden"}))
    who = Moderator(name="chief", role=Role.ADMIN)
    await people.add_record(store, {**who.model_dump(), "password": "x", "email": store.privacy.seal(MOD, "user:chief"), "totp": store.privacy.seal("JBSWY3DP", "totp:chief")})  # fmt: skip
    ids = []
    for number in range(count):
        said = Submission(
            "ليلى", EMAIL if number % 3 else "", "", f"نص {number} {EMAIL if number % 2 else ''}", "41", locale="ar"
        )
        accepted = await comments.submit(store, site, "2", said, address="", client='{"address": "192.0.2.1"}')
        ids.append(accepted.comment_id)
    return ids


async def opened(server: Valkey, *masters: bytes) -> Store:
    return await open_store(server.url, Privacy(list(masters)), 1)


@pytest.fixture
async def filled(server: Valkey) -> tuple[list[str], str]:
    """Written under the old key: the ids of its comments, and its endpoint."""
    server.client.flushall()
    store = await opened(server, OLD)
    ids = await fill(store, 250)
    (endpoint,) = await endpoints.of_site(store, SITE)
    await store.close()
    return ids, endpoint.id


async def everything(store: Store, ids: list[str], endpoint_id: str) -> dict[str, Any]:
    """What the keys open."""
    found = [c for c in await comments.load_many(store, ids) if c]
    site, _ = await sites.load(store, SITE)
    keys = (await endpoints.load(store, SITE, endpoint_id))[1]
    record = await people.user_record(store, "chief")
    assert record
    return {
        "emails": [store.privacy.open(c.body["email"], c.id) if c.body.get("email") else "" for c in found],
        "originals": [json.loads(store.privacy.open(c.body["original"], c.id)) for c in found if c.body.get("original")],
        "clients": [await checkers.client_of(store, c) for c in found], "notify": sites.notify_addresses(store, site),
        "keys": (keys.secrets, keys.headers), "checker": (await checkers.load(store, SITE, "external")).secret,
        "admins": await people.admin_addresses(store, SITE), "totp": store.privacy.open(record["totp"], "totp:chief"),
    }  # fmt: skip


async def test_after_it_the_old_key_is_needed_for_nothing(server: Valkey, filled: tuple[list[str], str]) -> None:
    ids, endpoint_id = filled
    old = await opened(server, OLD)
    before = await everything(old, ids, endpoint_id)
    author = old.privacy.author_id(SITE, EMAIL, "")
    await mailboxes.suppress(old, Suppression(old.privacy.address_id(EMAIL), mailboxes.ALL, "unsubscribed", "2026-01-01T00:00:00Z"))  # fmt: skip
    await old.close()
    assert before["emails"].count(EMAIL) > 100
    assert len(before["originals"]) == 125
    assert all(client == {"address": "192.0.2.1"} for client in before["clients"])

    both = await opened(server, NEW, OLD)
    assert await everything(both, ids, endpoint_id) == before
    told: list[int] = []
    done = await reseal.run(both, told.append)
    assert done.is_done
    assert done.changed > 400
    assert sum(told) == await reseal.total(both) == 250
    assert (await reseal.run(both)).changed == 0
    await both.close()

    new = await opened(server, NEW)
    assert await everything(new, ids, endpoint_id) == before
    assert new.privacy.author_id(SITE, EMAIL, "") == author  # people are found again, by the key of hashes
    assert await mailboxes.of_recipient(new, new.privacy.address_id(EMAIL))
    assert (await erasure.erase_address(new, EMAIL, "me")).sites[SITE] == before["emails"].count(EMAIL)
    await new.close()
    stale = Privacy([OLD]).seal("x", "x")[:5]
    for key in server.client.scan_iter():
        kind = server.client.type(key)
        if kind in {"string", "hash"}:
            assert stale not in str(server.client.get(key) if kind == "string" else server.client.hgetall(key)), key


async def test_half_way_the_old_key_can_not_be_dropped_and_the_next_run_completes(
    server: Valkey, filled: tuple[list[str], str]
) -> None:
    ids, endpoint_id = filled
    both = await opened(server, NEW, OLD)
    before = await everything(both, ids, endpoint_id)

    class Killed(Exception):
        pass

    def kill(_: int) -> None:
        raise Killed

    with pytest.raises(Killed):
        await reseal.run(both, kill)
    assert await everything(both, ids, endpoint_id) == before  # some under each key
    with pytest.raises(ConfigurationError, match="MODERATION_SECRET_KEY"):
        await opened(server, NEW)
    done = await reseal.run(both)
    assert done.is_done
    assert 0 < done.changed < 400
    await both.close()
    new = await opened(server, NEW)
    assert await everything(new, ids, endpoint_id) == before
    await new.close()


async def test_what_changes_meanwhile_is_neither_undone_nor_brought_back(
    server: Valkey, filled: tuple[list[str], str]
) -> None:
    ids, _ = filled
    both = await opened(server, NEW, OLD)
    site, version = await sites.load(both, SITE)
    added: list[str] = []

    async def live() -> None:
        for number, comment_id in enumerate(ids):
            comment = await comments.load(both, comment_id)
            if number % 2:
                await erasure.erase(both, comment, "me")
            else:
                said = Submission("كريم", EMAIL, "", f"جديد {number}", "41", locale="ar")
                added.append((await comments.submit(both, site, version, said, address="")).comment_id)

    running = asyncio.create_task(live())
    done = [await reseal.run(both)]
    while not running.done():
        done.append(await reseal.run(both))
    await running
    assert (await reseal.run(both)).is_done
    left = await comments.load_many(both, ids)
    assert [bool(comment) for comment in left] == [number % 2 == 0 for number in range(len(ids))]
    assert all(both.privacy.open(c.body["email"], c.id) == EMAIL for c in await comments.load_many(both, added) if c)
    await both.close()


@pytest.mark.parametrize("kind", ["field", "body", "whole"])
async def test_what_changed_since_it_was_read_is_left_alone(store: Store, server: Valkey, kind: str) -> None:
    values = {"field": ("HSET", "k", "f"), "body": ("SET", "k"), "whole": ("SET", "k")}
    head = "head\n" if kind == "body" else ""

    async def swap(old: str, new: str) -> str:
        return str(await scripts.run(store.pipe, "reseal", ["k"], kind, "f", old, new))

    assert await swap("read", "sealed") == "changed"  # erased meanwhile: it does not come back
    assert not server.client.exists("k")
    await store.pipe.call(*values[kind], f"{head}newer")
    assert await swap("read", "sealed") == "changed"
    if kind != "field":
        await store.pipe.call("EXPIRE", "k", 1000)
    assert await swap("newer", "sealed") == "ok"
    assert (server.client.hget("k", "f") if kind == "field" else server.client.get("k")) == f"{head}sealed"
    assert kind == "field" or server.client.ttl("k") > 0


async def test_a_key_that_is_missing_is_said_and_what_it_sealed_is_left_alone(server: Valkey, filled: tuple[list[str], str]) -> None:  # fmt: skip
    ids, _ = filled
    other = Privacy([b"x" * 32])
    store = await opened(server, NEW, OLD)
    comment = await comments.load(store, ids[1])
    head, _, body = server.client.get(f"m:{{p00}}:c:{comment.id}").partition("\n")
    foreign = json.dumps(json.loads(body) | {"email": other.seal(EMAIL, comment.id)})
    server.client.set(f"m:{{p00}}:c:{comment.id}", f"{head}\n{foreign}")
    done = await reseal.run(store)
    assert done.lost == 1
    assert not done.is_done
    assert server.client.get(f"m:{{p00}}:c:{comment.id}").partition("\n")[2] == foreign
    with pytest.raises(ConfigurationError):  # the rest needs no old key any more, but nobody drops one by accident
        await opened(server, NEW)
    await store.close()


async def test_links_and_signatures_of_the_old_key_stay_right_as_long_as_it_is_there() -> None:
    old, both, new = Privacy([OLD]), Privacy([NEW, OLD]), Privacy([NEW])
    at = time.time()
    unsubscribe = links.unsubscribe(old, "", "r" * 24, SITE).split("/")
    identity = stamps.sign_identity(stamps.identity_key(old, SITE), EMAIL, int(at) + 60)
    for privacy, right in ((both, True), (new, False)):
        assert links.unsubscribe_is_ours(privacy, *unsubscribe[2:]) is right
        assert links.confirm_is_ours(privacy, "c", links.confirm(old, "", "c").rpartition("/")[2]) is right
        assert privacy.link_is_ours("status", "c", old.sign_link("status", "c")) is right
        assert (stamps.age(privacy, SITE, stamps.new(old, SITE, at), at) >= 0) is right
        assert stamps.identity_is_right(privacy, SITE, EMAIL, identity, at) is right
    assert both.link_is_ours("status", "c", new.sign_link("status", "c"))
    assert stamps.identity_is_right(both, SITE, EMAIL, stamps.sign_identity(stamps.identity_key(new, SITE), EMAIL, int(at) + 60), at)  # fmt: skip


async def test_the_key_of_hashes_is_sealed_and_bound() -> None:
    sealed = Privacy([OLD]).sealed_hash_key()
    with pytest.raises(Sealed):
        Privacy([NEW]).adopt_hash_key(sealed)
    with pytest.raises(Sealed):
        Privacy([OLD]).open(sealed, "something else")


def command(data: Path, url: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
    import base64

    environ = {name: value for name, value in os.environ.items() if not name.startswith("MODERATION_")}
    both = " ".join(base64.b64encode(key).decode() for key in (NEW, OLD))
    environ |= {"MODERATION_REDIS_URL": url, "MODERATION_SECRET_KEY": both, "MODERATION_PARTITIONS": "1"}
    return [sys.executable, "-m", "moderation", *arguments, "--data", str(data)], environ


async def test_the_command_is_killed_run_again_and_says_when_it_is_over(
    server: Valkey, filled: tuple[list[str], str], tmp_path: Path
) -> None:
    ids, endpoint_id = filled
    arguments, environ = command(tmp_path, server.url, "reseal", "--yes")
    stale = Privacy([OLD]).seal("x", "x")[:5]
    first = f"m:{{p00}}:c:{ids[1]}"
    killed = subprocess.Popen(arguments, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ends = time.monotonic() + 20
    while killed.poll() is None and stale in server.client.get(first) and time.monotonic() < ends:
        time.sleep(0.001)
    killed.send_signal(signal.SIGKILL)
    killed.wait(10)
    again = subprocess.run(arguments, env=environ, capture_output=True, text=True, timeout=60)
    assert again.returncode == 0, again.stderr
    assert "Nothing needs an older key any more" in again.stdout
    assert EMAIL not in again.stdout + again.stderr
    third = subprocess.run(arguments, env=environ, capture_output=True, text=True, timeout=60)
    assert re.match(r"0 sealed anew", third.stdout)
    new = await opened(server, NEW)
    assert (await everything(new, ids, endpoint_id))["notify"] == [MOD]
    await new.close()


async def test_an_erasure_that_was_cut_short_is_finished_under_the_new_key(server: Valkey) -> None:
    server.client.flushall()
    store = await opened(server, OLD)
    ids = await fill(store, 4)
    asked, receipt = json.dumps({"email": EMAIL, "by": "person"}), store.new_id(SITE)
    await store.pipe.call("HSET", erasure.ERASING, receipt, store.privacy.seal(asked, receipt))
    await store.close()
    store = await opened(server, NEW, OLD)
    assert (await reseal.run(store)).is_done
    await store.close()
    store = await opened(server, NEW)
    await erasure.finish(store, round(time.time() * 1000) + 3_600_000)
    left = [one for one in await comments.load_many(store, ids) if one]
    assert [one.body.get("email") for one in left] == [None, None]  # of four, two came with the address
    assert await store.pipe.call("EXISTS", erasure.ERASING) == 0
    await store.close()
