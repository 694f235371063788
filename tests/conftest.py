"""Real services for real tests: the embedded Valkey, real receivers, nothing mocked."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.service import Receiver, Service, running

# The same examples each time, however slow the machine is: what other ones would find is for `make fuzz`.
settings.register_profile("suite", derandomize="FUZZ_SECONDS" not in os.environ, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])  # fmt: skip
settings.load_profile("suite")


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all tests that do not break it; each uses a site of its own."""
    with running(tmp_path_factory.mktemp("service")) as found:
        yield found


@pytest.fixture
def site(service: Service) -> str:
    """A fresh site."""
    return service.site()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A webhook receiver on loopback."""
    found = Receiver()
    yield found
    found.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory."""
    return tmp_path / "data"
