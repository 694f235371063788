"""Contract, section 2: what a browser gets that has no JavaScript."""

import html
import re
import urllib.parse

import pytest

from tests.service import HTML, Answer, Service, said

SITE = "https://news.example"


def door(site: str) -> str:
    return f"/api/v1/sites/{site}/comments"


def target(answer: Answer) -> tuple[str, list[tuple[str, str]], str]:
    """Address without query, arguments, fragment."""
    assert answer.status == 303, answer.text
    parts = urllib.parse.urlsplit(answer.headers["location"])
    return f"{parts.scheme}://{parts.netloc}{parts.path}", urllib.parse.parse_qsl(parts.query), parts.fragment


def test_redirect_to_wins_and_keeps_its_arguments(service: Service) -> None:
    site = service.site(thread_url_template=SITE + "/?p={thread}")
    answer = service.form(
        door(site),
        said(redirect_to=f"{SITE}/a%20b/?p=4&q=x+y&comment_status=old&comment_id=9#top"),
        referer=SITE + "/r",
    )
    page, arguments, fragment = target(answer)
    found = dict(arguments)["comment_id"]
    assert page == SITE + "/a%20b/"
    assert arguments == [("p", "4"), ("q", "x y"), ("comment_status", "pending"), ("comment_id", found)]
    assert fragment == "comment-" + found
    assert service.one(found)["status"] == "pending"


def test_arguments_are_kept_byte_for_byte(service: Service, site: str) -> None:
    answer = service.form(door(site), said(redirect_to=SITE + "/?a=%E3%20b&flag&c=%d8%b6&d=ض"))
    query = urllib.parse.urlsplit(answer.headers["location"]).query
    assert query.startswith("a=%E3%20b&flag&c=%d8%b6&d=%D8%B6&comment_status=pending&comment_id=")


def test_else_the_template_wins_over_the_referer(service: Service) -> None:
    site = service.site(thread_url_template=SITE + "/?p={thread}")
    page, arguments, _ = target(service.form(door(site), said(thread="4&1/ض"), referer=SITE + "/r"))
    assert (page, arguments[0]) == (SITE + "/", ("p", "4&1/ض"))


def test_else_the_referer_is_gone_back_to(service: Service, site: str) -> None:
    page, arguments, _ = target(service.form(door(site), said(), referer=SITE + "/article?x=1"))
    assert (page, arguments[0]) == (SITE + "/article", ("x", "1"))


@pytest.mark.parametrize(
    "headers", [{}, {"referer": SITE + "/"}, {"origin": SITE, "referer": "https://evil.example/p"}]
)
def test_else_a_page_says_that_it_waits(service: Service, site: str, headers: dict[str, str]) -> None:
    answer = service.form(door(site), said(), **headers)
    assert answer.status == 202
    assert answer.headers["content-type"].startswith("text/html")
    assert 'lang="ar" dir="rtl"' in answer.text
    link = re.search(r'href="([^"]*/c/[^"]+)"', answer.text)
    assert link
    assert service.get(urllib.parse.urlsplit(html.unescape(link[1])).path).json["status"] == "pending"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/", "//evil.example/", "https://news.example.evil.example/", "https://evil.example\\@news.example/", "https://news.example@evil.example/",
        "javascript:alert(1)", "/relative", "http://news.example/", "https://news.example:444/", "https://news.example\r\nSet-Cookie: a=b",
    ],
)  # fmt: skip
def test_a_foreign_redirect_is_refused(service: Service, site: str, url: str) -> None:
    assert service.form(door(site), said(redirect_to=url)).status == 422
    assert service.post(door(site), said(redirect_to=url)).errors == {"redirect_to": "invalid"}


def test_a_location_is_ascii_whatever_the_browser_sent(service: Service, site: str) -> None:
    for url in (SITE + "/مقال?س=ض", SITE + "/%D9%85"):
        assert service.form(door(site), said(redirect_to=url)).headers["location"].isascii()
    answer = service.form(door(site), said(), referer=(SITE + "/ض").encode().decode("latin-1"))
    assert answer.headers["location"].startswith(SITE + "/%D8%B6?")
    answer = service.form(door(site), said(), referer=SITE + "/\xff?a=\xff")
    assert answer.headers["location"].startswith(SITE + "/%FF?a=%FF&")


SCRIPT = "</textarea><script>alert('x')</script>&amp;"


def test_an_error_page_keeps_what_was_typed_and_escapes_it(service: Service, site: str) -> None:
    typed = said(email='nobody"><script>', author="<b>ليلى</b>", comment=SCRIPT, parent="0", redirect_to=SITE + "/p")
    answer = service.form(door(site), typed, referer=SITE + "/article")
    assert answer.status == 422
    assert 'lang="ar" dir="rtl"' in answer.text
    assert "<script" not in answer.text
    assert "<b>" not in answer.text
    area = re.search(r"<textarea[^>]*>\n?(.*?)</textarea>", answer.text, re.S)
    assert area
    assert html.unescape(area[1]) == SCRIPT
    values = {html.unescape(m[1]): html.unescape(m[2]) for m in re.finditer(r'name="([^"]*)"[^>]*? value="([^"]*)"', answer.text)}  # fmt: skip
    for field in ("author", "email", "thread", "redirect_to"):
        assert values[field] == typed[field]
    assert f'href="{SITE}/article"' in answer.text


def test_each_message_stands_beside_its_field(service: Service, site: str) -> None:
    answer = service.form(door(site), {"email": "nobody", "url": "x:y"})
    assert answer.status == 422
    for field in ("author", "email", "url", "comment"):
        tag = re.search(rf'<(?:input|textarea)[^>]* name="{field}"[^>]*>', answer.text)
        assert tag
        described = re.search(r'aria-describedby="([^"]+)"', tag[0])
        assert described
        message = re.search(rf'id="{described[1]}"[^>]*>([^<]+)<', answer.text)
        assert message
        assert message[1].strip()
        assert 'aria-invalid="true"' in tag[0]


def test_the_error_page_can_be_sent_again(service: Service, site: str) -> None:
    page = service.form(door(site), {"author": "Eve", "comment": "hello", "thread": "7"})
    assert page.status == 422
    values = {m[1]: html.unescape(m[2]) for m in re.finditer(r'name="([^"]*)"[^>]*? value="([^"]*)"', page.text)}
    again = service.form(door(site), {**values, "comment": "hello", "email": "eve@example.org"}, origin=service.base)
    assert again.status == 202


def test_a_visitor_with_another_language_reads_it(service: Service, site: str) -> None:
    for fields in (said(), {}):
        assert 'lang="en" dir="ltr"' in service.form(door(site), fields, **{"accept-language": "en"}).text
    assert 'lang="en" dir="ltr"' in service.form(door(site), {"locale": "en"}).text


def test_who_writes_in_a_language_that_we_do_not_speak_reads_the_visitors_or_the_sites(
    service: Service, site: str
) -> None:
    for fields in (said(locale="ja"), {"locale": "ja"}):
        assert 'lang="ar" dir="rtl"' in service.form(door(site), fields).text
        assert (
            'lang="de" dir="ltr"'
            in service.form(door(site), fields | said(locale="ja"), **{"accept-language": "de"}).text
        )
    taken = service.post(door(site), said(locale="ja")).json
    assert taken["message"] == service.post(door(site), said()).json["message"]
    assert service.one(taken["id"])["locale"] == "ja"


@pytest.mark.parametrize("accept", ["*/*", "application/json", ""])
def test_a_form_without_a_browser_gets_json(service: Service, site: str, accept: str) -> None:
    assert service.form(door(site), said(), accept=accept).json["status"] == "pending"
    assert service.form(door(site), {}, accept=accept).errors["email"] == "required"


def test_json_gets_json_whatever_it_accepts(service: Service, site: str) -> None:
    assert service.post(door(site), said(), accept=HTML).json["status"] == "pending"


def test_pages_have_the_status_codes_of_json(service: Service, site: str) -> None:
    form = {"content-type": "application/x-www-form-urlencoded", "accept": HTML}
    twice = said()
    service.form(door(site), twice)
    closed = service.site(policy={"mode": "closed"})
    answers = {
        400: service.request("POST", door(site), b"comment=%FF", form),
        403: service.form(door(site), said(), origin="https://evil.example"),
        404: service.form(door("nobody"), said(comment="kept words")),
        409: service.form(door(site), twice),
        413: service.request("POST", door(site), b"a" * (1024 * 1024 + 1), form),
        415: service.form(door(site), said(), **{"content-type": "application/x-www-form-urlencoded; charset=utf-16"}),
        422: service.form(door(site), said(parent="nobody")),
    }
    answers[1403] = service.form(door(closed), said(comment="kept words"), referer=SITE + "/p")
    for status, answer in answers.items():
        assert answer.status == status % 1000, answer.text[:300]
        assert answer.headers["content-type"].startswith("text/html")
        assert "<script" not in answer.text
    assert "kept words" in answers[1403].text
    assert f'href="{SITE}/p"' in answers[1403].text
    assert html.escape(twice["comment"]) in answers[409].text


def test_a_slowed_browser_reads_when_to_come_back(service: Service) -> None:
    site = service.site(policy={})
    slowed = [a for a in (service.form(door(site), said()) for _ in range(90)) if a.status != 202]
    assert slowed
    assert all(a.status == 429 and int(a.headers["retry-after"]) >= 1 for a in slowed)
    assert slowed[0].headers["content-type"].startswith("text/html")


def test_wordpress_has_its_own_door(service: Service, site: str) -> None:
    fields = {
        "author": "ليلى", "email": "layla@example.net", "url": "", "comment": "شكراً", "comment_post_ID": "41", "comment_parent": "0",
        "submit": "Post Comment", "wp-comment-cookies-consent": "yes", "akismet_comment_nonce": "x",
    }  # fmt: skip
    path = f"/sites/{site}/wp-comments-post.php"
    page, arguments, _ = target(service.form(path, fields, referer=SITE + "/?p=41", origin=SITE))
    assert (page, arguments[0]) == (SITE + "/", ("p", "41"))
    assert service.one(dict(arguments)["comment_id"])["thread"]["id"] == "41"
    assert service.form(path, fields).status == 409
    assert service.form(path, {**fields, "email": ""}).status == 422
    assert service.form(path, fields, origin="https://evil.example").status == 403


def test_pages_run_no_script_and_stay_out_of_frames_and_caches(service: Service, site: str) -> None:
    for fields in (said(), {}):
        headers = service.form(door(site), fields).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script-src" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
    seen = service.form(door(site), {}, origin=SITE).headers["vary"]
    assert {name.strip() for name in seen.split(",")} >= {"Accept", "Accept-Language", "Origin"}


def test_a_corrected_form_behind_the_proxy_leads_back_to_its_page_and_not_to_the_door(service: Service) -> None:
    site = service.site()
    door = f"/sites/{site}/wp-comments-post.php"
    page = "https://news.example/2026/opening/"
    refused = service.form(door, {**said(), "comment": ""}, origin="https://news.example", referer=page)
    assert refused.status == 422
    kept = re.search(r'name="redirect_to" value="([^"]+)"', refused.text)
    assert kept
    assert html.unescape(kept[1]) == page
    repeated = service.form(
        door, said(redirect_to=page), origin="https://news.example", referer="https://news.example/wp-comments-post.php"
    )
    assert repeated.status == 303
    assert repeated.headers["location"].startswith(page + "?comment_status=pending")
    without = service.form(
        door, said(), origin="https://news.example", referer="https://news.example/wp-comments-post.php"
    )
    assert without.status == 202
