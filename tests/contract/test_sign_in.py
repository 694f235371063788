"""Guessing passwords is slow, and costs the guesser the door, not the owner of the name."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from moderation.web.desk import entry
from tests.service import Answer, Service, running

CLOSED = entry._TRIES + 1


@dataclass
class Desk:
    """The desk behind a proxy of ours, seen from any address."""

    service: Service
    passwords: dict[str, str]

    def knock(self, name: str, password: str, address: str) -> Answer:
        own = {"origin": self.service.base, "sec-fetch-site": "same-origin", "x-forwarded-for": address}
        return self.service.form("/review/sign-in", {"name": name, "password": password}, **own)

    def guess(self, name: str, addresses: list[str]) -> list[int]:
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda address: self.knock(name, "wrong password", address).status, addresses))


def account(service: Service, name: str) -> str:
    """Its password."""
    command = [sys.executable, "-m", "moderation", "user", "add", name, "--data", str(service.data)]
    made = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, stdin=subprocess.DEVNULL)
    return made.stdout.split("password ")[1].strip()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with running(tmp_path_factory.mktemp("desk"), MODERATION_TRUSTED_PROXIES="127.0.0.0/8") as service:
        yield Desk(service, {name: account(service, name) for name in ("amal", "karim", "layla")})


def test_a_stranger_elsewhere_does_not_lock_out_the_owner(desk: Desk) -> None:
    wrong = desk.guess("amal", ["198.51.100.7"] * CLOSED)
    assert wrong.count(401) == CLOSED - 1
    assert wrong.count(429) == 1
    assert desk.knock("amal", desk.passwords["amal"], "198.51.100.8").status == 429  # the whole /24: it is theirs
    entered = desk.knock("amal", desk.passwords["amal"], "203.0.113.9")
    assert entered.status == 303
    assert desk.knock("karim", desk.passwords["karim"], "198.51.100.7").status == 303  # another name, the same network


def test_rotating_through_the_addresses_of_a_network_opens_no_door(desk: Desk) -> None:
    wrong = desk.guess("karim", [f"2001:db8:7:{n:x}::{n:x}" for n in range(CLOSED)])  # /64s of one /48
    assert wrong.count(429) == 1


def test_a_network_that_tries_name_after_name_is_shut_out(desk: Desk) -> None:
    names = [f"nobody-{n}" for n in range(entry._TRIES_OF_NETWORK + 2)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda name: desk.knock(name, "wrong password", "192.0.2.1").status, names))
    assert answers.count(429) == 2
    assert desk.knock("layla", desk.passwords["layla"], "203.0.113.9").status == 303


def test_who_is_in_is_forgiven(desk: Desk) -> None:
    for _ in range(2):
        assert desk.guess("layla", ["203.0.113.77"] * (CLOSED - 2)).count(401) == CLOSED - 2
        assert desk.knock("layla", desk.passwords["layla"], "203.0.113.77").status == 303


def test_without_a_trusted_proxy_an_address_can_not_be_chosen(service: Service) -> None:
    guesser = Desk(service, {})
    assert guesser.guess("nobody", [f"198.51.{n}.1" for n in range(CLOSED)]).count(429) == 1


def test_a_name_that_is_tried_from_everywhere_is_slow_and_stays_open() -> None:
    assert entry.delay_seconds(entry._TRIES_ANYWHERE) == 0
    assert 0 < entry.delay_seconds(entry._TRIES_ANYWHERE + 1) < entry.delay_seconds(entry._TRIES_ANYWHERE + 20)
    assert entry.delay_seconds(10**9) == entry._DELAY_MAX_SECONDS


def test_a_stolen_session_guesses_no_password(desk: Desk) -> None:
    import re

    entered = desk.knock("amal", desk.passwords["amal"], "203.0.113.200")
    cookie = entered.headers["set-cookie"].partition(";")[0]
    page = desk.service.get("/review/account", None, cookie=cookie).text
    found = re.search(r'name="form_token" value="([^"]+)"', page)
    assert found
    fields = {"form_token": found[1], "old": "wrong password", "new": "a new long password"}
    own = {"origin": desk.service.base, "cookie": cookie, "x-forwarded-for": "203.0.113.200"}
    answers = [desk.service.form("/review/account/password", fields, **own).status for _ in range(CLOSED)]
    assert answers == [422] * (CLOSED - 1) + [429]
