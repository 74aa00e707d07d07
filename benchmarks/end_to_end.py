"""A folder of DICOM to its blur as a folder of DICOM: dlp-lab beside the scripts that people write.

    python -m benchmarks.end_to_end [SLICES] [--short]

A CT series of SLICES x 512 x 512 (default 400) with headers as scanners write them, in memory where the system has a
place for that, sigma 1.5 mm. Contestants:

* dlp-lab: the job as a warm worker runs it: read, `3dblur`, write, with the record of the job; and with HDF5 beside it;
* pydicom + scipy: the plain script, no checks, no references to the source; and with gzip HDF5 by h5py beside it;
* SimpleITK: series reader, recursive Gaussian (an approximation), slice writer;
* MONAI: reader, GaussianSmooth, NIfTI writer; it has no writer of DICOM series. Takes part after `make bench`;
* the floor: reading all files and writing as many bytes, on one thread and on two.

Then the steps of dlp-lab as shares of the floor, as a table and in build/bench/end_to_end_steps.png, and how soon a
cold `dlp-lab run` is at work.
"""

from __future__ import annotations

import math
import shutil
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pydicom

from benchmarks.cold_start import COLD_ROUNDS, cold_start_table
from benchmarks.contest import PEERS_PYTHON, Asked, Contestant, Outcome, hold, scratch
from benchmarks.job_profile import CPU, REST, WALL
from benchmarks.picture import FLOOR as FLOOR_COLOUR
from benchmarks.scanner_series import write_scanner_series
from benchmarks.tables import Cell, Table

SIGMA_MM = 1.5
ROUNDS = 5
OURS, FLOOR, FLOOR_ON_TWO = "dlp-lab", "floor: the bytes", "floor, on two threads"
LEFT_TO_GAIN = {
    "headers": "Python's, for each file: its path, its fields, its place among the others",
    "reading": "the system's copy of each file into memory that is there",
    "Gaussian": "multiply-adds, and the windows' way to the memory and back between slabs",
    "measuring": "a second look at the result, and at the source",
    "writing": "new pages of the files, and the header of each, which Python puts together",
    "flushing": "nothing in memory; on a disk, its own time",
    "record": "Python's, for each file that the account names",
    REST: "Python's, between the steps",
}
"""Of each step: what it consists of, where it cannot vanish."""
CONTESTANTS = (
    Contestant(FLOOR, "benchmarks.peers.copy_bytes:copy"),
    Contestant(FLOOR_ON_TWO, "benchmarks.peers.copy_bytes:copy_on_two_threads"),
    Contestant(OURS, "benchmarks.blur_job:blur"),
    Contestant("pydicom + scipy", "benchmarks.peers.blur_with_scipy:blur"),
    Contestant("SimpleITK", "benchmarks.peers.blur_with_simpleitk:blur"),
    Contestant("dlp-lab and HDF5", "benchmarks.blur_job:blur_and_keep_hdf5"),
    Contestant("pydicom + h5py + scipy", "benchmarks.peers.blur_with_scipy:blur_and_keep_hdf5"),
    Contestant("MONAI, to NIfTI", "benchmarks.peers.blur_with_monai:blur", PEERS_PYTHON),
)


def compare(folder: Path, slices: int, rounds: int) -> Outcome:
    """All contestants on one series."""
    source, target = folder / "source", folder / "target"
    write_scanner_series(source, slices)

    def emptied(_: Contestant) -> list[str]:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        return [str(source), str(target), str(SIGMA_MM)]

    def check(contestant: Contestant) -> None:
        written = sorted(target.rglob("*.dcm"))
        if "NIfTI" not in contestant.name and len(written) != slices:
            raise AssertionError(f"{contestant.name} wrote {len(written)} slices, not {slices}")
        if contestant.name == OURS:
            check_against_scipy(source, written)

    return hold(
        f"{slices} x 512 x 512 CT, DICOM to DICOM, sigma {SIGMA_MM} mm",
        CONTESTANTS,
        rounds,
        reference=OURS,
        arguments=emptied,
        check=check,
    )


def check_against_scipy(source: Path, written: list[Path]) -> None:
    """That the middle of what was written is scipy's Gaussian of what was read, rounded."""
    from scipy import ndimage

    slices = sorted(map(pydicom.dcmread, source.iterdir()), key=lambda ds: ds.ImagePositionPatient[2])
    spacing_kji_mm = (
        math.dist(slices[1].ImagePositionPatient, slices[0].ImagePositionPatient),
        *map(float, slices[0].PixelSpacing),
    )
    values = np.stack([ds.pixel_array for ds in slices]).astype(np.float32)
    smooth = ndimage.gaussian_filter(values, [SIGMA_MM / mm for mm in spacing_kji_mm], mode="nearest")
    middle = len(slices) // 2
    place = slices[middle].ImagePositionPatient
    mine = next(ds for ds in map(pydicom.dcmread, written) if ds.ImagePositionPatient == place)
    ours = mine.pixel_array * float(mine.RescaleSlope) + float(mine.RescaleIntercept)
    theirs = smooth[middle] * float(slices[0].RescaleSlope) + float(slices[0].RescaleIntercept)
    if np.abs(ours - theirs).max() > 0.51:
        raise AssertionError(f"a voxel is {np.abs(ours - theirs).max()} HU from scipy's")


def steps_table(outcome: Outcome) -> Table:
    """What each step of the job takes, as a share of the floor of reading and writing on one thread."""
    floor_s = outcome.measured[FLOOR].median("wall_s")
    rows: list[Sequence[Cell]] = []
    for step, left in LEFT_TO_GAIN.items():
        wall_s, cpu_s = (_step_s(outcome, kind + step) for kind in (WALL, CPU))
        rows.append((step, wall_s * 1e3, wall_s / floor_s, cpu_s * 1e3, cpu_s / floor_s, left))
    sums = [sum(cast(float, row[column]) for row in rows) for column in range(1, 5)]
    return Table(
        f"Steps of {OURS}, beside the floor of {floor_s * 1e3:.0f} ms on one thread",
        ("", "wall, ms", "wall, floors", "processor, ms", "processor, floors", "what is left"),
        [*rows, ("all", *sums, "")],
        "Wall time of a step is that between its beginning and its end; two threads share most steps.",
    )


def _step_s(outcome: Outcome, name: str) -> float:
    return statistics.median(told[name] for told in outcome.measured[OURS].told)


def draw_steps(outcome: Outcome, path: Path) -> None:
    """The steps on one another, beside the floors."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    floors = {FLOOR: "floor,\none thread", FLOOR_ON_TWO: "floor,\ntwo threads"}
    for name, label in floors.items():
        axes.bar(label, outcome.measured[name].median("wall_s") * 1e3, color=FLOOR_COLOUR)
    bottoms = {"wall": 0.0, "processor": 0.0}
    for number, step in enumerate(LEFT_TO_GAIN):
        heights = {"wall": _step_s(outcome, WALL + step) * 1e3, "processor": _step_s(outcome, CPU + step) * 1e3}
        axes.bar(list(heights), list(heights.values()), bottom=list(bottoms.values()), color=f"C{number}", label=step)
        bottoms = {kind: bottom + heights[kind] for kind, bottom in bottoms.items()}
    axes.axhline(2.5 * outcome.measured[FLOOR].median("wall_s") * 1e3, color="black", linewidth=0.8, linestyle=":")
    axes.annotate(" 2.5 floors", (-0.4, 2.5 * outcome.measured[FLOOR].median("wall_s") * 1e3), va="bottom", fontsize=8)
    axes.set_ylabel("ms")
    axes.set_title(outcome.title, fontsize=9, loc="left")
    axes.legend(*(reversed(part) for part in axes.get_legend_handles_labels()), fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def main() -> int:
    """Measure, print the tables, keep the rounds."""
    asked = Asked.on_the_command_line(__doc__, 400)
    with scratch() as folder:
        outcome = compare(folder, asked.slices, asked.rounds(ROUNDS))
        outcome.print_table()
        if outcome.measured[OURS].told:
            steps_table(outcome).print().write(asked.results / "end_to_end_steps.json")
            draw_steps(outcome, asked.results / "end_to_end_steps.png")
        cold_start_table(folder / "cold", asked.rounds(COLD_ROUNDS)).print().write(asked.results / "cold_start.json")
    outcome.write(asked.results / "end_to_end.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
