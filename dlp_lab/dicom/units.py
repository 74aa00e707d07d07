"""The units of values as codes (PS3.3 C.7.6.16.2.11.1, PS3.16 CID 83)."""

from __future__ import annotations

import re

from pydicom.dataset import Dataset

from dlp_lab.dicom.derived_header import code_item

_UCUM = {
    "HU": ("[hnsf'U]", "Hounsfield unit"),
    "MGML": ("mg/ml", "Milligrams/milliliter"),
    "PCT": ("%", "Percent"),
    "BQML": ("Bq/ml", "Becquerels/milliliter"),
    "CNTS": ("{counts}", "Counts"),
    "CPS": ("{counts}/s", "Counts per second"),
    "PROPCNTS": ("{propcounts}", "Proportional to counts"),
    "PROPCPS": ("{propcounts}/s", "Proportional to counts per second"),
    "PCNT": ("%", "Percent"),
    "CM2": ("cm2", "Centimeter**2"),
    "CM2ML": ("cm2/ml", "Centimeter**2/milliliter"),
    "MGMINML": ("mg/min/ml", "Milligrams/minute/milliliter"),
    "UMOLMINML": ("umol/min/ml", "Micromole/minute/milliliter"),
    "UMOLML": ("umol/ml", "Micromole/milliliter"),
    "MLMING": ("ml/min/g", "Milliliter/minute/gram"),
    "MLG": ("ml/g", "Milliliter/gram"),
    "1CM": ("/cm", "/Centimeter"),
    "GML": ("g/ml", "Gram/milliliter"),
}
"""By RescaleType (PS3.3 C.11.1.1.2) or Units of PET (C.8.9.1.1.3)."""

_NO_UNIT = ("1", "no units")
_ANNOTATION = re.compile(r"[A-Za-z0-9_]{1,14}")

_QUANTITIES = {"HU": ("112031", "DCM", "Attenuation Coefficient")}


def unit_code(unit: str | None) -> Dataset:
    """UCUM code of a unit; `1` where there is none.

    A unit that UCUM does not have becomes an annotation, such as `{ED}`, which it reads as a number without unit.
    """
    known = _UCUM.get(unit or "")
    if known is None and unit not in (None, "US", "NONE") and _ANNOTATION.fullmatch(unit):
        known = f"{{{unit}}}", unit
    value, meaning = known or _NO_UNIT
    return code_item(value, "UCUM", meaning)


def quantity_code(unit: str | None) -> Dataset | None:
    """What is measured in a unit, where that is certain."""
    known = _QUANTITIES.get(unit or "")
    return code_item(*known) if known else None
