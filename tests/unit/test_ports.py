"""Why nobody can listen somewhere: the message names what is to be mended."""

import socket

from moderation.web.app import why_not_listen


def test_a_taken_port_and_a_foreign_address_are_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert "taken" in why_not_listen("127.0.0.1", port)
        assert "MODERATION_HOST" in why_not_listen("203.0.113.9", port)
        assert "MODERATION_HOST" in why_not_listen("host.invalid", port)
    assert why_not_listen("127.0.0.1", port) == ""
    assert why_not_listen("203.0.113.9", 0) == ""
