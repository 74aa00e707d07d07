"""How a cost grows, measured, beside the law by which it should.

A law is a sum of terms whose factors are not known: the least squares of what is measured, relative to it and none
below zero, give them. So it says how the cost grows, and never how large it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from benchmarks.tables import Cell, Table

EXPONENT_OFF = 0.15
"""How far the exponent that was measured may lie from that of the law."""
FACTOR_OFF = 1.5
"""How many times as much as the law says a single point may be, or it as much as the point."""


@dataclass(frozen=True)
class Law:
    """How a cost should grow.

    Attributes:
        text: In words.
        terms: Of one x, the terms, each of which counts so and so many times.
    """

    text: str
    terms: Callable[[float], Sequence[float]]


FLAT = Law("flat", lambda x: (1.0,))
LINEAR = Law("a + b n", lambda x: (1.0, x))


@dataclass(frozen=True)
class Curve:
    """What was measured of one.

    Attributes:
        name: Of whoever it is about.
        points: x, above 0 and ascending, and cost.
        law: How the cost should grow.
    """

    name: str
    points: Sequence[tuple[float, float]]
    law: Law

    @property
    def x(self) -> list[float]:
        return [x for x, _ in self.points]

    @property
    def cost(self) -> list[float]:
        return [cost for _, cost in self.points]

    def lawful(self, x: Sequence[float]) -> list[float]:
        """What the law says, with the factors that suit the points best."""
        cost = np.asarray(self.cost)
        terms = np.asarray([self.law.terms(x) for x in self.x])
        factors, _ = nnls(terms / cost[:, None], np.ones(len(cost)))
        return [float(np.dot(self.law.terms(each), factors)) for each in x]

    @property
    def exponent(self) -> float:
        """The slope of the line through the points, both axes logarithmic."""
        return _slope(self.x, self.cost)

    @property
    def lawful_exponent(self) -> float:
        """The same of the law, at the same x."""
        return _slope(self.x, self.lawful(self.x))

    @property
    def farthest(self) -> float:
        """How many times as much as the law says, or the law as the point, at the point where that is most."""
        ratios = np.asarray(self.cost) / self.lawful(self.x)
        return float(max(ratios.max(), 1 / ratios.min()))

    @property
    def verdict(self) -> str:
        """Whether the law holds; if not, which way it fails."""
        off = self.exponent - self.lawful_exponent
        if off > EXPONENT_OFF:
            return "GROWS FASTER"
        if off < -EXPONENT_OFF:
            return "grows slower"
        return "holds" if self.farthest <= FACTOR_OFF else "BENDS"


@dataclass(frozen=True)
class Growth:
    """Curves over the same.

    Attributes:
        title: What grows over what, on how much.
        over: The label of the axis of x.
        cost: The label of the axis of costs, with the unit.
        curves: At least one.
    """

    title: str
    over: str
    cost: str
    curves: Sequence[Curve]

    def table(self) -> Table:
        """Points, and in brackets what the law says."""
        every_x = sorted({x for curve in self.curves for x in curve.x})
        rows: list[Sequence[Cell]] = []
        for x in every_x:
            cells: list[Cell] = [f"{x:g}"]
            for curve in self.curves:
                found = dict(curve.points).get(x)
                cells.append(None if found is None else f"{found:.3g} ({curve.lawful([x])[0]:.3g})")
            rows.append(cells)
        columns = (self.over, *(curve.name for curve in self.curves))
        return Table(f"{self.title}: {self.cost}", columns, rows, "In brackets what the law says.")


def judged(growths: Sequence[Growth]) -> Table:
    """All curves beside their laws."""
    rows = [
        (
            f"{growth.over}: {curve.name}",
            curve.law.text,
            f"{curve.x[0]:g} to {curve.x[-1]:g}",
            f"{curve.exponent:+.2f}",
            f"{curve.lawful_exponent:+.2f}",
            curve.farthest,
            curve.verdict,
        )
        for growth in growths
        for curve in growth.curves
    ]
    columns = ("cost over", "law", "range", "exponent", "of the law", "farthest point, x", "the law")
    note = (
        f"It holds where the exponents differ by no more than {EXPONENT_OFF:g} and no point is more than "
        f"{FACTOR_OFF:g} times as far up or down as it says."
    )
    return Table("How cost grows, beside the law by which it should", columns, rows, note)


def _slope(x: Sequence[float], y: Sequence[float]) -> float:
    return float(np.polyfit(np.log(x), np.log(y), 1)[0]) if len(x) > 1 else 0.0
