"""Derived series that are wrong about place, values and what the values mean, or whose record is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset

import dlp_lab as dlp
from tests.conformance.mutation import (
    Files,
    Mutant,
    adding,
    as_source,
    each,
    in_record,
    in_references,
    moving,
    pixels,
    removing,
    set_instance_uid,
    setting,
    setting_one,
    without,
)


def _item(**values: object) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _truncated_values(files: Files) -> None:
    """Stores the result as a cast to integer would: towards zero, where the writer rounds."""
    result = dlp.run("3dblur", dlp.read_series(files.source), sigma_mm=[2.5, 0.8, 0.5]).voxels
    files.edit(
        lambda ds, k, source: setattr(
            ds, "PixelData", np.trunc(result[k] - float(ds.RescaleIntercept)).astype("<i2").tobytes()
        )
    )


def _transposed(files: Files) -> None:
    def change(ds: Dataset, k: int, source: Dataset) -> None:
        ds.PixelData = np.ascontiguousarray(ds.pixel_array.T).tobytes()
        ds.Rows, ds.Columns = ds.Columns, ds.Rows

    files.edit(change)


def _wide(files: Files) -> None:
    def change(ds: Dataset, k: int, source: Dataset) -> None:
        ds.PixelData = ds.pixel_array.astype("<i4").tobytes()
        ds.BitsAllocated = ds.BitsStored = 32
        ds.HighBit = 31

    files.edit(change)


def _cut_off(files: Files) -> None:
    path = files.derived_paths()[2]
    path.write_bytes(path.read_bytes()[:-100])


def _a_slice_twice(files: Files) -> None:
    path = files.derived_paths()[2]
    ds = pydicom.dcmread(path)
    set_instance_uid(ds, "2.25.4711")
    ds.InstanceNumber = 99
    ds.save_as(path.with_name("again.dcm"))


def _not_json(files: Files) -> None:
    Path(files.derived, "job.json").write_text("{")


MUTANTS: tuple[Mutant, ...] = (
    # place
    Mutant("last slice missing", ("rules:slice-count", "geometry:shape"), removing(-1)),
    Mutant("a slice within missing", ("rules:slice-count",), removing(2)),
    Mutant("a slice twice", ("rules:slice-count", "rules:place-once"), _a_slice_twice),
    Mutant("all slices at one place", ("rules:place-once",), moving(lambda places: [places[0]] * len(places))),
    Mutant(
        "shifted by half a millimetre",
        ("rules:place-kept", "geometry:affine"),
        moving(lambda places: [[x + 0.5, y, z] for x, y, z in places]),
    ),
    Mutant(
        "left and right exchanged in the positions",
        ("rules:place-kept", "geometry:volume", "geometry:unreadable"),
        moving(lambda places: [[-x, y, z] for x, y, z in places]),
    ),
    Mutant("places in reversed order", ("values:value-slice",), moving(lambda places: places[::-1])),
    Mutant(
        "PixelSpacing exchanged",
        ("rules:place-kept", "geometry:affine"),
        each(lambda ds, k, source: setattr(ds, "PixelSpacing", ds.PixelSpacing[::-1])),
    ),
    Mutant(
        "row and column direction exchanged",
        ("rules:place-kept", "geometry:affine"),
        each(
            lambda ds, k, source: setattr(ds, "ImageOrientationPatient", list(np.roll(ds.ImageOrientationPatient, 3)))
        ),
    ),
    Mutant(
        "directions that are not orthogonal",
        ("rules:place-kept", "validators:dciodvfy"),
        setting("ImageOrientationPatient", ["1", "0", "0", "0.5", "0.8660254", "0"]),
    ),
    Mutant("another SliceThickness", ("rules:place-kept",), setting("SliceThickness", "1")),
    Mutant("another frame of reference", ("rules:frame-of-reference-kept",), setting("FrameOfReferenceUID", "2.25.4")),
    Mutant("frame of reference lost", ("rules:frame-of-reference-kept",), without("FrameOfReferenceUID")),
    Mutant("transposed with its size", ("rules:matrix-kept", "geometry:shape"), _transposed),
    Mutant("MONOCHROME1", ("rules:matrix-kept",), setting("PhotometricInterpretation", "MONOCHROME1")),
    # values
    Mutant("slices in reversed order", ("values:value-slice",), pixels(lambda stored: stored[::-1])),
    Mutant("two slices exchanged", ("values:value-slice",), pixels(lambda stored: stored[[0, 2, 1, 3, 4]])),
    Mutant("upside down", ("values:value-row",), pixels(lambda stored: stored[:, ::-1])),
    Mutant("left and right exchanged", ("values:value-column",), pixels(lambda stored: stored[:, :, ::-1])),
    Mutant("transposed", ("values:value-row",), pixels(lambda stored: stored.transpose(0, 2, 1)), "MR"),
    Mutant("shifted by one column", ("values:value-column",), pixels(lambda stored: np.roll(stored, 1, 2))),
    Mutant("shifted by one slice", ("values:value-slice",), pixels(lambda stored: np.roll(stored, 1, 0))),
    Mutant("intercept twice", ("values:value-slice",), setting("RescaleIntercept", "-2048")),
    Mutant("intercept forgotten", ("values:value-slice",), setting("RescaleIntercept", "0")),
    Mutant("slope forgotten", ("values:value-slice",), setting("RescaleSlope", "1"), "PT"),
    Mutant("slope of one slice changed", ("values:value-slice",), setting_one("RescaleSlope", "1.01", 3)),
    Mutant("slope lost", ("rules:rescale-present", "validators:dciodvfy"), without("RescaleSlope")),
    Mutant("slope 0", ("rules:rescale-present",), setting("RescaleSlope", "0")),
    Mutant("signed values called unsigned", ("values:value-range",), setting("PixelRepresentation", 0), "MR"),
    Mutant("cut off instead of rounded", ("values:value-slice",), _truncated_values),
    Mutant("clipped to 8 bits", ("values:value-range",), pixels(lambda stored: stored.clip(0, 255))),
    Mutant("clipped to a window", ("values:value-range",), pixels(lambda stored: stored.clip(924, 1324))),
    Mutant("negative values cut off", ("values:value-range",), pixels(lambda stored: stored.clip(0)), "MR"),
    Mutant("values rounded to tens", ("values:value-slice",), pixels(lambda stored: stored // 10 * 10)),
    Mutant("bytes exchanged", ("values:value-range",), pixels(lambda stored: stored.byteswap())),
    Mutant("source's pixels", ("values:value-slice",), as_source("PixelData"), "MR"),
    Mutant("file cut off", ("validators:dciodvfy", "geometry:volume", "geometry:unreadable"), _cut_off),
    # meaning of the pixels
    Mutant("32 bits", ("rules:pixel-format",), _wide),
    Mutant("HighBit too low", ("rules:pixel-format", "validators:dciodvfy"), setting("HighBit", 11)),
    Mutant("RescaleType changed", ("rules:unit-kept",), setting("RescaleType", "US")),
    Mutant("Units changed", ("rules:unit-kept",), setting("Units", "CNTS"), "PT"),
    Mutant("PET with an intercept", ("rules:pet-intercept-zero",), setting("RescaleIntercept", "-5"), "PT"),
    Mutant("window narrower than 1", ("rules:window-valid", "validators:dciodvfy"), setting("WindowWidth", "0.5")),
    Mutant("window without width", ("rules:window-valid",), without("WindowWidth")),
    Mutant(
        "extremes of the source",
        ("rules:extremes-true",),
        as_source("SmallestImagePixelValue", "LargestImagePixelValue"),
    ),
    Mutant("extremes of the source's series", ("rules:extremes-true",), adding(0x00280108, "SS", -7)),
    Mutant("padding of the source", ("rules:padding-absent",), adding(0x00280120, "SS", -2000)),
    Mutant(
        "lookup table of the source", ("rules:tables-absent",), setting("VOILUTSequence", [_item(LUTExplanation="x")])
    ),
    Mutant(
        "real-world values of the source",
        ("rules:real-world-mapping-absent",),
        setting("RealWorldValueMappingSequence", [_item(LUTLabel="x")]),
    ),
    Mutant("overlay of the source", ("rules:overlay-absent",), adding(0x60000010, "US", 24)),
    Mutant("curve of the source", ("rules:curve-absent",), adding(0x50000010, "US", 24)),
    Mutant("icon of the source", ("rules:old-bytes-forgotten",), setting("IconImageSequence", [_item(Rows=1)])),
    Mutant(
        "signature of the source",
        ("rules:old-bytes-forgotten",),
        setting("DigitalSignaturesSequence", [_item(MACIDNumber=1)]),
    ),
    Mutant("private group", ("rules:private-absent",), adding(0x00191001, "LO", "private")),
    Mutant(
        "private element in a sequence",
        ("rules:private-absent",),
        in_references(lambda items: items[0].add_new(0x00291010, "LO", "private")),
    ),
    Mutant("decimal string too long", ("validators:dciodvfy",), setting("DataCollectionDiameter", "1" * 20)),
    # record
    Mutant(
        "record of another source",
        ("values:record-source",),
        in_record(lambda r: r["source"]["sop_instance_uids"].pop()),
    ),
    Mutant(
        "record of another series",
        ("values:record-series",),
        in_record(lambda r: r["result"].update(series_instance_uid="2.25.6")),
    ),
    Mutant("record of other files", ("values:record-files",), in_record(lambda r: r["result"]["files"].pop())),
    Mutant(
        "record of another grid", ("values:record-grid",), in_record(lambda r: r["result"].update(shape=[5, 24, 33]))
    ),
    Mutant("record that is no JSON", ("values:record",), _not_json),
)
