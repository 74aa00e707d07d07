"""A folder of DICOM, blurred by MONAI, which has no writer of DICOM series: it leaves NIfTI."""

from __future__ import annotations

from pathlib import Path

from monai.data import ITKReader
from monai.transforms import Compose, EnsureChannelFirst, GaussianSmooth, LoadImage, SaveImage


def blur(source: str, target: str, sigma_mm: str) -> None:
    """Reader, GaussianSmooth (zeros beyond the edge), writer."""
    image = Compose([LoadImage(ITKReader(series_meta=True), image_only=True), EnsureChannelFirst()])(source)
    spacing_mm = [float(mm) for mm in image.pixdim]
    smooth = GaussianSmooth([float(sigma_mm) / mm for mm in spacing_mm])(image)
    SaveImage(output_dir=Path(target), output_postfix="", separate_folder=False, print_log=False)(smooth)
