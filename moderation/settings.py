"""Settings: environment (`MODERATION_…`), secret files (`MODERATION_…_FILE`), `moderation.toml`. First found wins.

Every wrong one is named at once, with the way to mend it; secrets never print.
"""

import base64
import difflib
import ipaddress
import os
import secrets
import tomllib
from email.errors import HeaderParseError
from email.headerregistry import Address
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, FilePath, SecretStr, ValidationError

from moderation.errors import ConfigurationError
from moderation.hosts import ascii_host
from moderation.redis_address import RedisAddress, Tls

PREFIX = "MODERATION_"
GRACE_MAX_SECONDS = 15.0  # what stops us waits 45 s in all: deploy/
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(value: object) -> object:
    if isinstance(value, str):
        value = [part.strip() for part in value.replace(" ", ",").split(",") if part.strip()]
    if isinstance(value, list):
        return tuple(ipaddress.ip_network(part, strict=False) if isinstance(part, str) else part for part in value)
    return value


def _redis_url(value: SecretStr | None) -> SecretStr | None:
    if value is not None:
        RedisAddress.parse(value.get_secret_value())
    return value


def _smtp_url(value: SecretStr | None) -> SecretStr | None:
    if value is not None:
        parts = urlsplit(value.get_secret_value())
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
            raise ValueError("must look like smtp://user:password@host:587?starttls=required or smtps://host")
        try:
            parts.port  # noqa: B018  raises ValueError for a port that is none
        except ValueError:  # its text quotes what may be a part of the password
            raise ValueError("has no valid port; percent-encode / ? # @ : in user and password") from None
    return value


def _parse_keys(text: str) -> list[bytes]:
    keys = []
    for part in text.replace(",", " ").split():
        try:
            key = base64.b64decode(part, validate=True)
        except ValueError:
            key = b""
        if len(key) != 32:
            raise ValueError("each key must be base64 of 32 bytes; make one with: openssl rand -base64 32")
        keys.append(key)
    if not keys:
        raise ValueError("is empty; make one with: openssl rand -base64 32")
    return keys


def _secret_key(value: SecretStr | None) -> SecretStr | None:
    if value is not None:
        _parse_keys(value.get_secret_value())
    return value


def _bounce_secret(value: SecretStr | None) -> SecretStr | None:
    if value is not None:
        text = value.get_secret_value().removeprefix("whsec_")
        try:
            long_enough = len(base64.b64decode(text, validate=True)) >= 24
        except ValueError:
            long_enough = False
        if not long_enough:
            raise ValueError("must be whsec_ and base64 of 24 bytes or more; make one with: openssl rand -base64 32")
    return value


def _mail_from(value: str | None) -> str | None:
    if value is not None:
        try:
            parsed = Address(addr_spec=value)
        except (ValueError, HeaderParseError, IndexError):
            parsed = Address()
        try:
            domain = ascii_host(parsed.domain)
        except ValueError:
            domain = ""
        if not parsed.username.isascii() or not parsed.username or not domain:
            raise ValueError("must be an address such as comments@news.example")
        return f"{parsed.username}@{domain}"
    return None


def _public_url(value: str | None) -> str | None:
    if value is not None:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must look like https://comments.example.org")
        try:
            host = ascii_host(parts.hostname)
        except ValueError:
            raise ValueError("names a host that can't be looked up") from None
        if not host.isascii() or not parts.path.isascii():
            raise ValueError(
                "must be written with percent-encoded letters, such as https://comments.example.org/%D8%A3"
            )
        return value.rstrip("/") if value.isascii() else value.rstrip("/").replace(parts.hostname, host)
    return None


Networks = Annotated[tuple[Network, ...], BeforeValidator(_networks)]


class Settings(BaseModel):
    """Field `x` is read from `MODERATION_X`, from the file named by `MODERATION_X_FILE`, or from `x` in the TOML file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    data_dir: Path = Field(Path("data"), description="secret key, embedded Redis with its append-only file")
    redis_url: Annotated[SecretStr | None, AfterValidator(_redis_url)] = Field(
        None,
        description="redis://, unix://, redis+sentinel:// or redis+cluster:// (rediss… with TLS); without it the embedded server is used",
    )
    redis_ca: FilePath | None = Field(None, description="PEM file of who signed the certificate of Redis; for rediss…")
    redis_certificate: FilePath | None = Field(None, description="PEM file of our certificate, if Redis wants one")
    redis_key: FilePath | None = Field(None, description="PEM file of its key, if that is not in the same file")
    redis_replicas_to_ack: int = Field(0, ge=0, le=10, description="replicas that must have a write before the answer")
    redis_unsafe: bool = Field(False, description="accept a Redis that evicts or does not persist")
    admin_token: SecretStr | None = Field(None, min_length=1, description="bearer token with every right")
    public_url: Annotated[str | None, AfterValidator(_public_url)] = Field(None, description="address used in links")
    secret_key: Annotated[SecretStr | None, AfterValidator(_secret_key)] = Field(
        None, description="base64 of 32 bytes; several, newest first, for rotation"
    )
    smtp_url: Annotated[SecretStr | None, AfterValidator(_smtp_url)] = Field(None, description="smtp:// or smtps://")
    mail_from: Annotated[str | None, AfterValidator(_mail_from)] = Field(None, description="sender of mails")
    mail_templates: Path | None = Field(None, description="folder whose mail templates win over ours")
    bounce_secret: Annotated[SecretStr | None, AfterValidator(_bounce_secret)] = Field(
        None, description="whsec_…, signs bounces and complaints that a relay reports"
    )
    egress_allow: Networks = Field((), description="private networks to which webhooks may go")
    trusted_proxies: Networks = Field((), description="networks whose X-Forwarded-For is believed")
    processes: int = Field(1, ge=1, le=64, description="HTTP processes sharing the port")
    share_port: bool = Field(
        False, description="another service may listen on the same port, for a restart without a gap"
    )
    grace_seconds: float = Field(
        2.0,
        ge=0,
        le=GRACE_MAX_SECONDS,
        description="at the end /readyz says 503 this long and requests are still taken",
    )
    connections: int = Field(
        1000, ge=50, le=100_000, description="open connections of one HTTP process; the silent make room for new ones"
    )
    partitions: int = Field(16, ge=1, le=256, description="fixed at first start; see docs/decisions")
    log_level: str = Field(
        "info", pattern="(?i)^(debug|info|warning|error)$", description="debug, info, warning, error"
    )
    log_format: str = Field("console", pattern="^(console|json)$", description="console or json")

    @property
    def base_url(self) -> str:
        """The address for links; never taken from a Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url or f"http://{host}:{self.port}"

    def redis_address(self, url: str | None = None) -> RedisAddress | None:
        """Where Redis is, with what TLS needs: by `url`, else by `redis_url`; None means the embedded server.

        Raises ConfigurationError for TLS files beside an address that is not spoken to by TLS.
        """
        if url is None:
            if self.redis_url is None:
                return None
            url = self.redis_url.get_secret_value()
        files = {"ca": self.redis_ca, "certificate": self.redis_certificate, "key": self.redis_key}
        address = RedisAddress.parse(url, Tls(**{name: str(path) for name, path in files.items() if path}))
        if address.tls is None and any(files.values()):
            names = ", ".join(f"{PREFIX}REDIS_{name.upper()}" for name, path in files.items() if path)
            raise ConfigurationError([f"{names}: only for rediss://, but {PREFIX}REDIS_URL asks for no TLS"])
        return address

    def keys(self) -> list[bytes]:
        """The master keys, newest first, each 32 bytes. Generates one into the data directory at first use.

        Raises ConfigurationError if one is not base64 of 32 bytes, or the data directory can't be used.
        """
        if self.secret_key:
            return _parse_keys(self.secret_key.get_secret_value())
        try:
            return _parse_keys(self._key_file())
        except ValueError as error:
            raise ConfigurationError([f"{self.data_dir / 'secret.key'}: {error}"]) from None
        except OSError as error:
            raise ConfigurationError(
                [f"MODERATION_DATA_DIR: {self.data_dir} can't be used: {error.strerror}"]
            ) from None

    def _key_file(self) -> str:
        path = self.data_dir / "secret.key"
        try:
            return path.read_text()
        except FileNotFoundError:
            self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            key = base64.b64encode(secrets.token_bytes(32)).decode()
            try:
                fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:  # another process was first
                return path.read_text()
            with os.fdopen(fd, "w") as file:
                file.write(key + "\n")
                file.flush()
                os.fsync(file.fileno())
            return key


def load(overrides: dict[str, Any] | None = None, environ: dict[str, str] | None = None) -> Settings:
    """Read the settings; raises ConfigurationError naming every mistake at once."""
    environ = dict(os.environ) if environ is None else environ
    problems: list[str] = []
    values: dict[str, Any] = {}
    fields = Settings.model_fields
    toml = Path(environ.get("MODERATION_CONFIG", "moderation.toml"))
    if toml.exists():
        try:
            values |= tomllib.loads(toml.read_text())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            problems.append(f"{toml}: {error}")
    elif "MODERATION_CONFIG" in environ:
        problems.append(f"MODERATION_CONFIG: there is no file {toml}")
    from_files: dict[str, str] = {}
    from_environ: dict[str, str] = {}
    for name, value in environ.items():
        if not name.startswith(PREFIX) or name == "MODERATION_CONFIG":
            continue
        key = name.removeprefix(PREFIX).lower()
        if key in fields:
            if value != "":
                from_environ[key] = value
        elif key.endswith("_file") and key.removesuffix("_file") in fields:
            try:
                from_files[key.removesuffix("_file")] = Path(value).read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                problems.append(f"{name}: {error}")
        else:
            close = difflib.get_close_matches(key, fields, n=1)
            hint = f"; did you mean {PREFIX}{close[0].upper()}?" if close else "; remove it"
            problems.append(f"{name}: there is no such setting{hint}")
    values |= from_files | from_environ
    values |= {key: value for key, value in (overrides or {}).items() if value is not None}
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        for item in error.errors(include_input=False, include_url=False):
            key = str(item["loc"][0]) if item["loc"] else "?"
            described = f" ({fields[key].description})" if key in fields else ""
            problems.append(f"{PREFIX}{key.upper()}: {item['msg'].removeprefix('Value error, ')}{described}")
        raise ConfigurationError(problems) from None
    try:
        settings.redis_address()
    except ConfigurationError as error:
        problems += error.problems
    if problems:
        raise ConfigurationError(problems)
    return settings
