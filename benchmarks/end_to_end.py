"""A folder of DICOM to its blur as a folder of DICOM: dlp-lab beside the scripts that people write.

    python -m benchmarks.end_to_end [SLICES]

Makes a CT series of SLICES x 512 x 512 (default 60) and runs, in turn and three times each, in one process:

* dlp-lab: read, `3dblur`, write, as a job does;
* pydicom + scipy: the plain script, no checks, no derivation references;
* SimpleITK: series reader, recursive Gaussian (an approximation), slice writer;
* the floor: reading all files and writing as many bytes.

Prints the best time of each and how many times longer than dlp-lab it takes. The page cache is warm.
"""

from __future__ import annotations

import copy
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK
from pydicom.uid import generate_uid
from scipy import ndimage

from dlp_lab.dicom.derived_header import Derivation
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import one_series
from dlp_lab.dicom.write_image import write_derived_series
from dlp_lab.tasks.gaussian import Gaussian3D
from dlp_lab.tasks.task import no_report
from tests.phantom import write_phantom_series

SIGMA_MM = 1.5
SPACING_KJI_MM = (1.0, 0.7, 0.7)
ROUNDS = 3


def with_dlp_lab(source: Path, target: Path) -> None:
    series = one_series(source)
    result = Gaussian3D(sigma_mm=SIGMA_MM).run(read_volume(series), no_report)
    derivation = Derivation("benchmark", "3dblur", result.description, result.derivation_code, result.reach_slices)
    write_derived_series(series, result.volume, target, derivation)


def with_pydicom_and_scipy(source: Path, target: Path) -> None:
    slices = sorted((pydicom.dcmread(path) for path in source.iterdir()), key=lambda ds: ds.ImagePositionPatient[2])
    volume = np.stack([ds.pixel_array for ds in slices]).astype(np.float32)
    smooth = ndimage.gaussian_filter(volume, [SIGMA_MM / mm for mm in SPACING_KJI_MM], mode="nearest")
    series_uid = generate_uid()
    for k, ds in enumerate(slices):
        derived = copy.deepcopy(ds)
        derived.SeriesInstanceUID = series_uid
        derived.SOPInstanceUID = derived.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        derived.PixelData = np.rint(smooth[k]).astype(np.int16).tobytes()
        derived.save_as(target / f"{k:04d}.dcm")


def with_simpleitk(source: Path, target: Path) -> None:
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(source)))
    image = reader.Execute()
    smooth = SimpleITK.SmoothingRecursiveGaussian(SimpleITK.Cast(image, SimpleITK.sitkFloat32), SIGMA_MM)
    smooth = SimpleITK.Cast(SimpleITK.Round(smooth), SimpleITK.sitkInt16)
    writer = SimpleITK.ImageFileWriter()
    for k in range(smooth.GetDepth()):
        writer.SetFileName(str(target / f"{k:04d}.dcm"))
        writer.Execute(smooth[:, :, k])


def floor(source: Path, target: Path) -> None:
    for k, path in enumerate(source.iterdir()):
        (target / f"{k:04d}.dcm").write_bytes(path.read_bytes())


CONTESTANTS: dict[str, Callable[[Path, Path], None]] = {
    "dlp-lab": with_dlp_lab,
    "pydicom + scipy script": with_pydicom_and_scipy,
    "SimpleITK script (recursive Gaussian)": with_simpleitk,
    "floor: read and write the bytes": floor,
}


def main(slices: int) -> int:
    """Run all contestants and print the table."""
    best = dict.fromkeys(CONTESTANTS, float("inf"))
    with tempfile.TemporaryDirectory() as made:
        source, target = Path(made, "source"), Path(made, "target")
        write_phantom_series(source, shape=(slices, 512, 512), spacing_kji_mm=SPACING_KJI_MM, orientation="axial")
        for _ in range(ROUNDS):
            for name, contestant in CONTESTANTS.items():
                target.mkdir()
                start = time.perf_counter()
                contestant(source, target)
                best[name] = min(best[name], time.perf_counter() - start)
                assert len(list(target.iterdir())) == slices
                shutil.rmtree(target)
    print(f"{slices} x 512 x 512 CT, sigma {SIGMA_MM} mm, best of {ROUNDS}, page cache warm")
    for name, seconds in best.items():
        print(f"  {name:<40} {seconds:7.3f} s   {seconds / best['dlp-lab']:6.2f} x dlp-lab")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 60))
