"""From the names that other programs give labels to coded concepts, as far as DICOM lists them."""

from __future__ import annotations

import colorsys
import hashlib
import re
from functools import cache
from typing import Literal

from dlp_lab.models.description import CodedConcept, LabelDescription, Output

PRIVATE_SCHEME = "99DLPLAB"
"""For what has no code that is known here; "99" marks a private scheme (PS3.3 8.2)."""

_ANATOMY = CodedConcept(value="123037004", scheme="SCT", meaning="Anatomical Structure")
_ALTERED = CodedConcept(value="49755003", scheme="SCT", meaning="Morphologically Altered Structure")
_OTHER_WORDS = {
    "tumor": "neoplasm",
    "tumour": "neoplasm",
    "cancer": "neoplasm",
    "oedema": "edema",
    "ivc": "inferior vena cava",
    "urinary bladder": "bladder",
    "oesophagus": "esophagus",
}
_GOLDEN_ANGLE = 0.381966


def described_label(number: int, name: str) -> LabelDescription:
    """A label of that name, with the code of its type, its side and a colour.

    Codes are those that DICOM lists for segments (PS3.16 CID 7192 and 7194).
    """
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
    laterality: Literal["left", "right"] | None = None
    if ("left" in words) != ("right" in words):
        laterality = "left" if "left" in words else "right"
    plain = " ".join(words)
    without_side = " ".join(word for word in words if word != laterality)
    category, kind = _ANATOMY, None
    for candidate, side_of_it in ((plain, None), (without_side, laterality)):
        found = _concepts().get(_OTHER_WORDS.get(candidate, candidate))
        if found is not None:
            (category, kind), laterality = found, side_of_it
            break
    if kind is None:
        value = "L" + hashlib.sha256(name.encode()).hexdigest()[:12].upper()
        kind = CodedConcept(value=value, scheme=PRIVATE_SCHEME, meaning=name[:64])
    hue = (number - 1) * _GOLDEN_ANGLE % 1
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.65, 0.95))
    return LabelDescription(
        number=number,
        name=name[:64],
        category=category,
        type=kind,
        laterality=laterality,
        colour_rgb=(red, green, blue),
    )


def notes_on_labels(output: Output) -> tuple[str, ...]:
    """What to say of labels whose types have no code that others know."""
    uncoded = [label.name for label in output.labels if label.type.scheme == PRIVATE_SCHEME]
    if not uncoded:
        return ()
    return (f"no code is known for {', '.join(uncoded)}; private ones are written into segmentations",)


@cache
def _concepts() -> dict[str, tuple[CodedConcept, CodedConcept]]:
    """Category and type by the words of the type's meaning."""
    from pydicom.sr.codedict import codes

    found: dict[str, tuple[CodedConcept, CodedConcept]] = {}
    for group, category in ((codes.cid7194, _ALTERED), (codes.cid7192, _ANATOMY)):
        for code in group.concepts.values():
            if len(code.value) <= 16 and len(code.meaning) <= 64:
                kind = CodedConcept(value=code.value, scheme=code.scheme_designator, meaning=code.meaning)
                found[" ".join(re.findall("[a-z0-9]+", code.meaning.lower()))] = category, kind
    return found
