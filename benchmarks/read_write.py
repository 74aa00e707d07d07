"""Reading a series into a volume and writing a derived series, beside peers and the floor.

    python -m benchmarks.read_write [SLICES] [--short]

A CT series of SLICES x 512 x 512 int16 (default 400) with headers as scanners write them, in memory where the system
has a place for that.

* Reading: from a folder to a volume in Hounsfield units, slices in order. The floor is reading the bytes of all files
  into one fresh array. dicomsdl takes part where it is installed (`pip install dlp-lab[bench]`), MONAI after
  `make bench`.
* Reading one enhanced multi-frame file of as many frames: the same, beside pydicom and SimpleITK, which leave frames in
  the order of the file.
* Writing: the floor is writing the bytes of the source's files into as many new ones.
"""

from __future__ import annotations

import shutil
import sys
from functools import cache
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from benchmarks.contest import PEERS_PYTHON, Asked, Contestant, hold, scratch
from benchmarks.scanner_series import write_scanner_series
from dlp_lab.dicom.derived_header import Derivation
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import Series, one_series
from dlp_lab.dicom.write_image import write_derived_series
from dlp_lab.volume import Volume
from tests.enhanced_phantom import write_enhanced_phantom

ROUNDS = 7
OURS = "dlp-lab"
READERS = (
    Contestant("floor: the bytes", "benchmarks.peers.readers:read_bytes"),
    Contestant(OURS, "benchmarks.read_write:read"),
    Contestant("dicomsdl", "benchmarks.peers.readers:read_with_dicomsdl"),
    Contestant("pydicom loop", "benchmarks.peers.readers:read_with_pydicom"),
    Contestant("SimpleITK", "benchmarks.peers.readers:read_with_simpleitk"),
    Contestant("MONAI, ITKReader", "benchmarks.peers.readers:read_with_monai", PEERS_PYTHON),
)
FRAME_READERS = (
    Contestant("floor: the bytes", "benchmarks.peers.readers:read_bytes"),
    Contestant(OURS, "benchmarks.read_write:read"),
    Contestant("pydicom", "benchmarks.peers.readers:read_frames_with_pydicom"),
    Contestant("SimpleITK", "benchmarks.peers.readers:read_frames_with_simpleitk"),
)
WRITERS = (
    Contestant("floor: the bytes", "benchmarks.peers.writers:write_bytes"),
    Contestant(OURS, "benchmarks.read_write:write"),
    Contestant("pydicom, each header read", "benchmarks.peers.writers:with_pydicom_reading"),
    Contestant("pydicom, first header copied", "benchmarks.peers.writers:with_pydicom_copying"),
    Contestant("SimpleITK, bare header", "benchmarks.peers.writers:with_simpleitk"),
)


def read(folder: str) -> None:
    """As a job reads."""
    read_volume(one_series(Path(folder)))


@cache
def _known(source: str) -> tuple[Series, Volume]:
    series = one_series(Path(source))
    return series, read_volume(series)


def write(source: str, target: str) -> None:
    """As a job writes a derived series; the source is read in the round that warms up."""
    derivation = Derivation("benchmark", "copy", "copied", reach_slices=0)
    write_derived_series(*_known(source), Path(target), derivation)


def write_enhanced_file(folder: Path, frames: int) -> None:
    """One enhanced CT file of FRAMES x 512 x 512."""

    def enlarge(ds: Dataset) -> None:
        ds.Rows = ds.Columns = 512
        ds.PixelData = np.random.default_rng(0).integers(0, 4096, frames * 512 * 512, np.uint16).tobytes()

    write_enhanced_phantom(folder / "all.dcm", shape=(frames, 4, 4), before_saving=enlarge)


def main() -> int:
    """Hold the three contests."""
    asked = Asked.on_the_command_line(__doc__, 400)
    slices = asked.slices
    with scratch() as made:
        source, enhanced, target = (made / name for name in ("source", "enhanced", "target"))
        write_scanner_series(source, slices)
        write_enhanced_file(enhanced, slices)

        def emptied(_: Contestant) -> list[str]:
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
            return [str(source), str(target)]

        for name, title, contestants, arguments in (
            ("read", "reading {} x 512 x 512", READERS, lambda _: [str(source)]),
            ("enhanced", "reading one file of {} frames", FRAME_READERS, lambda _: [str(enhanced)]),
            ("write", "writing {} x 512 x 512", WRITERS, emptied),
        ):
            outcome = hold(title.format(slices), contestants, asked.rounds(ROUNDS), reference=OURS, arguments=arguments)
            outcome.print_table()
            outcome.write(asked.results / f"read_write_{name}.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
