"""All measurements beside peers, one after the other, and a report of them.

    python -m benchmarks [--short] [NAME ...]

Runs each benchmark named (by default all that are listed here) in a process of its own. What contests keep in
build/bench as JSON becomes tables, `report.md`, and a picture, `ratios.png`, beside it; the others print tables of
their own. `--short` holds the contests alone, does little more than see that they run, and keeps its results apart, in
build/bench/short.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.contest import ROOT, Asked

CONTESTS = ("end_to_end", "read_write", "hdf5")
OTHERS = ("gaussian", "streaming", "compressed", "phantom_table", "segment", "segment_peers", "viewer")


def report_of(contest: dict[str, Any]) -> str:
    """A contest as a table in Markdown."""
    reference = contest["reference"]
    ours = {what: statistics.median(contest["contestants"][reference][what]) for what in ("wall_s", "cpu_s")}
    lines = [
        f"**{contest['title']}**",
        "",
        f"| | wall, ms | spread | processor, ms | peak, MiB | wall / {reference} | processor / {reference} |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, one in contest["contestants"].items():
        if not one["wall_s"]:
            lines.append(f"| {name} | {one['failure'] or 'not installed'} | | | | | |")
            continue
        wall, cpu, peak = (statistics.median(one[what]) for what in ("wall_s", "cpu_s", "peak_mib"))
        spread = f"{min(one['wall_s']) * 1e3:.1f} to {max(one['wall_s']) * 1e3:.1f}"
        ratios = f"{wall / ours['wall_s']:.2f} | {cpu / ours['cpu_s']:.2f}"
        lines.append(f"| {name} | {wall * 1e3:.1f} | {spread} | {cpu * 1e3:.1f} | {peak:.0f} | {ratios} |")
    return "\n".join(lines) + "\n"


def write_report(contests: list[dict[str, Any]], path: Path) -> None:
    """The machine, and a table for each contest, in Markdown."""
    known = contests[-1]["machine"]
    machine = ", ".join(f"{name} {value}" for name, value in known.items())
    path.write_text("\n".join([f"Measured on: {machine}.\n", *map(report_of, contests)]))


def draw_ratios(contests: list[dict[str, Any]], path: Path) -> None:
    """The processor time of each contestant as a multiple of ours, on a logarithmic axis."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        len(contests), squeeze=False, figsize=(9, 2.2 * len(contests)), sharex=True, layout="constrained"
    )
    for axis, contest in zip(axes[:, 0], contests, strict=True):
        ran = {name: one for name, one in contest["contestants"].items() if one["cpu_s"]}
        ours = statistics.median(ran[contest["reference"]]["cpu_s"])
        ratios = [statistics.median(one["cpu_s"]) / ours for one in ran.values()]
        colours = [
            "#bbbbbb" if name.startswith("floor") else "#1976d2" if name.startswith("dlp-lab") else "#e07b39"
            for name in ran
        ]
        axis.barh(list(ran), ratios, color=colours)
        axis.invert_yaxis()
        axis.set_xscale("log")
        axis.axvline(1, color="black", linewidth=0.8)
        axis.set_title(contest["title"], fontsize=9, loc="left")
        axis.tick_params(labelsize=8)
        for place, ratio in enumerate(ratios):
            axis.annotate(f" {ratio:.2g}", (ratio, place), va="center", fontsize=7)
    axes[-1, 0].set_xlabel("processor time, as a multiple of dlp-lab's", fontsize=8)
    figure.savefig(path, dpi=120)


def main() -> int:
    """Run, then report; fails when a benchmark did."""
    known = CONTESTS + OTHERS
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    parser.add_argument("--short", action="store_true")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(known):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    since, failed = time.time(), []
    for name in asked.names or (CONTESTS if asked.short else known):
        command = [sys.executable, "-m", f"benchmarks.{name}", *(["--short"] if asked.short else [])]
        if subprocess.run(command, cwd=ROOT).returncode != 0:
            failed.append(name)
    results = Asked(0, asked.short).results
    kept = sorted(path for path in results.glob("*.json") if path.stat().st_mtime >= since)
    contests = [json.loads(path.read_text()) for path in kept]
    if contests:
        write_report(contests, results / "report.md")
        draw_ratios(contests, results / "ratios.png")
        print(f"\n{results / 'report.md'}\n{results / 'ratios.png'}")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
