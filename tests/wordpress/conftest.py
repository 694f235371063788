"""A real WordPress in Arabic with the plugin on, beside the real service. One for all tests here."""

import base64
import contextlib
import http.client
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit, browser, visit  # noqa: F401  the same browser and the same visitor
from tests.deliveries import event, signed
from tests.service import Answer, Service, free_port, until

HERE = Path(__file__).parent
EVENTS = ["comment.approved", "comment.pending", "comment.rejected", "comment.spam", "comment.erased"]
HOOK = "/wp-json/moderation/v1/webhook"


@dataclass
class WordPress:
    """The site, and a sender that signs as the service does."""

    run: Path
    port: int
    site: str = ""
    secret: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def page(self) -> str:
        return str(self.facts["page"])

    def php(self, code: str) -> Any:
        """Run PHP inside WordPress; what it returns."""
        done = subprocess.run(
            ["php", str(HERE / "site" / "eval.php"), str(self.run / "www"), f"127.0.0.1:{self.port}"],
            input=code, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)

    def comments(self, comment_id: str) -> list[dict[str, Any]]:
        """WordPress's comments that carry our id, in whatever status."""
        found: list[dict[str, Any]] = self.php(
            f"return array_map( fn( $c ) => $c->to_array(), get_comments( array( 'status' => 'any', 'meta_key' => '_moderation_id', 'meta_value' => '{comment_id}',"
            " 'post_status' => 'any' ) ) + get_comments( array( 'status' => 'trash', 'meta_key' => '_moderation_id', 'meta_value' => '"
            + comment_id
            + "' ) ) );"
        )
        return found

    def set(self, **settings: Any) -> None:
        """What an administrator would set."""
        values = base64.b64encode(json.dumps(settings).encode()).decode()
        self.php(
            f"update_option( 'moderation_receiver', json_decode( base64_decode( '{values}' ), true ) + (array) ( get_option( 'moderation_receiver' ) ?: array() ) ); return 1;"
        )

    def wear(self, kind: str) -> None:
        """A theme: `plain` (ours), or the last of the packaged ones that is `classic` or of `blocks`."""
        name = "plain"
        for theme in sorted((self.run / "www/wp-content/themes").iterdir()):
            is_of_blocks = (theme / "templates/index.html").exists()
            if theme.name != "plain" and kind == ("blocks" if is_of_blocks else "classic"):
                name = theme.name
        assert name != "plain" or kind != "blocks"  # WordPress's later releases have no classic one: ours stands in
        self.php(f"update_option( 'template', '{name}' ); update_option( 'stylesheet', '{name}' ); return 1;")

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def form(self, path: str, **fields: str) -> Answer:
        return self.request(
            "POST", path, urlencode(fields).encode(), {"content-type": "application/x-www-form-urlencoded"}
        )

    def deliver(self, event: dict[str, Any], **how: Any) -> Answer:
        """One signed delivery, past the service."""
        body = json.dumps(event, ensure_ascii=False).encode()
        return self.request("POST", HOOK, body, signed(how.pop("secret", self.secret), body, **how))

    def event(self, kind: str, comment_id: str, sequence: int, **changes: Any) -> dict[str, Any]:
        thread = changes.pop("thread", str(self.facts["other"]))
        return event(kind, comment_id, sequence, site=self.site, thread=thread, **changes)

    def mails(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted((self.run / "mails").iterdir())]


def logged_in(wordpress: WordPress, visit: Visit, name: str) -> Page:  # noqa: F811  the name of its type's fixture
    """At WordPress itself, as `admin` or `writer`."""
    page = visit(wordpress.origin + "/wp-login.php")
    expect(page.locator("#user_login")).to_be_focused()  # its script moves there, a little late: from the password, too
    page.locator("#user_login").fill(name)
    page.locator("#user_pass").fill(f"{name}-password")
    page.locator("#wp-submit").click()
    page.wait_for_url("**/wp-admin/**")
    return page


def end(pid_file: Path) -> None:
    """End what was started, and its workers: each is a session of its own."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(pid_file.read_text())
        os.killpg(pid, signal.SIGTERM)
        until("it to end", lambda: not _is_alive(pid), 20)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="package")
def wordpress(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WordPress]:
    """Installed and connected with the service: an endpoint there, its secret here."""
    found = WordPress(tmp_path_factory.mktemp("wp"), free_port())
    try:
        done = subprocess.run(
            ["sh", str(HERE / "up.sh"), str(found.run), str(found.port)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        until("WordPress to answer", lambda: _answers(found), 60)
        found.facts = json.loads((found.run / "site.json").read_text())
        found.site = service.site(origins=[found.origin], name="صحيفة الاختبار")
        made = service.send(
            "POST", f"/api/v1/sites/{found.site}/endpoints", {"url": found.origin + HOOK, "events": EVENTS}
        ).json
        found.secret = made["secret"]
        found.set(service=service.base, site=found.site, secrets=[found.secret])
        yield found
    finally:
        end(found.run / "web.pid")
        end(found.run / "database.pid")


def _answers(site: WordPress) -> bool:
    try:
        return site.request("GET", "/").status == 200
    except OSError:
        return False


@pytest.fixture(autouse=True)
def _no_complaint_of_php(wordpress: WordPress) -> Iterator[None]:
    """The plugin runs without a notice: WP_DEBUG is on."""
    log = wordpress.run / "php.log"
    before = log.stat().st_size if log.exists() else 0
    yield
    said = log.read_text()[before:] if log.exists() else ""
    assert [line for line in said.splitlines() if "plugins/moderation" in line] == []
