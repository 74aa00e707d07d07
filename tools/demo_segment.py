"""The demo of a network: find the brain in a real MR series through a Jupyter server, compare, draw.

    python -m tools.demo_segment SLICES_DIR PACKAGE_DIR DEEPBET_PYTHON DEMO_DIR

`PACKAGE_DIR` is what `tools/export_deepbet.py` made of deepbet's weights, by the interpreter `DEEPBET_PYTHON`. Ends
with status 0 only if the segmentation, read again by highdicom, is the mask that deepbet itself makes of the series.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

import dlp_lab as dlp
from dlp_lab.geometry import plane_views
from dlp_lab.models.registry import MODELS_VARIABLE, add_model
from tools.demo import INPUT, jupyter_server, run

DICE_MIN = 0.999
_KJI_TO_IJK = [2, 1, 0, 3]
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def deepbet_mask(source: dlp.Volume, python: Path) -> NDArray[np.uint8]:
    """The mask that deepbet makes by itself, in an environment of its own; `(k, j, i)`."""
    with tempfile.TemporaryDirectory() as made:
        given, mask = Path(made, "volume.npz"), Path(made, "mask.npy")
        affine = _LPS_TO_RAS @ source.geometry.affine_kji_to_lps[:, _KJI_TO_IJK]
        np.savez(given, voxels=source.voxels.transpose(2, 1, 0), affine=affine)
        exporter = Path(__file__).with_name("export_deepbet.py")
        subprocess.run([python, exporter, "--mask", given, mask], check=True, stderr=subprocess.DEVNULL)
        own: NDArray[np.uint8] = np.load(mask).transpose(2, 1, 0)
        return own


def dice(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Dice coefficient of two masks."""
    return float(2 * np.logical_and(one, other).sum() / (one.sum() + other.sum()))


def contour_png(source: dlp.Volume, mask: NDArray[Any], title: str) -> Figure:
    """Three planes through the middle of the mask, with its contour."""
    views = plane_views(source.geometry)
    middle = [round(float(index.mean())) for index in np.nonzero(mask)]
    low, high = np.percentile(source.voxels, (1, 99.5))
    figure = Figure(figsize=(12, 4.6), dpi=110, facecolor="#101418", layout="constrained")
    for axes, view in zip(figure.subplots(1, 3), views, strict=True):
        picture = view.of(source.voxels, middle[view.axis])
        axes.imshow(picture, cmap="gray", vmin=low, vmax=high, aspect=view.pixel_size_mm[0] / view.pixel_size_mm[1])
        axes.contour(view.of(mask, middle[view.axis]), levels=[0.5], colors="#ff8c5a", linewidths=1.2)
        top, _, _, left = view.letters
        axes.set_title(f"{view.title} (up {top}, left {left})", color="#d8dee4", fontsize=9)
        axes.set_axis_off()
    figure.suptitle(title, color="#d8dee4", fontsize=10)
    return figure


def main(slices: Path, package: Path, python: Path, demo: Path) -> int:
    """Run the demo in the folder `demo`, which is made anew."""
    shutil.rmtree(demo, ignore_errors=True)
    (demo / INPUT).mkdir(parents=True)
    for path in sorted(slices.glob("*.dcm")):
        shutil.copy(path, demo / INPUT)
    os.environ[MODELS_VARIABLE] = str((demo / "models").absolute())
    model = add_model(package).description
    source = dlp.read_series(demo / INPUT)
    print(f"Source: {source}\nModel:  {model.name} {model.version} ({model.license}): {model.citation}")
    start = time.monotonic()
    with jupyter_server(demo) as server:
        print(f"Submitting segment, {model.name}, to a Jupyter server on loopback:")
        submitted = time.monotonic()
        job = run(server, "segment", {"model": model.name})
        took = time.monotonic() - submitted
    if job["state"] != "succeeded":
        print(f"FAILED: {job['message']}", file=sys.stderr)
        return 1
    output = demo / job["output_dir"]
    images = json.loads((output / "job.json").read_text())["source"]["sop_instance_uids"]
    segmentation = highdicom.seg.segread(output / "segmentation.dcm")
    found = segmentation.get_pixels_by_source_instance(
        images, combine_segments=True, assert_missing_frames_are_empty=True
    )
    ml = found.sum() * abs(np.linalg.det(source.geometry.affine_kji_to_lps[:3, :3])) / 1000
    print(f"The job took {took:.1f} s, the server's start {submitted - start:.1f} s")
    print(f"Read again by highdicom: {int(found.sum())} voxels of the brain, {ml:.0f} ml")
    own = deepbet_mask(source, python)
    agreement = dice(found, own)
    print(f"deepbet itself finds {int(own.sum())}; {int((found != own).sum())} differ, Dice {agreement:.5f}")
    picture = demo / "brain.png"
    contour_png(source, found, f"{model.name} {model.version}: {ml:.0f} ml").savefig(picture)
    print(f"\nSegmentation  {output / 'segmentation.dcm'}\nMeasurements  {output / 'measurements.json'}")
    print(f"Picture       {picture}")
    if agreement < DICE_MIN:
        print(f"FAILED: a Dice coefficient of {DICE_MIN} with deepbet's own mask is needed", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*(Path(argument) for argument in sys.argv[1:5])))
