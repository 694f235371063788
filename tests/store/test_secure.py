"""TLS and a user with few rights: certificates and host names are checked, and who may not is told so at start."""

import asyncio
import re
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from moderation import service
from moderation.errors import ConfigurationError, Unavailable
from moderation.model import Site
from moderation.privacy import Privacy
from moderation.redis_address import RedisAddress, Tls
from moderation.settings import load
from moderation.store import nudges, sites
from moderation.store.connection import ReplyError, Store, open_store
from moderation.store.durability import inspect
from tests.fault.proxy import Valkey, valkey
from tests.fault.tls import tls_door
from tests.service import ADMIN, Receiver, free_port, running, until
from tests.store.conftest import SITE, approve, endpoint, take

PRIVACY = Privacy([b"k" * 32])
GUIDE = Path(__file__).parents[2] / "docs/redis.md"


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def files(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """PEM files, by name."""
    folder = tmp_path_factory.mktemp("pem")
    ca.cert_pem.write_to_path(str(folder / "ca"))
    trustme.CA().cert_pem.write_to_path(str(folder / "other"))
    ours = ca.issue_cert("moderation.example")
    ours.private_key_and_cert_chain_pem.write_to_path(str(folder / "ours"))
    (folder / "broken").write_text("no certificate")
    return {path.name: str(path) for path in folder.iterdir()}


def context(ca: trustme.CA, *names: str, ask: bool = False) -> ssl.SSLContext:
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names).configure_cert(found)
    if ask:
        found.verify_mode = ssl.CERT_REQUIRED
        ca.configure_trust(found)
    return found


def settings(data: Path, url: str, **more: str) -> object:
    return load(
        environ={"MODERATION_DATA_DIR": str(data), "MODERATION_REDIS_URL": url}
        | {f"MODERATION_{name.upper()}": value for name, value in more.items()}
    )


async def start(data: Path, url: str, **more: str) -> None:
    """What `serve` does first."""
    found = settings(data, url, **more)
    async with service.redis_of(found) as address:
        await service.refuse_unsafe(address, found)
        await (await open_store(address, PRIVACY, 1)).close()


async def use(store: Store) -> None:
    """A comment, its decision, its delivery, and a worker's waiting."""
    await sites.create(store, Site(id=SITE, name="News"))
    await endpoint(store)
    heard: list[int] = []
    listening = asyncio.create_task(nudges.listen(store, heard.extend))
    (comment_id,) = await approve(store)
    async with asyncio.timeout(60):
        while not heard:
            await asyncio.sleep(0.01)
    listening.cancel()
    assert [job.comment_id for job in await take(store)] == [comment_id]
    assert (await inspect(store.address)).problems == []
    await store.close()


async def test_all_goes_over_tls(server: Valkey, ca: trustme.CA, files: dict[str, str], data: Path) -> None:
    server.client.flushall()
    with tls_door(server.port, context(ca, "127.0.0.1")) as port:
        url = f"rediss://127.0.0.1:{port}"
        await start(data, url, redis_ca=files["ca"])
        await use(await open_store(RedisAddress.parse(url, Tls(files["ca"])), PRIVACY, 1))


async def test_a_cluster_over_tls(ca: trustme.CA, files: dict[str, str], tmp_path: Path) -> None:
    with valkey(tmp_path, **{"cluster-enabled": "yes", "cluster-port": str(free_port())}) as node:
        node.client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        with tls_door(node.port, context(ca, "127.0.0.1")) as port:
            node.client.config_set("cluster-announce-port", port)
            until("the slots", lambda: node.client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
            address = RedisAddress.parse(f"rediss+cluster://127.0.0.1:{port}", Tls(files["ca"]))
            await use(await open_store(address, PRIVACY, 1))


@pytest.mark.parametrize(
    ("names", "trusted", "said"),
    [(("127.0.0.1",), "other", "CERTIFICATE_VERIFY_FAILED"), (("redis.example",), "ca", "mismatch")],
    ids=["another authority", "another host"],
)
async def test_a_wrong_certificate_is_refused_by_name(
    server: Valkey, ca: trustme.CA, files: dict[str, str], data: Path, names: tuple[str], trusted: str, said: str
) -> None:
    with tls_door(server.port, context(ca, *names)) as port:
        url = f"rediss://127.0.0.1:{port}"
        with pytest.raises(ConfigurationError, match=said):
            await start(data, url, redis_ca=files[trusted])
        with pytest.raises(Unavailable):
            await open_store(RedisAddress.parse(url, Tls(files[trusted])), PRIVACY, 1)


async def test_our_own_certificate_is_shown_when_it_is_asked_for(
    server: Valkey, ca: trustme.CA, files: dict[str, str], data: Path
) -> None:
    with tls_door(server.port, context(ca, "127.0.0.1", ask=True)) as port:
        url = f"rediss://127.0.0.1:{port}"
        with pytest.raises(ConfigurationError):
            await start(data, url, redis_ca=files["ca"])
        await start(data, url, redis_ca=files["ca"], redis_certificate=files["ours"])


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"redis_ca": "broken"}, "MODERATION_REDIS_CA"),
        ({"redis_certificate": "broken"}, "MODERATION_REDIS_CERTIFICATE"),
        ({"redis_key": "missing"}, "MODERATION_REDIS_KEY"),
    ],
)
async def test_files_that_are_none_are_named(
    files: dict[str, str], data: Path, more: dict[str, str], named: str
) -> None:
    paths = {name: files.get(value, f"/nowhere/{value}") for name, value in more.items()}
    with pytest.raises(ConfigurationError, match=named):
        await start(data, f"rediss://127.0.0.1:{free_port()}", **paths)


def test_files_for_tls_beside_a_plain_address_are_refused(files: dict[str, str], data: Path) -> None:
    with pytest.raises(ConfigurationError, match="MODERATION_REDIS_CA: only for rediss://"):
        settings(data, "redis://127.0.0.1", redis_ca=files["ca"])


def documented() -> list[str]:
    """The rules of the guide's user."""
    (line,) = re.findall(r"^ACL SETUSER moderation (.+?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    return line.split()


@pytest.fixture
def guarded(server: Valkey) -> Iterator[Valkey]:
    """A server with the guide's user."""
    server.client.flushall()
    server.client.execute_command("ACL", "SETUSER", "moderation", *documented())
    yield server
    server.client.execute_command("ACL", "DELUSER", "moderation")


def of_user(server: Valkey, password: str = "password") -> str:
    return f"redis://moderation:{password}@127.0.0.1:{server.port}"


def test_a_service_lives_on_the_documented_rights(guarded: Valkey, data: Path, receiver: Receiver) -> None:
    with running(data, MODERATION_REDIS_URL=of_user(guarded), MODERATION_LOG_LEVEL="info") as found:
        site = found.site(
            policy={"rate_limits": False, "learning": True, "near_duplicates": "hold", "impersonation": "hold"}
        )
        assert found.send("POST", f"/api/v1/sites/{site}/endpoints", {"url": receiver.url}).status == 201
        first, second, third = (found.comment(site, notify_replies="1")["id"] for _ in range(3))
        assert found.send("POST", "/api/v1/queue/claim", {"site": site, "limit": 1}).status == 200
        assert found.decide(first, "approve", force=True).status == 200
        assert found.decide(second, "approve", undo_seconds=60).status == 200
        assert found.send("POST", f"/api/v1/comments/{second}/undo").status == 200
        assert found.decide(third, "spam").status == 200
        receiver.next()
        for path in (f"/api/v1/comments?site={site}", f"/api/v1/comments/{first}", "/metrics", "/readyz"):
            assert found.get(path, ADMIN).status == 200
        assert found.get(f"/api/v1/sites/{site}/threads/41/comments").status == 200
        until("the delivery to be settled", lambda: found.one(first)["delivery"]["state"] == "delivered")
        assert found.send("DELETE", f"/api/v1/sites/{site}").status in {200, 204}
        log = found.log.read_text()
    assert "refused" not in log
    assert "out of reach" not in log
    denied = {entry["object"] for entry in guarded.client.acl_log() if entry["username"] == "moderation"}
    assert denied <= {"client|setinfo"}  # a courtesy of redis-py


@pytest.mark.parametrize("missing", ["evalsha", "hsetnx", "info"])
async def test_a_missing_right_refuses_the_start_by_name(guarded: Valkey, data: Path, missing: str) -> None:
    guarded.client.execute_command("ACL", "SETUSER", "moderation", f"-{missing}")
    with pytest.raises(ConfigurationError, match=f"'{missing}'") as caught:
        await start(data, of_user(guarded))
    assert "docs/redis.md" in str(caught.value)


async def test_a_wrong_password_refuses_the_start_by_name(guarded: Valkey, data: Path) -> None:
    with pytest.raises(ConfigurationError, match="password in the address") as caught:
        await start(data, of_user(guarded, "hunter2"))
    assert "hunter2" not in str(caught.value)


async def test_a_right_that_is_missed_later_is_no_loss(guarded: Valkey) -> None:
    store = await open_store(of_user(guarded), PRIVACY, 1)
    await sites.create(store, Site(id=SITE, name="News"))
    guarded.client.execute_command("ACL", "SETUSER", "moderation", "-zadd")
    with pytest.raises(ReplyError, match="zadd"):
        await approve(store)
    guarded.client.execute_command("ACL", "SETUSER", "moderation", "+zadd")
    await approve(store)
    await store.close()
