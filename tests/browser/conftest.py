"""A real Chromium, a demo, and a newspaper whose pages carry WordPress's comment form."""

import http.server
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import APIResponse, Browser, ConsoleMessage, Locator, Page, Route, expect, sync_playwright

from tests.service import Service, running, until

ARGUMENTS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip
PATIENCE_MS = 30_000  # until something is given up, on a busy machine; what is there costs no waiting
Visit = Callable[..., Page]
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The browser of the machine, else Playwright's own."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=ARGUMENTS + sandbox)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Opens a fresh visitor's page; in the end nothing may have been complained about: no error, no breach of the CSP."""
    complaints: list[str] = []
    contexts = []

    def heard(message: ConsoleMessage) -> None:
        # that a page came with an error status is what these tests ask for
        if message.type in {"error", "warning"} and "server responded with a status of 4" not in message.text:
            complaints.append(message.text)

    def opened(
        address: str, width: int = 1280, scheme: str = "light", locale: str = "en-US", javascript: bool = True
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 844},
            color_scheme=scheme,  # type: ignore[arg-type]
            locale=locale,
            java_script_enabled=javascript,
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("console", heard)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`moderation demo`."""
    with running(tmp_path_factory.mktemp("demo") / "data", ("demo",)) as found:
        yield found


class Pages:
    """Serves pages of another origin on loopback: `answer(path)` gives text, media type and further headers of each."""

    def __init__(self) -> None:
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                text, kind, headers = outer.answer(self.path)
                body = text.encode()
                self.send_response(200)
                for name, value in ({"content-type": kind, "content-length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, path: str) -> tuple[str, str, dict[str, str]]:
        raise NotImplementedError

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Newspaper(Pages):
    """A site every address of which is one page with the stock Arabic form of WordPress 6.1."""

    action = ""

    @property
    def article(self) -> str:
        return self.origin + "/2026/book-fair/"

    def answer(self, path: str) -> tuple[str, str, dict[str, str]]:
        page = (Path(__file__).parent / "wordpress_form.html").read_text()
        return page.replace("{{action}}", self.action), "text/html; charset=utf-8", {}


@pytest.fixture
def newspaper() -> Iterator[Newspaper]:
    """A newspaper; the test says where its form posts to."""
    found = Newspaper()
    yield found
    found.close()


# click() does not wait for the page that it leads to. What is asked after it (the page's text, the service, the next
# address) waits first, with expect(), for what a person would see there; the helpers below wait for its styles too.


def sign_in(page: Page, name: str, password: str) -> None:
    """At the door of the desk; in, or at the question for a code, when it returns."""
    page.locator("#name").fill(name)
    page.locator("#password").fill(password)
    page.locator("button[type=submit]").first.click()
    expect(page.locator("#password")).to_have_count(0)
    page.wait_for_load_state()  # a key pressed before the scripts are there is lost


def open_desk(page: Page) -> None:
    """From the first page of the demo."""
    page.locator('form[action="/demo/sign-in"] button').click()
    expect(page.get_by_role("search")).to_be_visible()
    page.wait_for_load_state()


def reload_until(page: Page, *wanted: Locator) -> None:
    """Load the page that is shown again until all of it is there, as people do where no script does it."""
    until("it to be on the page", lambda: all(one.count() for one in wanted) or not page.reload(), PATIENCE_MS / 1000)


class Held:
    """The first request to where a pattern leads: answered late, with what the service would say `at_once` or then."""

    def __init__(self, page: Page, pattern: str, *, at_once: bool = False) -> None:
        self._page = page
        self._routes: list[tuple[Route, APIResponse | None]] = []
        page.route(pattern, lambda route: self._routes.append((route, route.fetch() if at_once else None)), times=1)

    def wait(self) -> None:
        """Until it is asked."""
        until("the request", lambda: self._page.evaluate("1") and self._routes)

    def let_go(self) -> None:
        self.wait()
        route, answer = self._routes[0]
        if answer:
            route.fulfill(response=answer)
        else:
            route.continue_()


def fits(page: Page) -> bool:
    """Nothing makes the page scroll sideways."""
    page.wait_for_load_state()
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def barriers(page: Page) -> list[str]:
    """What axe finds, each with the element it means."""
    page.wait_for_load_state()
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]
