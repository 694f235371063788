"""Settings: every source, every mistake at once, no secret in sight."""

import base64
import os
import stat
from pathlib import Path

import pytest

from moderation.errors import ConfigurationError
from moderation.settings import load

KEY = base64.b64encode(b"k" * 32).decode()


def read(tmp_path: Path, toml: str = "", **environ: str) -> object:
    config = tmp_path / "moderation.toml"
    config.write_text(toml)
    return load(environ={"MODERATION_CONFIG": str(config)} | {f"MODERATION_{k}": v for k, v in environ.items()})


def problems(tmp_path: Path, toml: str = "", **environ: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, toml, **environ)
    return caught.value.problems


WRONG = {
    "PORT": "99999", "PROCESSES": "0", "REDIS_URL": "http://x", "SMTP_URL": "mailto:x", "EGRESS_ALLOW": "not-a-network", "TRUSTED_PROXIES": "10.0.0.0/99",
    "PUBLIC_URL": "comments.example.org", "LOG_LEVEL": "loud", "LOG_FORMAT": "xml", "REDIS_REPLICAS_TO_ACK": "-1", "PARTITIONS": "1000", "REDIS_UNSAFE": "perhaps",
    "SECRET_KEY": "short", "MAIL_FROM": "nobody",
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_setting_is_named(tmp_path: Path, name: str) -> None:
    found = problems(tmp_path, **{name: WRONG[name]})
    assert len(found) == 1
    assert found[0].startswith(f"MODERATION_{name}: ")


def test_all_wrong_settings_are_named_at_once(tmp_path: Path) -> None:
    found = problems(tmp_path, 'colour = "red"', **WRONG, PROT="1", ADMIN_TOKEN_FILE=str(tmp_path / "missing"))
    named = {problem.partition(":")[0] for problem in found}
    assert named == {f"MODERATION_{n}" for n in (*WRONG, "PROT", "ADMIN_TOKEN_FILE", "COLOUR")}
    assert any("MODERATION_PORT?" in problem for problem in found if "PROT" in problem)


@pytest.mark.parametrize(
    "address", ["a@", "@b", "a b@c.example", "A <a@b.example>", "a@b.example\nBcc: x@y.example", "a@b@c"]
)
def test_a_sender_must_be_an_address(tmp_path: Path, address: str) -> None:
    assert problems(tmp_path, MAIL_FROM=address)[0].startswith("MODERATION_MAIL_FROM")


@pytest.mark.parametrize(
    "url",
    [
        "smtp://user:hunt#er2@mail.example",
        "smtp://user:hunt/er2@mail.example",
        "smtp://user:hunter2@mail.example:hunter2",
    ],
)
def test_no_part_of_a_password_is_in_a_message(tmp_path: Path, url: str) -> None:
    found = problems(tmp_path, SMTP_URL=url)
    assert "MODERATION_SMTP_URL" in found[0]
    assert "hunt" not in "".join(found)


WRONG_REDIS = {
    "http://x": "must start with", "redis://a,b": "several servers", "redis://h:99999": "host and port", "redis://u:hunt/er2@h": "percent-encode",
    "redis://u:hunt#er2@h": "percent-encode", "redis://u:hunt?er2@h": "percent-encode", "redis://u:hunter2@h:hunter2": "percent-encode",
    "redis://u:[hunter2@h": "percent-encode", "redis://h/one": "no number", "redis://h?ssl=no": "unknown", "unix://": "names no socket",
    "redis+sentinel://a:1,b:2": "names no group", "redis+sentinel://a:1,:2/name": "host and port", "redis+sentinel://a/name?db=x": "no number",
    "redis+cluster://a,b/2": "no databases", "rediss+cluster://a,b?db=2": "unknown", "redis+cluster://u:hunt@er2@a:x": "percent-encode",
}  # fmt: skip


@pytest.mark.parametrize("url", WRONG_REDIS)
def test_a_wrong_redis_address_is_explained_without_its_password(tmp_path: Path, url: str) -> None:
    (found,) = problems(tmp_path, REDIS_URL=url)
    assert found.startswith("MODERATION_REDIS_URL: ")
    assert WRONG_REDIS[url] in found
    assert "hunt" not in found


@pytest.mark.parametrize(
    ("url", "mode", "nodes"),
    [
        ("redis://", "single", ["127.0.0.1:6379"]),
        ("rediss://:p%2Fw@h/3", "single", ["h:6379"]),
        ("unix:///run/r%20s.sock?db=3", "single", ["/run/r s.sock"]),
        ("redis+sentinel://u:p@a,[::1]:7/name?db=3&sentinel_password=s", "sentinel", ["a:26379", "[::1]:7"]),
        ("rediss+cluster://u:p@a:1,b", "cluster", ["a:1", "b:6379"]),
    ],
)
def test_a_redis_address_is_read(tmp_path: Path, url: str, mode: str, nodes: list[str]) -> None:
    found = read(tmp_path, REDIS_URL=url).redis_address()  # type: ignore[attr-defined]
    assert (found.mode, [str(node) for node in found.nodes]) == (mode, nodes)
    assert (found.tls is not None) == url.startswith("rediss")
    assert found.database == (3 if "3" in url else 0)
    assert (found.group, found.sentinel_password) == (("name", "s") if mode == "sentinel" else ("", ""))
    assert found.password == {"single": "p/w" if "p%2F" in url else ""}.get(mode, "p")
    assert "p/w" not in repr(found)


def test_secrets_never_print(tmp_path: Path) -> None:
    settings = read(
        tmp_path, ADMIN_TOKEN="tok-secret", SECRET_KEY=KEY, SMTP_URL="smtp://u:pass-secret@m.example", REDIS_URL="redis://:redis-secret@r.example"
    )  # fmt: skip
    assert "secret@" not in f"{settings!r} {settings}"
    assert "tok-secret" not in f"{settings!r} {settings}"
    assert KEY not in f"{settings!r} {settings}"


def test_a_secret_file_is_read_and_trimmed(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    settings = read(tmp_path, ADMIN_TOKEN_FILE=str(tmp_path / "token"))
    assert settings.admin_token.get_secret_value() == "from-file"  # type: ignore[attr-defined]


def test_environment_wins_over_a_secret_file_and_that_over_toml(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("from-file")
    toml = 'admin_token = "from-toml"\nport = 1234\negress_allow = ["10.0.0.0/8"]'
    for environ, found in [
        ({}, "from-toml"),
        ({"ADMIN_TOKEN_FILE": str(tmp_path / "file")}, "from-file"),
        ({"ADMIN_TOKEN_FILE": str(tmp_path / "file"), "ADMIN_TOKEN": "from-environ"}, "from-environ"),
    ]:
        settings = read(tmp_path, toml, **environ)
        assert settings.admin_token.get_secret_value() == found  # type: ignore[attr-defined]
        assert settings.port == 1234  # type: ignore[attr-defined]
        assert [str(n) for n in settings.egress_allow] == ["10.0.0.0/8"]  # type: ignore[attr-defined]


def test_the_command_line_wins_and_empty_variables_count_as_none(tmp_path: Path) -> None:
    settings = load(
        {"port": 9, "host": None}, {"MODERATION_PORT": "8", "MODERATION_HOST": "", "MODERATION_ADMIN_TOKEN": ""}
    )
    assert (settings.port, settings.host, settings.admin_token) == (9, "127.0.0.1", None)


@pytest.mark.parametrize("text", ["10.0.0.0/8,fc00::/7", "10.0.0.0/8, fc00::/7", "10.0.0.0/8 fc00::/7"])
def test_networks_are_a_list(tmp_path: Path, text: str) -> None:
    assert [str(n) for n in read(tmp_path, EGRESS_ALLOW=text).egress_allow] == ["10.0.0.0/8", "fc00::/7"]  # type: ignore[attr-defined]


def test_broken_and_missing_files_are_named(tmp_path: Path) -> None:
    assert "moderation.toml" in problems(tmp_path, "port = = 1")[0]
    with pytest.raises(ConfigurationError, match="MODERATION_CONFIG"):
        load(environ={"MODERATION_CONFIG": str(tmp_path / "none.toml")})


def test_links_use_the_public_address_or_where_it_listens(tmp_path: Path) -> None:
    assert read(tmp_path, PUBLIC_URL="https://c.example/x/").base_url == "https://c.example/x"  # type: ignore[attr-defined]
    assert read(tmp_path, HOST="::1", PORT="81").base_url == "http://[::1]:81"  # type: ignore[attr-defined]


def test_a_generated_key_is_private_and_stays(tmp_path: Path) -> None:
    settings = load(environ={"MODERATION_DATA_DIR": str(tmp_path / "d")})
    first = settings.keys()
    assert len(first[0]) == 32
    assert first == settings.keys()
    assert stat.S_IMODE(os.stat(tmp_path / "d" / "secret.key").st_mode) == 0o600
    (tmp_path / "d" / "secret.key").write_text("broken")
    with pytest.raises(ConfigurationError, match=r"secret\.key"):
        settings.keys()


def test_a_data_directory_that_can_t_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for wrong in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/none")):
        with pytest.raises(ConfigurationError, match=f"MODERATION_DATA_DIR: {wrong}"):
            load(environ={"MODERATION_DATA_DIR": str(wrong)}).keys()


def test_several_keys_are_kept_newest_first(tmp_path: Path) -> None:
    other = base64.b64encode(b"o" * 32).decode()
    assert read(tmp_path, SECRET_KEY=f"{other}, {KEY}").keys() == [b"o" * 32, b"k" * 32]  # type: ignore[attr-defined]
    assert problems(tmp_path, SECRET_KEY=f"{KEY},short")[0].startswith("MODERATION_SECRET_KEY")


def test_hosts_in_other_scripts_are_kept_as_they_are_looked_up(tmp_path: Path) -> None:
    found = load(
        environ={"MODERATION_MAIL_FROM": "us@أخبار.example", "MODERATION_PUBLIC_URL": "https://تعليقات.example/x"}
    )
    assert found.mail_from == "us@xn--igbicxr.example"
    assert (found.public_url or "").isascii()
    assert (found.public_url or "").endswith(".example/x")
    assert len(problems(tmp_path, MAIL_FROM="نحن@news.example")) == 1
    assert len(problems(tmp_path, PUBLIC_URL="https://news.example/تعليقات")) == 1


@pytest.mark.parametrize("secret", ["short", "whsec_", "whsec_c2hvcnQ=", "whsec_###"])
def test_a_secret_for_bounces_is_long_enough(tmp_path: Path, secret: str) -> None:
    (found,) = problems(tmp_path, BOUNCE_SECRET=secret)
    assert found.startswith("MODERATION_BOUNCE_SECRET: ")
    assert "openssl" in found
