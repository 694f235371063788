"""Managing: rights, tokens, sites, endpoints."""

import json
import uuid
from typing import Any

import pytest

from tests.service import ADMIN, Receiver, Service

NOBODY = "019a0000-0000-7000-8000-000000000000"
ROLES = ("viewer", "moderator", "admin")


def make_token(service: Service, role: str, **more: Any) -> dict[str, Any]:
    answer = service.send("POST", "/api/v1/tokens", {"name": f"{role}-{uuid.uuid4().hex[:6]}", "role": role, **more})
    assert answer.status == 201, answer.text
    return dict(answer.json)


def token(service: Service, role: str, **more: Any) -> str:
    return str(make_token(service, role, **more)["token"])


def endpoint(service: Service, site: str, **fields: Any) -> dict[str, Any]:
    answer = service.send("POST", f"/api/v1/sites/{site}/endpoints", {"url": "https://hooks.example/in", **fields})
    assert answer.status == 201, answer.text
    return dict(answer.json)


# rights: method, path, body, the least role, status when allowed, for admins of all sites only?
ROUTES = [
    ("GET", "/api/v1/comments?site={site}", None, "viewer", 200),
    ("GET", "/api/v1/comments/{comment}", None, "viewer", 200),
    ("POST", "/api/v1/comments/{comment}/decisions", {"decision": "hold"}, "moderator", 200),
    ("POST", "/api/v1/comments/{comment}/undo", {}, "moderator", 409),
    ("POST", "/api/v1/queue/claim", {"site": "{site}"}, "moderator", 200),
    ("GET", "/api/v1/sites/{site}", None, "admin", 200),
    ("PATCH", "/api/v1/sites/{site}", {"name": "x"}, "admin", 200),
    ("GET", "/api/v1/sites/{site}/audit", None, "admin", 200),
    ("GET", "/api/v1/sites/{site}/endpoints", None, "admin", 200),
    ("POST", "/api/v1/sites/{site}/endpoints", {"url": "https://hooks.example/"}, "admin", 201),
    ("GET", "/api/v1/sites/{site}/endpoints/{endpoint}", None, "admin", 200),
    ("PATCH", "/api/v1/sites/{site}/endpoints/{endpoint}", {"description": "x"}, "admin", 200),
]
NOT_OF_ONE_SITE = [
    ("POST", "/api/v1/decisions", {"ids": [NOBODY], "decision": "hold"}, "moderator", 200),
    ("POST", "/api/v1/queue/release", {}, "moderator", 200),
    ("GET", "/api/v1/sites", None, "admin", 200),
]
OF_ALL_SITES = [
    ("POST", "/api/v1/sites", {"id": "{new}", "name": "x"}, "admin", 201),
    ("GET", "/api/v1/tokens", None, "admin", 200),
    ("POST", "/api/v1/tokens", {"name": "x", "role": "viewer"}, "admin", 201),
    ("DELETE", f"/api/v1/tokens/{NOBODY}", None, "admin", 404),
]


@pytest.mark.parametrize(("method", "path", "body", "least", "status"), [*ROUTES, *NOT_OF_ONE_SITE, *OF_ALL_SITES])
def test_rights(service: Service, site: str, method: str, path: str, body: Any, least: str, status: int) -> None:
    names = {
        "site": site,
        "comment": service.comment(site)["id"],
        "endpoint": endpoint(service, site)["id"],
        "new": f"n-{uuid.uuid4().hex[:8]}",
    }
    where = path.format(**names)
    what = json.loads(json.dumps(body).replace("{site}", site).replace("{new}", names["new"]))
    of_one_site = (method, path, body, least, status) in ROUTES
    for_all_only = (method, path, body, least, status) in OF_ALL_SITES

    def ask(by: str | None) -> int:
        return service.send(method, where, what, by).status

    anonymous = service.send(method, where, what, None)
    assert (anonymous.status, anonymous.headers["www-authenticate"]) == (401, "Bearer")
    assert {ask(bad) for bad in ("wrong", ADMIN + "x", "x" * 4000)} == {401}
    for role in ROLES:
        enough = ROLES.index(role) >= ROLES.index(least)
        own, other = token(service, role, sites=[site]), token(service, role, sites=["other"])
        assert ask(own) == (403 if not enough or for_all_only else status), role
        if of_one_site:
            assert ask(other) == (404 if enough else 403) or (not enough and ask(other) == 404), role
        if not enough:
            assert ask(token(service, role)) == 403
    assert ask(token(service, "admin")) == status


@pytest.mark.parametrize(
    "header", ["Basic dGVzdA==", "Bearer", "Bearer ", "test-admin-token", "Bearer a b", "Bearer \xff", "bearer mod_"]
)
def test_a_broken_authorization_is_401(service: Service, header: str) -> None:
    assert service.get("/api/v1/comments", None, authorization=header).status == 401


def test_lists_show_only_the_callers_sites(service: Service, site: str) -> None:
    mine, foreign = service.comment(site)["id"], service.comment(service.site())["id"]
    viewer = token(service, "viewer", sites=[site])
    assert [item["id"] for item in service.get("/api/v1/comments", viewer).json["items"]] == [mine]
    assert service.get(f"/api/v1/comments/{foreign}", viewer).status == 404
    admin = token(service, "admin", sites=[site])
    assert [item["id"] for item in service.get("/api/v1/sites", admin).json["items"]] == [site]


# tokens


def test_a_token_is_shown_once_and_revoked_at_once(service: Service) -> None:
    made = make_token(service, "viewer", sites=["a", "b"])
    assert made["token"].startswith("mod_")
    assert (made["role"], made["sites"]) == ("viewer", ["a", "b"])
    listing = service.get("/api/v1/tokens", ADMIN)
    (entry,) = [t for t in listing.json["items"] if t["id"] == made["id"]]
    assert entry == {k: v for k, v in made.items() if k != "token"}
    assert made["token"] not in listing.text
    assert "hash" not in listing.text
    assert service.get("/api/v1/comments", made["token"]).status == 200
    assert service.send("DELETE", f"/api/v1/tokens/{made['id']}").status == 204
    assert service.get("/api/v1/comments", made["token"]).status == 401
    assert service.send("DELETE", f"/api/v1/tokens/{made['id']}").status == 404


@pytest.mark.parametrize(
    ("fields", "errors"),
    [({}, {"name": "required", "role": "required"}), ({"name": " ", "role": "king"}, {"name": "too_short", "role": "invalid"}),
     ({"name": "x", "role": "viewer", "power": 1}, {"power": "unknown"}), ({"name": "x", "role": "viewer", "sites": "news"}, {"sites": "invalid"})],
)  # fmt: skip
def test_a_wrong_token_names_its_fields(service: Service, fields: dict[str, Any], errors: dict[str, str]) -> None:
    answer = service.send("POST", "/api/v1/tokens", fields)
    assert (answer.status, answer.errors) == (422, errors)


# sites


def test_a_site_is_made_read_changed_and_deleted(service: Service) -> None:
    name = f"s-{uuid.uuid4().hex[:8]}"
    fields = {
        "id": name, "name": "جريدة", "origins": ["https://news.example", "HTTPS://News.example:443/", "http://localhost:3000"], "locale": "ar",
        "thread_url_template": "https://news.example/?p={thread}", "notify": ["editor.private@news.example"], "notify_mode": "each", "policy": {"rate_limits": False},
    }  # fmt: skip
    made = service.send("POST", "/api/v1/sites", fields)
    assert made.status == 201
    assert made.json["origins"] == ["https://news.example", "https://news.example", "http://localhost:3000"]
    assert made.json["notify"] == ["e•••@n•••.example"]
    path = f"/api/v1/sites/{name}"
    changed = service.send("PATCH", path, {"name": "أخرى", "policy": {"max_comment_length": 10}})
    assert (changed.json["name"], changed.json["locale"]) == ("أخرى", "ar")
    assert changed.json["policy"] == made.json["policy"] | {"max_comment_length": 10}
    assert changed.json["policy"]["rate_limits"] is False
    assert changed.json["notify"] == made.json["notify"], "an untouched field stays"
    answers = [
        made,
        changed,
        service.get(path, ADMIN),
        service.get("/api/v1/sites", ADMIN),
        service.send("POST", "/api/v1/sites", fields),
    ]
    assert answers[-1].status == 409
    assert service.send("PATCH", path, {"notify": ["other.private@x.example"]}).json["notify"] == ["o•••@x•••.example"]
    assert not any("private" in answer.text for answer in answers)
    too_long = service.post(
        f"{path}/comments", {"author": "x", "email": "a@b.example", "comment": "x" * 11, "thread": "1"}
    )
    assert too_long.errors == {"comment": "too_long"}
    assert service.send("DELETE", path).status == 204
    assert {service.get(path, ADMIN).status, service.send("DELETE", path).status} == {404}


def test_a_deleted_site_takes_everything_with_it(service: Service, site: str, receiver: Receiver) -> None:
    comment = service.comment(site)["id"]
    service.decide(comment, "approve")
    endpoint(service, site, url=receiver.url)
    assert service.send("DELETE", f"/api/v1/sites/{site}").status == 204
    assert service.get(f"/api/v1/comments/{comment}", ADMIN).status == 404
    assert (
        service.send("POST", "/api/v1/sites", {"id": site, "name": "again", "policy": {"rate_limits": False}}).status
        == 201
    )
    assert service.get(f"/api/v1/comments?site={site}", ADMIN).json["total"] == 0
    assert service.get(f"/api/v1/sites/{site}/endpoints", ADMIN).json["items"] == []
    assert service.get(f"/api/v1/sites/{site}/threads/41/comments").json["items"] == []
    again = service.comment(site)["id"]
    assert list(service.decide(again, "approve").json["delivery"].values()) in (["none"], ["queued"])
    assert [d["kind"] for d in service.one(again)["deliveries"]] == ["mail"], "the old endpoint is gone for good"


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"id": "Not A Slug"}, "id"), ({"id": ""}, "id"), ({"id": "-x"}, "id"), ({"id": "x" * 64}, "id"), ({"id": "عربي"}, "id"), ({"id": "x\n"}, "id"),
        ({"name": ""}, "name"), ({"name": "x" * 201}, "name"), ({"origins": ["news.example"]}, "origins.0"), ({"origins": ["https://a.example", "ftp://a.example"]}, "origins.1"),
        ({"origins": ["https://a.example/path"]}, "origins.0"), ({"origins": ["https://u@a.example"]}, "origins.0"), ({"origins": ["*"]}, "origins.0"),
        ({"origins": ["https://a.example:99999"]}, "origins.0"), ({"origins": "https://a.example"}, "origins"), ({"locale": "arabic language"}, "locale"), ({"locale": ""}, "locale"),
        ({"thread_url_template": "https://a.example/"}, "thread_url_template"), ({"thread_url_template": "javascript:{thread}"}, "thread_url_template"),
        ({"notify": ["nobody"]}, "notify.0"), ({"notify": ["a@b.example", "a b@c.example"]}, "notify.1"), ({"notify_mode": "often"}, "notify_mode"),
        ({"policy": {"mode": "yes"}}, "policy.mode"), ({"policy": {"colour": 1}}, "policy.colour"), ({"policy": {"max_comment_length": 0}}, "policy.max_comment_length"),
        ({"colour": "red"}, "colour"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("change", [False, True])
def test_a_wrong_site_names_its_field(
    service: Service, site: str, fields: dict[str, Any], wrong: str, change: bool
) -> None:
    if change:
        answer = service.send("PATCH", f"/api/v1/sites/{site}", fields)
    else:
        answer = service.send("POST", "/api/v1/sites", {"id": f"w-{uuid.uuid4().hex[:8]}", "name": "x"} | fields)
    assert answer.status == 422, answer.text
    assert list(answer.errors) == [wrong]
    assert answer.headers["content-type"].startswith("application/problem+json")


# endpoints


def test_a_secret_is_shown_only_when_it_is_made(service: Service, site: str) -> None:
    made = endpoint(service, site, description="وصف")
    assert made["secret"].startswith("whsec_")
    assert (made["events"], made["include_email"], made["enabled"]) == (["comment.approved"], False, True)
    path = f"/api/v1/sites/{site}/endpoints/{made['id']}"
    without = {k: v for k, v in made.items() if k != "secret"}
    assert service.get(path, ADMIN).json == without
    assert service.get(path.rpartition("/")[0], ADMIN).json == {"items": [without]}
    changed = service.send("PATCH", path, {"events": ["comment.spam", "comment.spam"], "description": "x"})
    assert changed.json == without | {"events": ["comment.spam"], "description": "x"}
    assert service.send("DELETE", path).status == 204
    assert {
        service.get(path, ADMIN).status,
        service.send("DELETE", path).status,
        service.send("PATCH", path, {}).status,
    } == {404}


def test_another_sites_endpoint_is_not_found(service: Service, site: str) -> None:
    made = endpoint(service, site)
    assert service.get(f"/api/v1/sites/{service.site()}/endpoints/{made['id']}", ADMIN).status == 404


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [({"url": "ftp://a.example"}, "url"), ({"url": "https://"}, "url"), ({"url": "https://u:p@a.example/"}, "url"), ({"url": "x" * 2001}, "url"), ({"url": None}, "url"),
     ({"events": []}, "events"), ({"events": ["comment.loved"]}, "events.0"), ({"secret": "whsec_x"}, "secret"), ({"include_email": "yes"}, "include_email")],
)  # fmt: skip
def test_a_wrong_endpoint_names_its_field(service: Service, site: str, fields: dict[str, Any], wrong: str) -> None:
    answer = service.send("POST", f"/api/v1/sites/{site}/endpoints", {"url": "https://hooks.example/"} | fields)
    assert (answer.status, list(answer.errors)) == (422, [wrong])


def test_an_endpoint_gets_what_it_asked_for_and_the_address_only_with_include_email(
    service: Service, site: str
) -> None:
    approvals, rejections, trusted = Receiver(), Receiver(), Receiver()
    endpoint(service, site, url=approvals.url)
    endpoint(service, site, url=rejections.url, events=["comment.rejected"])
    endpoint(service, site, url=trusted.url, events=["comment.approved", "comment.rejected"], include_email=True)
    comment = service.comment(site, email="trusted@example.net")["id"]
    service.decide(comment, "approve")
    service.decide(comment, "reject")
    assert json.loads(approvals.next()[1])["type"] == "comment.approved"
    assert json.loads(rejections.next()[1])["type"] == "comment.rejected"
    both = [json.loads(trusted.next()[1]) for _ in range(2)]
    assert sorted(event["type"] for event in both) == ["comment.approved", "comment.rejected"]
    assert {event["data"]["comment"]["author"]["email"] for event in both} == {"trusted@example.net"}
    assert (approvals.count, rejections.count) == (1, 1)
    for receiver in (approvals, rejections, trusted):
        receiver.close()


def test_only_an_endpoint_that_was_created_to_get_addresses_gets_them(service: Service, site: str) -> None:
    for created, later, status in ((False, True, 422), (True, False, 200)):
        made = endpoint(service, site, include_email=created)
        path = f"/api/v1/sites/{site}/endpoints/{made['id']}"
        assert service.send("PATCH", path, {"include_email": later}).status == status
        assert service.send("GET", path).json["include_email"] is False


def test_a_token_outlives_a_site_of_its(service: Service, site: str) -> None:
    gone = service.site()
    admin = token(service, "admin", sites=[gone, site])
    service.send("DELETE", f"/api/v1/sites/{gone}")
    assert [item["id"] for item in service.get("/api/v1/sites", admin).json["items"]] == [site]


def test_a_disabled_endpoint_is_not_told(service: Service, site: str, receiver: Receiver) -> None:
    made = endpoint(service, site, url=receiver.url)
    path = f"/api/v1/sites/{site}/endpoints/{made['id']}"
    assert service.send("PATCH", path, {"enabled": False}).json["enabled"] is False
    enabled = Receiver()
    endpoint(service, site, url=enabled.url)
    comment = service.comment(site)["id"]
    service.decide(comment, "approve")
    assert json.loads(enabled.next()[1])["data"]["comment"]["id"] == comment
    assert receiver.count == 0
    enabled.close()
