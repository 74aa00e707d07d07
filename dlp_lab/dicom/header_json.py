"""Headers for readers without a DICOM library: the DICOM JSON model (PS3.18 F), and a few facts of the acquisition.

DICOM JSON is not loss-free: decimal strings become numbers, text becomes UTF-8. What must come back as it was comes
from the encoded headers, `header_archive.py`.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from typing import Any

from pydicom.dataset import Dataset
from pydicom.tag import Tag

_ACQUISITION = (
    "KVP",
    "XRayTubeCurrent",
    "ExposureTime",
    "SliceThickness",
    "SpacingBetweenSlices",
    "MagneticFieldStrength",
    "RepetitionTime",
    "EchoTime",
    "EffectiveEchoTime",
    "InversionTime",
    "FlipAngle",
    "EchoTrainLength",
    "NumberOfAverages",
    "ImagingFrequency",
    "PixelBandwidth",
    "ActualFrameDuration",
    "FrameReferenceTime",
)
"""Attributes that are numbers by their VR, so that no text about the patient can stand in them."""


def dicom_json(datasets: Sequence[Dataset]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The data sets of a series in the DICOM JSON model.

    Returns:
        The elements that are the same in all of them, and for each of them the others.
    """
    models = [_model(ds) for ds in datasets]
    first = models[0]
    common = {tag: first[tag] for tag in first if all(model.get(tag) == first[tag] for model in models)}
    return common, [{tag: value for tag, value in model.items() if tag not in common} for model in models]


def acquisition_facts(common: dict[str, Any]) -> dict[str, float]:
    """Numbers that all slices share and that tell nothing of the patient, by DICOM keyword.

    Args:
        common: The common elements of `dicom_json`; of multi-frame images, shared functional groups count too.
    """
    facts = {}
    for model in (common, *_shared_groups(common)):
        for keyword in _ACQUISITION:
            values = model.get(Tag(keyword).json_key, {}).get("Value", [])
            if len(values) == 1 and isinstance(values[0], int | float):
                facts[keyword] = values[0]
    return facts


def _shared_groups(common: dict[str, Any]) -> list[dict[str, Any]]:
    shared = common.get(Tag("SharedFunctionalGroupsSequence").json_key, {}).get("Value", [])
    return [group["Value"][0] for item in shared[:1] for group in item.values() if group.get("Value")]


def _model(ds: Dataset) -> dict[str, Any]:
    with warnings.catch_warnings():
        # values that break the rules of their VR are common, and no news here
        warnings.simplefilter("ignore")
        text = json.dumps(ds.to_json_dict(suppress_invalid_tags=True))
    # JSON has no NaN and no infinity: PS3.18 F.2.3 writes them as strings
    model: dict[str, Any] = json.loads(text, parse_constant=str)
    return model
