"""The contests of a run as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.contest import Outcome

OURS, FLOOR, PEER = "#1976d2", "#bbbbbb", "#e07b39"


def draw_ratios(contests: Sequence[Outcome], path: Path) -> None:
    """The processor time of each contestant as a multiple of ours, on a logarithmic axis."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        len(contests), squeeze=False, figsize=(9, 2.2 * len(contests)), sharex=True, layout="constrained"
    )
    for axis, contest in zip(axes[:, 0], contests, strict=True):
        ratios = {name: contest.ratio(name, "cpu_s") for name, one in contest.measured.items() if one.cpu_s}
        colours = [FLOOR if "floor" in name else OURS if name.startswith("dlp-lab") else PEER for name in ratios]
        axis.barh(list(ratios), list(ratios.values()), color=colours)
        axis.invert_yaxis()
        axis.set_xscale("log")
        axis.axvline(1, color="black", linewidth=0.8)
        axis.set_title(contest.title, fontsize=9, loc="left")
        axis.tick_params(labelsize=8)
        for place, ratio in enumerate(ratios.values()):
            axis.annotate(f" {ratio:.2g}", (ratio, place), va="center", fontsize=7)
    axes[-1, 0].set_xlabel("processor time, as a multiple of dlp-lab's", fontsize=8)
    figure.savefig(path, dpi=100)
    pyplot.close(figure)
