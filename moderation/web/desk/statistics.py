"""How a site fares, in pictures, in a table, and for spreadsheets."""

from typing import Any

from aiohttp import web

from moderation.public import iso
from moderation.store import figures
from moderation.store.figures import Figures
from moderation.web.desk import cards, chart, frame, table
from moderation.web.desk.frame import Desk
from moderation.web.finding import visible_sites

SPANS = (7, 30, 90)


async def _asked(desk: Desk) -> tuple[Figures, list[str], str, int]:
    """Raises NotFound for a site that they may not see."""
    query = desk.request.query
    days = int(query["days"]) if query.get("days") in {str(span) for span in SPANS} else 30
    site = query.get("site", "")[:63]
    names = await visible_sites(desk.store, desk.moderator, site or None)
    return await figures.of(desk.store, names, days), await visible_sites(desk.store, desk.moderator, None), site, days


async def page(request: web.Request) -> web.Response:
    """The last 7, 30 or 90 days."""
    desk = await frame.sit(request)
    found, names, site, days = await _asked(desk)
    return desk.page(
        "statistics.html", f=found, names=names, site=site, days=days, spans=SPANS, rules=cards.RULES,
        bars=chart.stacked([found.by_day[status] for status in chart.ORDER]), limit=figures.LOOKED_AT_MAX,
        people=sorted(found.by_moderator.items(), key=lambda item: (-item[1].total(), item[0])),
        spoke=sorted(found.rules.items(), key=lambda item: (-item[1].hits, item[0])),
    )  # fmt: skip


async def download(request: web.Request) -> web.Response:
    """The same figures, one fact a row."""
    desk = await frame.sit(request)
    found, _, site, days = await _asked(desk)
    return table.download(f"statistics-{site or 'all'}-{days}", [("what", "of", "value"), *_rows(found)])


def _rows(found: Figures) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for index, day in enumerate(found.days):
        rows += [(iso(day)[:10], status, counts[index]) for status, counts in found.by_day.items()]
    rows += [("seconds to decision", "median", found.median_seconds), ("seconds to decision", "p95", found.p95_seconds)]
    rows += [("waiting", age, count) for age, count in found.waiting_by_age.items()]
    for name, counts_of in found.by_moderator.items():
        rows += [(f"decided by {name}", status, count) for status, count in counts_of.items()]
    for name, rule in found.rules.items():
        rows += [(f"rule {name}", "hits", rule.hits), (f"rule {name}", "overturned", rule.overturned)]
    for one in found.receivers:
        rows += [(f"endpoint {one['id']}", state, one[state]) for state in ("queued", "delivered", "dead", "held")]
    return rows
