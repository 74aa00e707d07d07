"""A folder of DICOM to its blur as a folder of DICOM: dlp-lab beside the scripts that people write.

    python -m benchmarks.end_to_end [SLICES] [--short]

A CT series of SLICES x 512 x 512 (default 400) with headers as scanners write them, in memory where the system has a
place for that, sigma 1.5 mm. Contestants:

* dlp-lab: the job as a warm worker runs it: read, `3dblur`, write, with the record of the job; and with HDF5 beside it;
* pydicom + scipy: the plain script, no checks, no references to the source; and with gzip HDF5 by h5py beside it;
* SimpleITK: series reader, recursive Gaussian (an approximation), slice writer;
* MONAI: reader, GaussianSmooth, NIfTI writer; it has no writer of DICOM series. Takes part after `make bench`;
* the floor: reading all files and writing as many bytes.

Then the steps of dlp-lab as shares of the floor, and how soon a cold `dlp-lab run` is at work.
"""

from __future__ import annotations

import math
import shutil
import statistics
import sys
from pathlib import Path

import numpy as np
import pydicom

from benchmarks.cold_start import COLD_ROUNDS, cold_start_table
from benchmarks.contest import PEERS_PYTHON, Asked, Contestant, Outcome, hold, scratch
from benchmarks.scanner_series import write_scanner_series

SIGMA_MM = 1.5
ROUNDS = 5
OURS, FLOOR = "dlp-lab", "floor: the bytes"
CONTESTANTS = (
    Contestant(FLOOR, "benchmarks.peers.copy_bytes:copy"),
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


def print_steps(outcome: Outcome) -> None:
    """What each step of the job takes, as a share of the floor of reading and writing."""
    floor_s = outcome.measured[FLOOR].median("wall_s")
    told = outcome.measured[OURS].told
    print(f"\nsteps of {OURS}, beside the floor of {floor_s * 1e3:.0f} ms for all input and output")
    for step in told[0]:
        seconds = statistics.median(steps.get(step, 0.0) for steps in told)
        print(f"  {step:<10} {seconds * 1e3:8.1f} ms   {seconds / floor_s:5.2f} x the floor")


def main() -> int:
    """Measure, print the tables, keep the rounds."""
    asked = Asked.on_the_command_line(__doc__, 400)
    with scratch() as folder:
        outcome = compare(folder, asked.slices, asked.rounds(ROUNDS))
        outcome.print_table()
        print_steps(outcome)
        cold_start_table(folder / "cold", asked.rounds(COLD_ROUNDS)).print().write(asked.results / "cold_start.json")
    outcome.write(asked.results / "end_to_end.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
