"""A folder of DICOM, blurred by SimpleITK."""

from __future__ import annotations

from pathlib import Path

import SimpleITK


def blur(source: str, target: str, sigma_mm: str) -> None:
    """Series reader, recursive Gaussian (an approximation), slice writer. Headers are SimpleITK's own."""
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(source))
    image = reader.Execute()
    smooth = SimpleITK.SmoothingRecursiveGaussian(SimpleITK.Cast(image, SimpleITK.sitkFloat32), float(sigma_mm))
    smooth = SimpleITK.Cast(SimpleITK.Round(smooth), SimpleITK.sitkInt16)
    writer = SimpleITK.ImageFileWriter()
    for k in range(smooth.GetDepth()):
        writer.SetFileName(str(Path(target, f"{k:04d}.dcm")))
        writer.Execute(smooth[:, :, k])
