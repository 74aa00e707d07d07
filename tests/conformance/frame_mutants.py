"""Results in one file that are wrong: multi-frame images and Parametric Maps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from tests.conformance.mutation import Change, Equivalent, Files, Mutant, set_instance_uid

FORMS = ("multiframe", "parametric_map")


def file(change: Callable[[Dataset], Any]) -> Change:
    """`change` is called with the data set of the one file."""
    return lambda files: files.edit_file(change)


def top(keyword: str, value: Any) -> Change:
    """The file gets the value at its top level."""
    return file(lambda ds: setattr(ds, keyword, value))


def without(keyword: str) -> Change:
    """The file loses an element of its top level."""
    return file(lambda ds: delattr(ds, keyword))


def shared(group: str, change: Callable[[Dataset], Any]) -> Change:
    """`change` is called with the item of a shared functional group."""
    return file(lambda ds: change(ds.SharedFunctionalGroupsSequence[0][group].value[0]))


def frames(group: str, change: Callable[[Dataset, int], Any]) -> Change:
    """`change(item, frame)` is called with the item of a functional group of every frame."""

    def apply(ds: Dataset) -> None:
        for k, groups in enumerate(ds.PerFrameFunctionalGroupsSequence):
            change(groups[group].value[0], k)

    return file(apply)


def places(change: Callable[[list[Any]], list[Any]]) -> Change:
    """`change` is called with the ImagePositionPatient of all frames and returns others."""

    def apply(ds: Dataset) -> None:
        items = [groups.PlanePositionSequence[0] for groups in ds.PerFrameFunctionalGroupsSequence]
        for item, place in zip(items, change([list(item.ImagePositionPatient) for item in items]), strict=True):
            item.ImagePositionPatient = [f"{v:.10g}" for v in place]

    return file(apply)


def values(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    """`change` is called with the `(k, j, i)` stored values, and what it returns is stored."""

    def apply(ds: Dataset) -> None:
        stored = ds.pixel_array
        keyword = "FloatPixelData" if "FloatPixelData" in ds else "PixelData"
        setattr(ds, keyword, change(stored).astype(stored.dtype).tobytes())

    return file(apply)


def by_source(change: Callable[[Dataset, Dataset], Any]) -> Change:
    """`change(derived, first source slice)`."""

    def apply(files: Files) -> None:
        source = files.source_slices()[0]
        files.edit_file(lambda ds: change(ds, source))

    return apply


def _a_second_file(files: Files) -> None:
    (path,) = files.derived_paths()
    ds = pydicom.dcmread(path)
    set_instance_uid(ds, "2.25.4711")
    ds.InstanceNumber = 2
    ds.save_as(path.with_name("0002.dcm"))


def _without_a_frame(ds: Dataset) -> None:
    keyword = "FloatPixelData" if "FloatPixelData" in ds else "PixelData"
    count = len(ds.PerFrameFunctionalGroupsSequence)
    setattr(ds, keyword, ds[keyword].value[: -len(ds[keyword].value) // count])
    ds.PerFrameFunctionalGroupsSequence = ds.PerFrameFunctionalGroupsSequence[:-1]
    ds.NumberOfFrames = count - 1


def _evidence(ds: Dataset) -> Any:
    if "ReferencedSeriesSequence" in ds:
        return ds.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    return ds.SourceImageEvidenceSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence


def _unit(value: str) -> Callable[[Dataset], Any]:
    return lambda item: setattr(item.MeasurementUnitsCodeSequence[0], "CodeValue", value)


def _of_every_form() -> list[Mutant]:
    found: list[Mutant] = []
    for form in FORMS:

        def add(name: str, found_by: tuple[str, ...], change: Change, modality: str = "CT", form: Any = form) -> None:
            found.append(Mutant(name, found_by, change, modality, form))

        frame_type = "CTImageFrameTypeSequence" if form == "multiframe" else "ParametricMapFrameTypeSequence"
        # identity
        add(
            "SOPInstanceUID of the source",
            ("rules:instance-uid-new", "validators:dcentvfy"),
            by_source(lambda ds, source: set_instance_uid(ds, source.SOPInstanceUID)),
        )
        add(
            "SeriesInstanceUID of the source",
            ("rules:series-new",),
            by_source(lambda ds, source: setattr(ds, "SeriesInstanceUID", source.SeriesInstanceUID)),
        )
        add("another patient", ("rules:patient-kept", "validators:dcentvfy"), top("PatientID", "OTHER"))
        add("another study", ("rules:study-kept",), top("StudyInstanceUID", "2.25.2"))
        add("another frame of reference", ("rules:frame-of-reference-kept",), top("FrameOfReferenceUID", "2.25.4"))
        add("a second file", ("rules:one-file",), _a_second_file)
        add("private group", ("rules:private-absent",), file(lambda ds: ds.add_new(0x00191001, "LO", "private")))
        add(
            "private element in a frame",
            ("rules:private-absent",),
            frames("PlanePositionSequence", lambda item, k: item.add_new(0x00291010, "LO", "private")),
        )
        # derivation
        add("ImageType ORIGINAL", ("rules:image-type-derived",), top("ImageType", ["ORIGINAL", "PRIMARY", "A", "B"]))
        add(
            "ImageType SECONDARY",
            ("rules:image-type-secondary", "rules:frame-type-derived"),
            file(lambda ds: ds.ImageType.__setitem__(1, "SECONDARY")),
        )
        add(
            "FrameType ORIGINAL",
            ("rules:frame-type-derived",),
            shared(frame_type, lambda item: item.FrameType.__setitem__(0, "ORIGINAL")),
        )
        add(
            "a frame made from an unknown image",
            ("rules:source-images-known", "rules:evidence-complete"),
            frames(
                "DerivationImageSequence",
                lambda item, k: setattr(item.SourceImageSequence[-1], "ReferencedSOPInstanceUID", "2.25.3"),
            ),
        )
        add(
            "a neighbour as first source",
            ("rules:source-image-first",),
            frames(
                "DerivationImageSequence",
                lambda item, k: item.SourceImageSequence.append(item.SourceImageSequence.pop(0)),
            ),
        )
        add(
            "no code for what was done",
            ("rules:derivation-coded",),
            frames("DerivationImageSequence", lambda item, k: item.__delattr__("DerivationCodeSequence")),
        )
        add(
            "an image listed twice",
            ("rules:evidence-complete",),
            file(lambda ds: _evidence(ds).append(_evidence(ds)[0])),
        )
        add("an image not listed", ("rules:evidence-complete",), file(lambda ds: _evidence(ds).pop()))
        add("scanner forgotten", ("rules:equipment-contributed",), without("ContributingEquipmentSequence"))
        add("lossy source forgotten", ("rules:lossy-kept",), top("LossyImageCompression", "00"))
        # place
        add(
            "one frame moved by half a millimetre",
            ("rules:place-kept",),
            places(lambda p: [[x + (0.5 if k == 2 else 0), y, z] for k, (x, y, z) in enumerate(p)]),
        )
        add("places in reversed order", ("rules:source-image-first", "values:value-slice"), places(lambda p: p[::-1]))
        add("two frames at one place", ("rules:place-once",), places(lambda p: [p[0], *p[:-1]]))
        add(
            "PixelSpacing exchanged",
            ("rules:place-kept", "geometry:affine"),
            shared("PixelMeasuresSequence", lambda item: setattr(item, "PixelSpacing", item.PixelSpacing[::-1])),
        )
        add(
            "SpacingBetweenSlices of another grid",
            ("rules:frame-spacing-true",),
            shared("PixelMeasuresSequence", lambda item: setattr(item, "SpacingBetweenSlices", "2.0")),
        )
        add("last frame missing", ("rules:slice-count", "geometry:shape"), file(_without_a_frame))
        add(
            "NumberOfFrames too low",
            ("geometry:unreadable",) if form == "multiframe" else ("rules:frames-counted", "validators:dciodvfy"),
            file(lambda ds: setattr(ds, "NumberOfFrames", int(ds.NumberOfFrames) - 1)),
        )
        add(
            "one index for two frames",
            ("rules:frames-in-order",),
            frames("FrameContentSequence", lambda item, k: setattr(item, "DimensionIndexValues", [1, max(1, k)])),
        )
        # values
        add("frames in reversed order", ("values:value-slice",), values(lambda stored: stored[::-1]))
        add("left and right exchanged", ("values:value-column",), values(lambda stored: stored[:, :, ::-1]))
        add("shifted by one column", ("values:value-column",), values(lambda stored: np.roll(stored, 1, 2)))
        add("one more everywhere", ("values:value-slice",), values(lambda stored: stored + 1), "MR")
    return found


MUTANTS: tuple[Mutant, ...] = (
    *_of_every_form(),
    Mutant(
        "slope lost",
        ("validators:dciodvfy",),
        shared("PixelValueTransformationSequence", lambda item: item.__delattr__("RescaleSlope")),
        form="multiframe",
    ),
    Mutant(
        "slope of PET forgotten",
        ("rules:real-world-mapping-true", "geometry:reading"),
        shared("PixelValueTransformationSequence", lambda item: setattr(item, "RescaleSlope", "1")),
        "PT",
        "multiframe",
    ),
    Mutant(
        "unit of PET changed",
        ("rules:unit-coded",),
        frames("RealWorldValueMappingSequence", lambda item, k: _unit("1")(item)),
        "PT",
        "multiframe",
    ),
    Mutant(
        "converted from another image",
        ("rules:conversion-source-known",),
        frames(
            "ConversionSourceAttributesSequence",
            lambda item, k: setattr(item, "ReferencedSOPInstanceUID", "2.25.3"),
        ),
        form="multiframe",
    ),
    Mutant(
        "KVP lost",
        ("rules:acquisition-kept",),
        shared("UnassignedSharedConvertedAttributesSequence", lambda item: item.__delattr__("KVP")),
        form="multiframe",
    ),
    Mutant(
        "written as another kind",
        ("rules:kind-kept",),
        file(lambda ds: setattr(ds, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.7")),
        form="multiframe",
    ),
    Mutant(
        "FrameType value 3 lost",
        ("rules:image-type-kept",),
        shared("CTImageFrameTypeSequence", lambda item: item.FrameType.__setitem__(2, "VOLUME")),
        form="multiframe",
    ),
    Mutant(
        "another unit",
        ("rules:unit-coded",),
        shared("RealWorldValueMappingSequence", _unit("1")),
        form="parametric_map",
    ),
    Mutant(
        "no unit",
        ("rules:unit-coded",),
        shared("RealWorldValueMappingSequence", lambda item: item.__delattr__("MeasurementUnitsCodeSequence")),
        form="parametric_map",
    ),
    Mutant(
        "mapped by a slope",
        ("rules:real-world-mapping-true",),
        shared("RealWorldValueMappingSequence", lambda item: setattr(item, "RealWorldValueSlope", 2.0)),
        form="parametric_map",
    ),
    Mutant(
        "rescaled",
        ("rules:real-world-mapping-true",),
        shared("PixelValueTransformationSequence", lambda item: setattr(item, "RescaleIntercept", "-1024")),
        form="parametric_map",
    ),
    Mutant("HighBit of integers", ("rules:float-pixels",), top("HighBit", 31), form="parametric_map"),
    Mutant(
        "annotations said to be burned in",
        ("rules:appearance-stated", "validators:dciodvfy"),
        top("BurnedInAnnotation", "YES"),
        form="parametric_map",
    ),
    Mutant(
        "promised not to be recognizable",
        ("rules:appearance-stated",),
        top("RecognizableVisualFeatures", "NO"),
        form="parametric_map",
    ),
    Mutant("without label", ("rules:content-identified",), top("ContentLabel", ""), form="parametric_map"),
    Mutant("without creator", ("rules:content-identified",), without("ContentCreatorName"), form="parametric_map"),
    Mutant(
        "rounded to whole numbers",
        ("values:value-slice",),
        values(np.rint),
        form="parametric_map",
    ),
    Mutant(
        "rounded to 16 bits of floating point",
        ("values:value-slice",),
        values(lambda stored: stored.astype(np.float16)),
        form="parametric_map",
    ),
)

EQUIVALENTS: tuple[Equivalent, ...] = tuple(
    equivalent
    for form in FORMS
    for equivalent in (
        Equivalent(f"another description of a {form}", "it is free text", top("SeriesDescription", "x"), form=form),
        Equivalent(
            f"no window in a {form}",
            "viewers then choose one",
            file(lambda ds: ds.SharedFunctionalGroupsSequence[0].__delattr__("FrameVOILUTSequence")),
            form=form,
        ),
        Equivalent(
            f"other sources in another order in a {form}",
            "only the first reference has a meaning of its own",
            frames(
                "DerivationImageSequence",
                lambda item, k: item.SourceImageSequence.append(item.SourceImageSequence.pop(1)),
            ),
            form=form,
        ),
    )
)
