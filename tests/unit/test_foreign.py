"""Which pages may not post is told to the operator: once each, without what else a header holds."""

import pytest
from aiohttp.test_utils import make_mocked_request
from structlog.testing import capture_logs

from moderation.web import origins
from moderation.web.origins import Foreign


def test_a_refused_origin_is_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origins, "_TELL_SECONDS", 0)
    foreign = Foreign()
    with capture_logs() as lines:
        for headers in (
            {"Origin": "http://www.news.example"},
            {"Origin": "http://www.news.example"},
            {"Origin": "https://canary@evil.example:444"},
            {"Referer": "https://other.example/page?mail=canary@example.org"},
            {"Origin": "null"},
        ):
            foreign.refused(make_mocked_request("POST", "/", headers=headers), "news")
    assert [line["origin"] for line in lines] == [
        "http://www.news.example",
        "https://evil.example:444",
        "https://other.example",
        "none",
    ]
    assert all(line["site"] == "news" for line in lines)


def test_a_flood_of_origins_is_no_flood_of_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    request = make_mocked_request("POST", "/", headers={"Origin": "https://one.example"})
    foreign = Foreign()
    with capture_logs() as lines:
        for n in range(10):
            foreign.refused(request, f"site-{n}")
    assert len(lines) == 1
    monkeypatch.setattr(origins, "_TELL_SECONDS", -1)
    foreign = Foreign()
    with capture_logs() as lines:
        for n in range(300):
            foreign.refused(request, f"site-{n}")
    assert len(lines) == 100
