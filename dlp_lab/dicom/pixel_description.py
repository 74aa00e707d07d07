"""What a derived data set says of its pixels and of its file."""

from __future__ import annotations

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from dlp_lab import __version__
from dlp_lab.dicom.derived_header import IMPLEMENTATION_CLASS_UID, drop, drop_invalid_window
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.rescale import Rescale

FORMAT = ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
RESCALE = ("RescaleIntercept", "RescaleSlope", "RescaleType")


def describe_pixels(ds: Dataset, header: Header, rescale: Rescale, rows: int, columns: int) -> None:
    """16-bit pixels, and how they become real values (PS3.3 C.7.6.3, C.11.1)."""
    set_format(ds, rescale, rows, columns)
    set_rescale(ds, header, rescale)
    drop_invalid_window(ds)


def set_format(ds: Dataset, rescale: Rescale, rows: int, columns: int) -> None:
    """Set the elements of `FORMAT`, without a look at what the source says."""
    drop(ds, FORMAT)
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = 1 if rescale.signed else 0
    ds.Rows, ds.Columns = rows, columns


def set_rescale(ds: Dataset, header: Header, rescale: Rescale) -> None:
    """Set the elements of `RESCALE`."""
    if not rescale.written:
        return
    for keyword, known, text in (
        ("RescaleSlope", header.rescale_slope, rescale.slope_text),
        ("RescaleIntercept", header.rescale_intercept, rescale.intercept_text),
    ):
        # a number that stays is left as the source wrote it, "1.000000" for 1
        if known != float(text) or ds.get(keyword) in (None, ""):
            setattr(ds, keyword, text)
    if header.modality != "PT" and not ds.get("RescaleType"):
        ds.RescaleType = "HU" if header.modality == "CT" else "US"  # US: unspecified (PS3.3 C.11.1.1.2)


def set_file_meta(ds: Dataset) -> None:
    """File meta information and preamble (PS3.10 7.1)."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = f"DLPLAB_{__version__}"[:16]
    ds.file_meta = meta
    ds.preamble = b"\0" * 128  # the source's may hold another format's header
