"""Where Redis is: one server, a group watched by sentinels, or a cluster; read from MODERATION_REDIS_URL and its companions.

redis://[user:password@]host[:port][/db]                            one server (rediss:// with TLS)
unix:///path[?db=]                                                  one server on this machine
redis+sentinel://[user:password@]host[:port],…/name[?db=&sentinel_user=&sentinel_password=]
redis+cluster://[user:password@]host[:port],…                       (rediss+… with TLS)
"""

from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

SINGLE, SENTINEL, CLUSTER = "single", "sentinel", "cluster"
_MODES = {
    "redis": SINGLE, "rediss": SINGLE, "unix": SINGLE,
    "redis+sentinel": SENTINEL, "rediss+sentinel": SENTINEL,
    "redis+cluster": CLUSTER, "rediss+cluster": CLUSTER,
}  # fmt: skip
_PORTS = {SINGLE: 6379, SENTINEL: 26379, CLUSTER: 6379}
_OPTIONS = {SINGLE: {"db"}, SENTINEL: {"db", "sentinel_user", "sentinel_password"}, CLUSTER: set[str]()}


@dataclass(frozen=True, slots=True)
class Node:
    """One server: a host and a port, or a socket's path."""

    host: str
    port: int = 0

    def __str__(self) -> str:
        if not self.port:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM: who signed the server's certificate ('': who this machine trusts), and our own certificate, if it wants one."""

    ca: str = ""
    certificate: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """`nodes` are the server, the sentinels, or some nodes of the cluster; `tls` is None where the line is plain."""

    mode: str
    nodes: tuple[Node, ...]
    tls: Tls | None = None
    user: str = ""
    password: str = field(default="", repr=False)
    database: int = 0
    group: str = ""  # the name by which sentinels know it
    sentinel_user: str = ""
    sentinel_password: str = field(default="", repr=False)
    url: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str, tls: Tls | None = None) -> "RedisAddress":
        """Raises ValueError with a sentence that names what is wrong and quotes nothing: any part may hold a piece of a password."""
        try:
            parts = urlsplit(url)
        except ValueError:  # a bracket that is not closed
            raise ValueError("is no address; percent-encode / ? # @ : [ ] in user and password") from None
        mode = _MODES.get(parts.scheme)
        if mode is None:
            *others, last = (f"{scheme}://" for scheme in _MODES)
            raise ValueError(f"must start with {', '.join(others)} or {last}")
        options = _options(parts, mode)
        secure = parts.scheme.startswith("rediss")
        credentials, _, hosts = parts.netloc.rpartition("@")
        user, _, password = credentials.partition(":")
        where = unquote(parts.path.strip("/"))
        if parts.scheme == "unix":
            if not where:
                raise ValueError("names no socket: unix:///run/valkey/valkey.sock")
            nodes: tuple[Node, ...] = (Node(unquote(parts.path)),)
            where = ""
        else:
            nodes = tuple(_node(text, _PORTS[mode]) for text in (hosts or "127.0.0.1").split(","))
        if mode is SINGLE and len(nodes) > 1:
            raise ValueError("names several servers: write redis+sentinel:// or redis+cluster://")
        if mode is CLUSTER and where:
            raise ValueError("a cluster has no databases to choose from: leave out what stands behind the last host")
        if mode is SENTINEL and not where:
            raise ValueError("names no group: redis+sentinel://host:26379,host:26379/name")
        return cls(
            mode,
            nodes,
            (tls or Tls()) if secure else None,
            unquote(user),
            unquote(password),
            _database(options.get("db") or (where if mode is SINGLE else "")),
            where if mode is SENTINEL else "",
            options.get("sentinel_user", ""),
            options.get("sentinel_password", ""),
            url,
        )


def _options(parts: SplitResult, mode: str) -> dict[str, str]:
    found = dict(parse_qsl(parts.query, keep_blank_values=True))
    if parts.fragment or found.keys() - _OPTIONS[mode]:
        known = " and ".join(sorted(_OPTIONS[mode])) or "none"
        raise ValueError(f"has an option that is unknown (known: {known}); percent-encode ? # @ in user and password")
    return found


def _node(text: str, port: int) -> Node:
    try:
        parts = urlsplit(f"//{text}")
        if not parts.hostname or parts.username is not None or parts.port == 0:
            raise ValueError
        return Node(parts.hostname, parts.port or port)
    except ValueError:  # its text quotes what may be a part of the password
        raise ValueError("has no valid host and port; percent-encode / ? # @ : in user and password") from None


def _database(text: str) -> int:
    if text and not (text.isascii() and text.isdecimal()):
        raise ValueError("has a database that is no number; percent-encode / in user and password")
    return int(text or 0)
