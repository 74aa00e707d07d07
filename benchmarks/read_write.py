"""Reading a series into a volume and writing a derived series, beside peers and the floor.

    python -m benchmarks.read_write [SLICES]

A CT series of SLICES x 512 x 512 int16 (default 400) with headers as scanners write them, page cache warm, one process,
all contestants in turn, best CPU time of the rounds (a busy machine leaves CPU time comparable, not wall time).

* Reading: from a folder to a volume in Hounsfield units, slices in order. The floor is reading the bytes of all files
  into one fresh array. dicomsdl takes part where it is installed (`pip install dlp-lab[bench]`).
* Reading one enhanced multi-frame file of as many frames: the same, beside pydicom and SimpleITK, which leave frames in
  the order of the file.
* Writing: the floor is writing the bytes of the source's files into as many new ones.

It also prints how much memory dlp-lab takes at most while it reads, beside the volume.
"""

from __future__ import annotations

import copy
import importlib.util
import shutil
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from benchmarks.scanner_series import write_scanner_series
from dlp_lab.dicom.derived_header import Derivation
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import one_series
from dlp_lab.dicom.write_image import write_derived_series
from tests.enhanced_phantom import write_enhanced_phantom

ROUNDS = 5
FLOOR, OURS = "floor: the bytes", "dlp-lab"


def read_bytes(folder: Path) -> object:
    files = sorted(folder.iterdir())
    content = np.empty((len(files), max(path.stat().st_size for path in files)), np.uint8)
    for path, row in zip(files, content, strict=True):
        with open(path, "rb", buffering=0) as file:
            file.readinto(row.data)
    return content


def read_with_dlp_lab(folder: Path) -> object:
    return read_volume(one_series(folder))


def read_with_dicomsdl(folder: Path) -> object:
    import dicomsdl

    slices = sorted((dicomsdl.open(str(path)) for path in folder.iterdir()), key=lambda ds: ds.ImagePositionPatient[2])
    return np.stack([ds.pixelData(storedvalue=True) + np.int16(ds.RescaleIntercept) for ds in slices])


def read_with_pydicom(folder: Path) -> object:
    slices = sorted((pydicom.dcmread(path) for path in folder.iterdir()), key=lambda ds: ds.ImagePositionPatient[2])
    return np.stack([ds.pixel_array + np.int16(int(ds.RescaleIntercept)) for ds in slices])


def read_with_simpleitk(folder: Path) -> object:
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return SimpleITK.GetArrayFromImage(reader.Execute())


def readers() -> dict[str, Callable[[Path], object]]:
    """All that are installed."""
    installed = importlib.util.find_spec("dicomsdl") is not None
    if not installed:
        print("dicomsdl is not installed and takes no part")
    return {
        FLOOR: read_bytes,
        OURS: read_with_dlp_lab,
        **({"dicomsdl": read_with_dicomsdl} if installed else {}),
        "pydicom loop": read_with_pydicom,
        "SimpleITK": read_with_simpleitk,
    }


def write_enhanced_file(folder: Path, frames: int) -> None:
    """One enhanced CT file of FRAMES x 512 x 512."""

    def enlarge(ds: Dataset) -> None:
        ds.Rows = ds.Columns = 512
        ds.PixelData = np.random.default_rng(0).integers(0, 4096, frames * 512 * 512, np.uint16).tobytes()

    write_enhanced_phantom(folder / "all.dcm", shape=(frames, 4, 4), before_saving=enlarge)


def read_frames_with_pydicom(folder: Path) -> object:
    return pydicom.dcmread(folder / "all.dcm").pixel_array + np.int16(-1024)


def read_frames_with_simpleitk(folder: Path) -> object:
    return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(folder / "all.dcm"))


FRAME_READERS: dict[str, Callable[[Path], object]] = {
    FLOOR: read_bytes,
    OURS: read_with_dlp_lab,
    "pydicom": read_frames_with_pydicom,
    "SimpleITK": read_frames_with_simpleitk,
}


def print_peak_memory(folder: Path) -> None:
    """What dlp-lab takes at most while it reads, by Python's and numpy's own account."""
    tracemalloc.start()
    volume = read_volume(one_series(folder))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    mb, peak_mb = volume.voxels.nbytes / 1e6, peak_bytes / 1e6
    print(f"  memory of dlp-lab: at most {peak_mb:.0f} MB, {peak_mb / mb:.2f} x the volume of {mb:.0f} MB")


def writers(source: Path) -> dict[str, Callable[[Path], None]]:
    """Each writes the series' own values again, as a new series."""
    series = one_series(source)
    volume = read_volume(series)
    contents = [header.path.read_bytes() for header in series.headers]

    def write_bytes(target: Path) -> None:
        for k, content in enumerate(contents):
            (target / f"{k:04d}").write_bytes(content)

    def with_dlp_lab(target: Path) -> None:
        write_derived_series(series, volume, target, Derivation("benchmark", "copy", "copied", reach_slices=0))

    def save(ds: Dataset, k: int, uid: str, target: Path) -> None:
        ds.SeriesInstanceUID = uid
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        ds.add_new("PixelData", "OW", (volume.voxels[k] + np.int16(1024)).astype("<i2", copy=False).tobytes())
        ds.save_as(target / f"{k:04d}")

    def with_pydicom_reading(target: Path) -> None:
        uid = generate_uid()
        for k, header in enumerate(series.headers):
            save(pydicom.dcmread(header.path), k, uid, target)

    def with_pydicom_copying(target: Path) -> None:
        uid, template = generate_uid(), pydicom.dcmread(series.headers[0].path, stop_before_pixels=True)
        for k, header in enumerate(series.headers):
            ds = copy.deepcopy(template)
            ds.InstanceNumber, ds.ImagePositionPatient = k + 1, [f"{mm:.10g}" for mm in header.position_lps_mm or ()]
            save(ds, k, uid, target)

    def with_simpleitk(target: Path) -> None:
        image = SimpleITK.GetImageFromArray(volume.voxels)
        writer = SimpleITK.ImageFileWriter()
        for k in range(image.GetDepth()):
            writer.SetFileName(str(target / f"{k:04d}.dcm"))
            writer.Execute(image[:, :, k])

    return {
        FLOOR: write_bytes,
        OURS: with_dlp_lab,
        "pydicom, each header read": with_pydicom_reading,
        "pydicom, first header copied": with_pydicom_copying,
        "SimpleITK, bare header": with_simpleitk,
    }


def best_cpu_seconds(
    contestants: dict[str, Callable[[Path], object]], folder: Path, *, fresh: bool
) -> dict[str, float]:
    """Best CPU time of each; with `fresh`, each gets an empty folder."""
    best = dict.fromkeys(contestants, float("inf"))
    for _ in range(ROUNDS):
        for name, contestant in contestants.items():
            if fresh:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
            start = time.process_time()
            contestant(folder)
            best[name] = min(best[name], time.process_time() - start)
    return best


def print_table(title: str, best: dict[str, float]) -> None:
    print(title)
    for name, seconds in best.items():
        ratios = f"{seconds / best[FLOOR]:6.2f} x the floor {seconds / best[OURS]:6.2f} x dlp-lab"
        print(f"  {name:<32} {1000 * seconds:8.0f} ms CPU {ratios}")


def main(slices: int) -> int:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as made:
        source = Path(made, "source")
        write_scanner_series(source, slices)
        print_table(f"reading {slices} x 512 x 512", best_cpu_seconds(readers(), source, fresh=False))
        print_peak_memory(source)
        write_enhanced_file(Path(made, "enhanced"), slices)
        best = best_cpu_seconds(FRAME_READERS, Path(made, "enhanced"), fresh=False)
        print_table(f"reading one file of {slices} frames", best)
        print_table("writing", best_cpu_seconds(writers(source), Path(made, "target"), fresh=True))
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 400))
