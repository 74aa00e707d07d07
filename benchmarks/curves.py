"""How cost grows with the size of the volume, sigma, labels, waiting jobs and workers, beside the law that is expected.

    python -m benchmarks.curves [NAME ...] [--short]

Prints what was measured and whether the law holds; tables and `curves.png` are kept in build/bench. A law that fails is
a finding, and no failure of this command.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.contest import Asked, scratch
from benchmarks.growth import classes, sigma, volume, waiting_jobs, workers
from benchmarks.growth.curve import Growth, judged
from benchmarks.growth.picture import draw

GROWTHS: dict[str, Callable[[Path, bool], Growth]] = {
    "volume": volume.measure,
    "sigma": sigma.measure,
    "classes": classes.measure,
    "queue": waiting_jobs.measure,
    "workers": workers.measure,
}
ON_DISK = ("queue",)
"""What waits for the disk is measured with one; all else in memory, where there is a place for files."""


def measured(name: str, is_short: bool) -> Growth:
    """One growth, in a folder that is gone afterwards."""
    with ExitStack() as stack:
        made = tempfile.TemporaryDirectory() if name in ON_DISK else scratch()
        return GROWTHS[name](Path(stack.enter_context(made)), is_short)


def main() -> int:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(GROWTHS))
    parser.add_argument("--short", action="store_true", help="whether it runs at all")
    given = parser.parse_args()
    if unknown := set(given.names) - set(GROWTHS):
        parser.error(f"no curve is called {', '.join(sorted(unknown))}; there are {', '.join(GROWTHS)}")
    results = Asked(0, given.short).results
    growths = []
    for name in given.names or GROWTHS:
        growths.append(measured(name, given.short))
        growths[-1].table().print().write(results / f"curves_{name}.json")
    judged(growths).print().write(results / "curves.json")
    draw(growths, results / "curves.png")
    print(f"\n{results / 'curves.png'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
