"""Curves as pictures: points that were measured, and lines of the laws."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.growth.curve import Growth

COLOURS = ("#1976d2", "#e07b39", "#2e7d32", "#8e24aa", "#616161")


def draw(growths: Sequence[Growth], path: Path) -> None:
    """One panel each, both axes logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter, NullFormatter

    across = min(2, len(growths))
    down = -(-len(growths) // across)
    figure, axes = pyplot.subplots(
        down, across, squeeze=False, figsize=(5.4 * across, 3.9 * down), layout="constrained"
    )
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    for axis, growth in zip(axes.flat, growths, strict=False):
        costs = [cost for curve in growth.curves for cost in curve.cost]
        for curve, colour in zip(growth.curves, COLOURS, strict=False):
            fine = np.geomspace(curve.x[0], curve.x[-1], 100).tolist()
            label = f"{curve.name}: {curve.exponent:+.2f}, law {curve.lawful_exponent:+.2f}"
            axis.plot(curve.x, curve.cost, "o", color=colour, markersize=5, label=label)
            axis.plot(fine, curve.lawful(fine), "-", color=colour, linewidth=1, alpha=0.6)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_ylim(min(costs) / 3, max(costs) * 2 * 2 ** len(growth.curves))  # flat looks flat; room for the legend
        for one in (axis.xaxis, axis.yaxis):
            one.set_major_formatter(plain)
            one.set_minor_formatter(NullFormatter())
        axis.set_xticks(sorted({x for curve in growth.curves for x in curve.x}))
        axis.set_title(growth.title, fontsize=9)
        axis.set_xlabel(growth.over, fontsize=9)
        axis.set_ylabel(growth.cost, fontsize=9)
        axis.tick_params(labelsize=8)
        axis.grid(which="major", linewidth=0.3)
        axis.legend(fontsize=7, loc="upper left")
    for axis in axes.flat[len(growths) :]:
        axis.axis("off")
    if len(growths) < axes.size:
        text = "points: measured\nlines: the law\nnumbers: the exponents of both"
        axes.flat[-1].text(0.1, 0.5, text, fontsize=10, transform=axes.flat[-1].transAxes)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)
    pyplot.close(figure)
