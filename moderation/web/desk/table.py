"""Figures and logs as CSV (RFC 4180), for spreadsheets."""

import csv
import io
from collections.abc import Iterable

from aiohttp import web

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a cell that begins so is run by spreadsheets


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdigit()


def lines(rows: Iterable[Iterable[object]]) -> bytes:
    """As UTF-8."""
    out = io.StringIO(newline="")
    csv.writer(out).writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue().encode()


def headers(name: str) -> dict[str, str]:
    """A download of that name. (The mark at the beginning tells spreadsheets that it is UTF-8.)"""
    return {"Content-Type": "text/csv; charset=utf-8", "Content-Disposition": f'attachment; filename="{name}.csv"'}


MARK = b"\xef\xbb\xbf"


def download(name: str, rows: Iterable[Iterable[object]]) -> web.Response:
    """The whole at once."""
    return web.Response(body=MARK + lines(rows), headers=headers(name))
