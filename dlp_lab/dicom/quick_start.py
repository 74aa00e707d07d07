"""pydicom in two thirds of the time, for processes of our own that are waited for."""

from __future__ import annotations

from dlp_lab.left_out import left_out


def load_pydicom() -> None:
    """Import pydicom without its decoders, for ours decode, and without what fetches its test data from the internet.

    From then on this process's pydicom has none: not for notebooks, nor for `dlp_lab.conformance`, which reads pixels
    with it.
    """
    with left_out("gdcm", "jpeg_ls", "libjpeg", "openjpeg", "PIL", "pylibjpeg", "requests", "rle", "tqdm"):
        import pydicom  # noqa: F401
