"""Stacked bars as numbers for an SVG: the template draws them, and a table says the same."""

from dataclasses import dataclass

ORDER = ("approved", "pending", "rejected", "spam")  # from the bottom of a bar to its top
WIDTH, HEIGHT = 720.0, 180.0
_GAP = 0.2  # of a bar's place


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a bar, in the units of the picture."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Bars:
    """All parts, and what the full height stands for."""

    parts: list[Part]
    top: int
    step: float  # from one bar to the next


def _round_top(most: int) -> int:
    """1, 2 or 5 times a power of ten, no less than the most."""
    if most <= 1:
        return 1
    power = int("1" + "0" * (len(str(most)) - 1))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= most)


def stacked(rows: list[list[int]]) -> Bars:
    """Rows in the order of ORDER, each with one number per bar."""
    count = len(rows[0])
    top, step = _round_top(max(map(sum, zip(*rows, strict=True)))), WIDTH / count
    parts = []
    for index in range(count):
        under = 0.0
        for kind, row in zip(ORDER, rows, strict=True):
            height = row[index] * HEIGHT / top
            if height:
                x, y = index * step + step * _GAP / 2, HEIGHT - under - height
                parts.append(Part(kind, round(x, 2), round(y, 2), round(step * (1 - _GAP), 2), round(height, 2)))
            under += height
    return Bars(parts, top, round(step, 2))
