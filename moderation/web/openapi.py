"""The OpenAPI 3.1 description, made of the route table and the pydantic models, and a page to read it offline."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from moderation import __version__
from moderation import events as sent
from moderation.errors import NotFound
from moderation.web import pages
from moderation.web import schemas as s
from moderation.web.answer import json

if TYPE_CHECKING:
    from moderation.web.routes import Route

DESCRIPTION = web.AppKey("DESCRIPTION", dict[str, Any])
_FORMS = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data")
_WORDS = {
    200: "OK", 201: "Created", 202: "Taken; it is on disk", 204: "Done", 303: "Back to the page (forms)", 304: "Not changed",
    400: "Unreadable", 401: "No or bad token", 403: "Not allowed", 404: "No such thing", 409: "Conflict", 413: "Over 1 MiB",
    415: "Other content type", 422: "Field errors", 429: "Too many", 503: "Redis can't store it now",
}  # fmt: skip
# what a path names ← the operation that makes it, its status, and where it stands in the answer
_MADE = (
    ("site", "/api/v1/sites", "201", "id"),
    ("id", "/api/v1/sites/{site}/comments", "202", "id"),
    ("thread", "/api/v1/sites/{site}/comments", "202", "thread"),
    ("endpoint", "/api/v1/sites/{site}/endpoints", "201", "id"),
    ("delivery", "/api/v1/sites/{site}/endpoints/{endpoint}/ping", "202", "delivery"),
    ("job", "/api/v1/sites/{site}/endpoints/{endpoint}/replay", "202", "id"),
    ("token", "/api/v1/tokens", "201", "id"),
    ("recipient", "/api/v1/mail/suppressions", "201", "recipient"),
)
_HEADERS = {303: ("Location", "string"), 429: ("Retry-After", "integer"), 503: ("Retry-After", "integer")}


def _failures(route: "Route") -> list[int]:
    failures = [400, 503, *route.refuses]
    if "{" in route.path:
        failures.append(404)
    if route.role:
        failures += [401, 403]
    if route.body:
        failures += [413, 415, 422]
    if route.query:
        failures.append(422)
    if route.form:
        failures += [403, 409, 429]
    if "decision" in route.path or "undo" in route.path or route.path.endswith("/sites"):
        failures.append(409)
    return sorted(set(failures))


def _operation(route: "Route", refs: dict[Any, Any]) -> dict[str, Any]:
    name = route.handler.__name__
    module = route.handler.__module__.rsplit(".", 1)[-1]
    wp = "_wordpress" if "wp-comments" in route.path else "_page" if route.answers == {200: "text/html"} else ""
    operation: dict[str, Any] = {
        "operationId": f"{module}_{name}{wp}",
        "summary": (route.handler.__doc__ or name).strip().splitlines()[0],
        "tags": [module],
        "parameters": [
            {"name": part, "in": "path", "required": True, "schema": {"type": "string"}}
            for part in re.findall(r"{(\w+)}", route.path)
        ],
        "responses": {},
    }
    if route.query:
        schema = route.query.model_json_schema(ref_template="#/components/schemas/{model}")
        for key, value in schema["properties"].items():
            required = key in schema.get("required", ())
            operation["parameters"].append({"name": key, "in": "query", "required": required, "schema": value})
    if route.body:
        kinds = _FORMS if route.form else _FORMS[:1]
        operation["requestBody"] = {
            "required": not route.bare,
            "content": {kind: {"schema": refs[route.body, "validation"]} for kind in kinds},
        }
    if route.form:
        operation["parameters"].append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "schema": {"type": "string", "maxLength": 255},
            }
        )
    if route.role:
        operation["security"] = [{"bearer": []}]
        operation["description"] = f"Needs the right `{route.role.value}`."
    for status, model in sorted(route.answers.items()):
        operation["responses"][str(status)] = _answer(route, status, model, "application/json", refs)
    for status in _failures(route):
        if str(status) not in operation["responses"]:
            operation["responses"][str(status)] = _answer(route, status, s.Problem, "application/problem+json", refs)
    return operation


def _answer(
    route: "Route", status: int, model: type[BaseModel] | str | None, kind: str, refs: dict[Any, Any]
) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": _WORDS[status]}
    if isinstance(model, str):
        answer["content"] = {model: {"schema": {"type": "string"}}}
    elif model:
        answer["content"] = {kind: {"schema": refs[model, "serialization"]}}
        if route.html:
            answer["content"]["text/html"] = {"schema": {"type": "string"}}
    if status in _HEADERS:
        name, kind_of = _HEADERS[status]
        answer["headers"] = {name: {"schema": {"type": kind_of}}}
    return answer


def describe(routes: Iterable["Route"]) -> dict[str, Any]:
    """The whole description."""
    routes = [route for route in routes if route.documented]
    wanted: dict[tuple[type[BaseModel], Any], None] = {(s.Problem, "serialization"): None}
    for route in routes:
        if route.body:
            wanted[route.body, "validation"] = None
        for model in route.answers.values():
            if model and not isinstance(model, str):
                wanted[model, "serialization"] = None
        if route.query:
            wanted[route.query, "validation"] = None
    wanted |= {(sent.model_of(name), "serialization"): None for name in sent.DESCRIPTIONS}
    refs, definitions = models_json_schema(list(wanted), ref_template="#/components/schemas/{model}")
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, refs)
    for made in _MADE:
        _link(paths, *made)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Comment moderation",
            "version": __version__,
            "description": "Submit, review, decide, be told, read.",
        },
        "paths": paths,
        "webhooks": _webhooks(refs),
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _link(paths: dict[str, dict[str, Any]], name: str, maker: str, status: str, field: str) -> None:
    """Where to go on with what was made (OpenAPI links)."""
    links = paths[maker]["post"]["responses"][status].setdefault("links", {})
    known = set(re.findall(r"{(\w+)}", maker))
    for path, operations in paths.items():
        wanted = set(re.findall(r"{(\w+)}", path))
        if path.startswith("/api/") and name in wanted and wanted <= known | {name}:
            values = {part: f"$request.path.{part}" for part in wanted & known} | {name: f"$response.body#/{field}"}
            for operation in operations.values():
                links[operation["operationId"]] = {"operationId": operation["operationId"], "parameters": values}


async def document(request: web.Request) -> web.Response:
    """This description."""
    return json(request.app[DESCRIPTION])


async def events(_: web.Request) -> web.Response:
    """Every event that is sent: its meaning, its JSON Schema, a sample."""
    return json({"items": [sent.described(name) for name in sent.DESCRIPTIONS]})


async def event(request: web.Request) -> web.Response:
    """One event that is sent."""
    name = request.match_info["type"]
    if name not in sent.DESCRIPTIONS:
        raise NotFound()
    return json(sent.described(name))


def _webhooks(refs: dict[Any, Any]) -> dict[str, Any]:
    """The events as OpenAPI 3.1 describes them."""
    return {
        name: {
            "post": {
                "operationId": "event_" + name.replace(".", "_"),
                "summary": meaning,
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": refs[sent.model_of(name), "serialization"],
                            "example": sent.sample(name),
                        }
                    }
                },
                "responses": {
                    "2XX": {"description": 'Received; `{"external_id": …}` may tell the site\'s id of the comment'}
                },
            }
        }
        for name, meaning in sent.DESCRIPTIONS.items()
    }


async def page(request: web.Request) -> web.Response:
    """The description as a page: no script, no outside request."""
    return pages.page(request, "docs.html", "en", api=request.app[DESCRIPTION])
