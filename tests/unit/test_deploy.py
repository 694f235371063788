"""The deployment files agree with the program: settings that exist, values it accepts, safety that is switched on."""

import functools
import ipaddress
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml

from moderation.settings import Settings, load

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = DEPLOY / "Dockerfile"
NGINX = DEPLOY / "nginx" / "moderation.conf"
CADDYFILE = DEPLOY / "caddy" / "Caddyfile"
ENV_EXAMPLE = DEPLOY / ".env.example"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
DEFAULT_PORT = Settings.model_fields["port"].default
DOOR = "/sites/SITE/wp-comments-post.php"
DRAIN_SECONDS = 45

each_unit = pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)


# settings


def deployment_files() -> list[Path]:
    return sorted(path for path in DEPLOY.rglob("*") if path.is_file() and path.name != ".env")


def is_setting(variable: str) -> bool:
    name = variable.removeprefix("MODERATION_").lower()
    return name in Settings.model_fields or (
        name.endswith("_file") and name.removesuffix("_file") in Settings.model_fields
    )


@pytest.mark.parametrize("path", deployment_files(), ids=lambda path: str(path.relative_to(DEPLOY)))
def test_every_variable_is_a_setting(path: Path) -> None:
    # The service refuses to start on an unknown one. MODERATION_CONFIG, the file's own place, is no field.
    named = set(re.findall(r"\bMODERATION_[A-Z0-9_]*[A-Z0-9]", path.read_text(errors="replace"))) - {
        "MODERATION_CONFIG"
    }
    assert sorted(variable for variable in named if not is_setting(variable)) == []


def accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]) -> Settings:
    monkeypatch.chdir(tmp_path)  # away from a developer's moderation.toml
    return load(
        environ={
            name: value
            for name, value in environ.items()
            if name.startswith("MODERATION_") and not name.endswith("_FILE")
        }
    )


def test_the_example_works_as_it_is_and_with_every_line_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_it_is = dict(re.findall(r"^(MODERATION_\w+)=(.*)$", ENV_EXAMPLE.read_text(), re.M))
    in_use = dict(re.findall(r"^#?(MODERATION_\w+)=(.*)$", ENV_EXAMPLE.read_text(), re.M))
    assert accepted(tmp_path, monkeypatch, as_it_is).public_url, "links would lead to http://0.0.0.0"
    assert len(in_use) > len(as_it_is) >= 1
    assert accepted(tmp_path, monkeypatch, in_use).keys()


def test_secrets_of_the_example_are_commented_out() -> None:
    names = re.findall(r"^(MODERATION_\w+)=", ENV_EXAMPLE.read_text(), re.M)
    secret = {
        name
        for name in names
        if "SecretStr" in str(Settings.model_fields[name.removeprefix("MODERATION_").lower()].annotation)
    }
    assert secret == set(), "everybody who copies the file would share them"


# compose


def interpolated(value: str, environ: dict[str, str]) -> str:
    def replace(match: re.Match[str]) -> str:
        name, operator, default = match.groups()
        said = environ.get(name)
        return default if said is None or (operator == ":-" and not said) else said

    return re.sub(r"\$\{(\w+)(:?-)([^}]*)\}", replace, value)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert isinstance(document, dict)
    return document


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return compose["services"]


def seconds(text: str) -> int:
    match = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", text)
    assert match, text
    return int(match[1] or 0) * 60 + int(match[2] or 0)


def test_compose_variables_are_all_explained_in_the_example() -> None:
    used = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    explained = set(re.findall(r"^#?(\w+)=", ENV_EXAMPLE.read_text(), re.M))
    assert used - explained == set()


def test_compose_gives_the_service_what_it_accepts(
    services: dict[str, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = services["moderation"]
    settings = accepted(
        tmp_path, monkeypatch, {name: interpolated(value, {}) for name, value in service["environment"].items()}
    )
    assert settings.redis_url is not None
    host, _, port = settings.redis_url.get_secret_value().removeprefix("redis://").partition(":")
    assert host in services
    assert port.startswith("6379")
    assert any(volume.split(":")[1] == str(settings.data_dir) for volume in service["volumes"]), (
        "the secret key must outlive the container"
    )
    published = interpolated(service["ports"][0], {})
    assert published.endswith(f":{settings.port}")
    assert published.startswith("127.0.0.1:"), "published beyond this machine without a proxy"


def test_compose_trusts_the_gateway_and_nobody_else(
    compose: dict[str, Any], services: dict[str, dict[str, Any]]
) -> None:
    trusted = ipaddress.ip_network(
        interpolated(services["moderation"]["environment"]["MODERATION_TRUSTED_PROXIES"], {})
    )
    assert trusted == ipaddress.ip_network(compose["networks"]["front"]["ipam"]["config"][0]["gateway"])
    assert (
        interpolated(
            services["moderation"]["environment"]["MODERATION_TRUSTED_PROXIES"], {"MODERATION_TRUSTED_PROXIES": ""}
        )
        == ""
    )


def test_compose_waits_until_the_store_is_healthy(services: dict[str, dict[str, Any]]) -> None:
    assert services["moderation"]["depends_on"]["valkey"]["condition"] == "service_healthy"
    for name, service in services.items():
        assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}, name
    assert "PONG" in services["valkey"]["healthcheck"]["test"][-1], "valkey-cli ends with 0 while the server is loading"


def test_compose_store_loses_nothing(services: dict[str, dict[str, Any]], compose: dict[str, Any]) -> None:
    program, *words = (interpolated(word, {}) for word in services["valkey"]["command"])
    assert program == "valkey-server"
    options = dict(zip(words[::2], words[1::2], strict=True))
    assert all(name.startswith("--") for name in options)
    assert options["--appendonly"] == "yes"
    assert options["--appendfsync"] == "always"
    assert options["--maxmemory-policy"] == "noeviction"
    assert options.get("--no-appendfsync-on-rewrite", "no") == "no"
    volume, place = services["valkey"]["volumes"][0].split(":")
    assert place == options.get("--dir", "/data")
    assert volume in compose["volumes"], "an anonymous volume goes with the container"


def test_compose_store_is_out_of_reach(services: dict[str, dict[str, Any]], compose: dict[str, Any]) -> None:
    assert "ports" not in services["valkey"]
    assert all(compose["networks"][name]["internal"] for name in services["valkey"]["networks"])
    assert set(services["valkey"]["networks"]) < set(services["moderation"]["networks"]), (
        "the service needs both: Redis and the outside"
    )


def test_compose_services_are_confined(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert not service.get("privileged"), name
        assert {"max-size", "max-file"} <= service["logging"]["options"].keys(), f"the log of {name} fills the disk"
    assert seconds(services["moderation"]["stop_grace_period"]) >= DRAIN_SECONDS, "killed while it drains"


def test_compose_images_are_pinned_and_name_no_registry(services: dict[str, dict[str, Any]]) -> None:
    for service in services.values():
        assert_pinned(service["image"])
    assert re.search(r":\d+\.\d+", services["valkey"]["image"]), "a major tag moves under the data"


def assert_pinned(image: str) -> None:
    first, *rest = image.split("/")
    assert not rest or not re.search(r"[.:]|^localhost$", first), f"{image} names a registry"
    assert re.search(r":(?!latest$)[^/:]+$", image), f"{image} has no fixed tag"


# image


@dataclass
class Stage:
    base: str
    name: str = ""
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        return [text for word, text in self.steps if word == instruction]


@functools.cache
def image() -> tuple[dict[str, str], list[Stage]]:
    text = "\n".join(line for line in DOCKERFILE.read_text().splitlines() if not line.lstrip().startswith("#"))
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        word, rest = line.split(maxsplit=1)
        if word == "FROM":
            base, *alias = rest.split()
            stages.append(Stage(base, alias[1] if alias else ""))
        elif not stages:
            assert word == "ARG"
            name, _, value = rest.partition("=")
            arguments[name] = value
        else:
            stages[-1].steps.append((word, rest))
    return arguments, stages


def image_environ() -> dict[str, str]:
    return dict(re.findall(r"(\w+)=(\S+)", " ".join(image()[1][-1].all("ENV"))))


def test_image_base_is_pinned_and_can_be_changed() -> None:
    arguments, stages = image()
    assert len(stages) >= 2, "the build tools would be in the image"
    assert {stage.base for stage in stages} <= {"${BASE}", *(stage.name for stage in stages)}
    assert_pinned(arguments["BASE"])


def test_image_ends_as_a_numeric_user_who_owns_the_data() -> None:
    final = image()[1][-1]
    user = final.all("USER")[-1]
    assert re.fullmatch(r"[1-9]\d{3,}(:[1-9]\d{3,})?", user), "root, or a name that Kubernetes can't check"
    number = user.split(":")[0]
    data = image_environ()["MODERATION_DATA_DIR"]
    assert data in final.all("VOLUME")[0].split()
    made = next(step for step in final.all("RUN") if re.search(rf"install .*{data}\b", step))
    assert f"--owner={number} " in made
    words = [word for word, _ in final.steps]
    assert words.index("RUN") < words.index("VOLUME"), "what is changed after VOLUME is thrown away"


def test_image_installs_nothing_unchecked() -> None:
    _, stages = image()
    commands = [part.strip() for stage in stages for run in stage.all("RUN") for part in re.split(r"&&|;", run)]
    installs = [command for command in commands if re.search(r"\bpip\b.*\b(install|wheel|download)\b", command)]
    assert any("-r requirements.lock" in command and "--require-hashes" in command for command in installs)
    for command in installs:
        ours = "--no-deps" in command and ("--no-index" in command or "--no-build-isolation" in command)
        assert "--require-hashes" in command or ours, command
    assert not any(re.search(r"\b(apt-get|apt|curl|wget)\b", command) for command in commands)


def test_image_build_back_end_is_complete() -> None:
    kept = re.search(r"keep = /\^\(([\w|-]+)\)==/", DOCKERFILE.read_text())
    assert kept
    names = set(kept[1].split("|"))
    lock = (ROOT / "requirements-dev.lock").read_text()
    needed, waiting = set[str](), {"hatchling"}
    while waiting:
        name = waiting.pop()
        needed.add(name)
        for line in metadata.requires(name) or []:
            if ";" not in line:
                waiting |= {re.split(r"[^\w.-]", line)[0].lower().replace("_", "-")} - needed
    assert needed <= names
    assert all(re.search(rf"^{name}==", lock, re.M) for name in names)


def ignored(path: str) -> bool:
    """As .dockerignore works: the last pattern that meets the path or a folder above it decides."""
    parts = path.split("/")
    above = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    answer = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!")
        anywhere = pattern.removeprefix("**/")
        if any(fnmatchcase(name if pattern == anywhere else name.rsplit("/", 1)[-1], anywhere) for name in above):
            answer = not line.startswith("!")
    return answer


def test_image_gets_all_it_copies_and_no_secrets() -> None:
    sources = [word for copy in image()[1][0].all("COPY") for word in copy.split()[:-1]]
    assert {"moderation", "workers", "pyproject.toml"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
        assert not ignored(source), source
    assert not ignored("moderation/store/lua/submit.lua")
    for path in (
        "data/secret.key",
        ".git/config",
        ".venv/bin/python",
        "deploy/.env",
        ".env",
        "moderation.toml",
        "moderation/.env",
    ):
        assert ignored(path), path


def test_image_starts_the_command_as_first_process() -> None:
    final = image()[1][-1]
    program, *_ = json.loads(final.all("ENTRYPOINT")[-1])
    assert program in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert json.loads(final.all("CMD")[-1]) == ["serve"]


def test_image_environment_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = accepted(tmp_path, monkeypatch, image_environ())
    assert settings.host == "0.0.0.0", "on loopback nobody reaches a container"
    assert settings.data_dir.is_absolute()
    assert str(settings.port) in image()[1][-1].all("EXPOSE")


def test_image_health_check_is_sound_and_asks_for_life() -> None:
    command = json.loads(image()[1][-1].all("HEALTHCHECK")[-1].split("CMD", 1)[1])
    assert command[:2] == ["python", "-c"]
    compile(command[2], "HEALTHCHECK", "exec")
    assert "/healthz" in command[2]
    assert str(DEFAULT_PORT) in command[2]


def test_compose_health_check_is_sound(services: dict[str, dict[str, Any]]) -> None:
    test = services["moderation"]["healthcheck"]["test"]
    compile(test[test.index("-c") + 1], "healthcheck", "exec")
    assert f":{DEFAULT_PORT}/readyz" in test[-1]


# systemd

HARDENING = {
    "NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "AmbientCapabilities": "", "ProtectSystem": "strict", "ProtectHome": "yes",
    "PrivateTmp": "yes", "PrivateDevices": "yes", "PrivateUsers": "yes", "ProtectClock": "yes", "ProtectControlGroups": "yes",
    "ProtectHostname": "yes", "ProtectKernelLogs": "yes", "ProtectKernelModules": "yes", "ProtectKernelTunables": "yes",
    "ProtectProc": "invisible", "RestrictNamespaces": "yes", "RestrictRealtime": "yes", "RestrictSUIDSGID": "yes",
    "LockPersonality": "yes", "MemoryDenyWriteExecute": "yes", "SystemCallArchitectures": "native", "UMask": "0077",
}  # fmt: skip


def unit_values(unit: Path, section: str = "Service") -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    current = ""
    for line in unit.read_text().splitlines():
        if line.startswith("["):
            current = line.strip("[]")
        elif line and not line.startswith(("#", ";")) and current == section:
            name, _, value = line.partition("=")
            values.setdefault(name, []).append(value)
    return values


def unit_environ(unit: Path) -> dict[str, str]:
    return dict(value.split("=", 1) for value in unit_values(unit)["Environment"])


def test_both_units_are_there() -> None:
    assert {unit.name for unit in UNITS} >= {"moderation.service", "moderation-worker@.service"}


@each_unit
def test_unit_is_hardened(unit: Path) -> None:
    values = unit_values(unit)
    assert {name: values.get(name, ["missing"])[-1] for name in HARDENING} == HARDENING
    assert values["DynamicUser"] == ["yes"]
    assert "User" not in values
    assert values["SystemCallFilter"][0] == "@system-service"
    assert set(values["RestrictAddressFamilies"][0].split()) == {"AF_INET", "AF_INET6", "AF_UNIX"}, (
        "TCP both ways, and the embedded server's socket"
    )


@each_unit
def test_unit_stops_as_the_program_does(unit: Path) -> None:
    values = unit_values(unit)
    assert values["Type"] == ["simple"], "the program sends no notification: systemd would wait for it in vain"
    assert values["KillMode"] == ["mixed"], "control-group would stop the embedded server under the drain"
    assert int(values["TimeoutStopSec"][0]) >= DRAIN_SECONDS
    program, command = values["ExecStart"][0].split()
    assert Path(program).name in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert command == ("worker" if "worker" in unit.name else "serve")
    assert unit_values(unit, "Install")["WantedBy"] == ["multi-user.target"]


@each_unit
def test_unit_may_write_where_it_keeps_its_data(unit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = unit_values(unit)
    own = [f"/var/lib/{name}" for name in values.get("StateDirectory", [])] + [
        f"/run/{name}" for name in values.get("RuntimeDirectory", [])
    ]
    settings = accepted(tmp_path, monkeypatch, unit_environ(unit))
    assert str(settings.data_dir) in own
    assert values["WorkingDirectory"][0] in own
    assert values.get("StateDirectoryMode", values.get("RuntimeDirectoryMode")) == ["0700"]
    assert "%i" in str(settings.data_dir) or "@" not in unit.name, (
        "two instances have two users, so they can't share a folder"
    )


@each_unit
def test_unit_loads_the_credentials_it_reads(unit: Path) -> None:
    read = {value.removeprefix("%d/") for value in unit_environ(unit).values() if value.startswith("%d/")}
    loaded = {value.split(":")[0] for value in unit_values(unit).get("LoadCredential", [])}
    assert read == loaded


def test_worker_can_not_start_without_redis_and_key() -> None:
    (worker,) = (unit for unit in UNITS if "worker@" in unit.name)
    assert {"MODERATION_REDIS_URL_FILE", "MODERATION_SECRET_KEY_FILE"} <= unit_environ(worker).keys()


# proxies


@dataclass
class Block:
    """One nginx block: `words` before the brace, `lines` inside, blocks inside."""

    words: list[str]
    lines: list[list[str]] = field(default_factory=list)
    blocks: list["Block"] = field(default_factory=list)
    above: "Block | None" = None

    def said(self, name: str) -> list[list[str]]:
        """The directive's arguments as nginx inherits them: all from the innermost block that has any."""
        here = [line[1:] for line in self.lines if line[0] == name]
        return here or (self.above.said(name) if self.above else [])

    def headers(self) -> dict[str, str]:
        return {name: value.strip('"') for name, value in self.said("proxy_set_header")}


@functools.cache
def nginx() -> Block:
    text = re.sub(r"(^|\s)#.*", "", NGINX.read_text())
    top = current = Block([])
    words: list[str] = []
    for token in re.findall(r'"[^"]*"|[;{}]|[^\s;{}]+', text):
        if token == ";":
            current.lines.append(words)
            words = []
        elif token == "{":
            current.blocks.append(Block(words, above=current))
            current, words = current.blocks[-1], []
        elif token == "}":
            assert not words
            assert current.above
            current = current.above
        else:
            words.append(token)
    assert current is top, "unbalanced braces"
    assert not words
    return top


def proxied(block: Block) -> Iterator[Block]:
    if any(line[0] == "proxy_pass" for line in block.lines):
        yield block
    for inner in block.blocks:
        yield from proxied(inner)


def location(path: str) -> Block:
    (found,) = (block for server in nginx().blocks for block in server.blocks if block.words == ["location", "=", path])
    return found


def test_nginx_tells_the_truth_about_visitors() -> None:
    blocks = list(proxied(nginx()))
    assert len(blocks) >= 3
    for block in blocks:
        headers = block.headers()
        assert headers.get("X-Forwarded-For") == "$remote_addr", f"{block.words}: a visitor could choose their address"
        assert headers.get("Forwarded") == "", f"{block.words}: a visitor could choose their address"
        assert headers.get("X-Forwarded-Proto") == "$scheme", block.words
        assert headers.get("Host") == "$http_host", block.words


def test_nginx_passes_the_longest_comment() -> None:
    for block in proxied(nginx()):
        ((size,),) = block.said("client_max_body_size")
        assert size.endswith("m"), block.words
        assert int(size[:-1]) > 1, f"{block.words}: nginx would answer 413 itself"


def test_nginx_streams_events_unbuffered() -> None:
    stream = location("/api/v1/queue/stream")
    assert stream.said("proxy_buffering") == [["off"]]
    assert stream.said("proxy_http_version") == [["1.1"]]
    assert stream.said("proxy_read_timeout") != []


def test_nginx_keeps_the_figures_private() -> None:
    assert location("/metrics").said("deny") == [["all"]]


def test_nginx_has_the_wordpress_door() -> None:
    door = location("/wp-comments-post.php")
    assert door.said("proxy_pass") == [[f"http://127.0.0.1:{DEFAULT_PORT}{DOOR}"]]
    assert door.headers()["Cookie"] == "", "log-in cookies of WordPress would go to the service"
    own = {line[0] for line in door.lines}
    assert {"proxy_set_header", "client_max_body_size"} <= own, "the location is copied without its server block"


def test_the_door_leads_somewhere() -> None:
    from moderation.web.routes import ROUTES

    served = {(route.method, re.sub(r"\{site\}", "SITE", route.path)) for route in ROUTES}
    assert ("POST", DOOR) in served
    assert {("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics")} <= served


@pytest.mark.parametrize("path", [NGINX, CADDYFILE], ids=lambda path: path.name)
def test_proxy_samples_say_whom_to_trust_and_reach_the_port(path: Path) -> None:
    text = path.read_text()
    assert "MODERATION_TRUSTED_PROXIES=127.0.0.1/32" in text
    assert set(re.findall(r"127\.0\.0\.1:(\d+)", text)) == {str(DEFAULT_PORT)}


def test_caddy_has_the_door_and_lets_nobody_forge() -> None:
    text = re.sub(r"(?m)^\s*#.*$", "", CADDYFILE.read_text())
    assert text.count("{") == text.count("}")
    door = re.search(r"handle /wp-comments-post\.php \{(.*?)\n\t\}", text, re.S)
    assert door
    assert f"rewrite * {DOOR}" in door[1]
    assert "header_up -Cookie" in door[1]
    assert text.count("reverse_proxy ") == text.count("header_up -Forwarded")
    assert "trusted_proxies" not in text, "Caddy would then append to what the visitor sent"
    stream = re.search(r"handle /api/v1/queue/stream \{(.*?)\n\t\}", text, re.S)
    assert stream
    assert "flush_interval -1" in stream[1]
    assert re.search(r"handle /metrics \{\s*respond 403", text)
