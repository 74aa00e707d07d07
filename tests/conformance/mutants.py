"""Derived series that are wrong, each in one way, and what must find it.

`EQUIVALENTS` are changes that leave the series as right as it was, with the reason; nothing may be found in them.
"""

from __future__ import annotations

from tests.conformance import content_mutants, frame_mutants, identity_mutants
from tests.conformance.mutation import Equivalent, Mutant, each, in_references, setting, without

MUTANTS: tuple[Mutant, ...] = (*identity_mutants.MUTANTS, *content_mutants.MUTANTS, *frame_mutants.MUTANTS)

EQUIVALENTS: tuple[Equivalent, ...] = (
    Equivalent(
        "images numbered from the other end",
        "InstanceNumber has no order that the standard knows; the place is ImagePositionPatient",
        each(lambda ds, k, source: setattr(ds, "InstanceNumber", 100 - k)),
    ),
    Equivalent("another SeriesDescription", "it is free text", setting("SeriesDescription", "smooth")),
    Equivalent("no window", "viewers then choose one (PS3.3 C.11.2.1.2)", without("WindowCenter", "WindowWidth")),
    Equivalent(
        "other contributing sources in another order",
        "only the first reference has a meaning of its own",
        in_references(lambda items: items.append(items.pop(1))),
    ),
    Equivalent(
        "extremes that are true",
        "they may be recomputed instead of dropped",
        each(lambda ds, k, source: ds.add_new(0x00280106, "SS", int(ds.pixel_array.min()))),
    ),
    Equivalent("RescaleType of CT left out", "HU is implied (PS3.3 C.8.2.1.1.2)", without("RescaleType")),
    Equivalent(
        "padded patient ID", "spaces at the end say nothing (PS3.5 6.2)", setting("PatientID", "PHANTOM-1   "), "MR"
    ),
    *frame_mutants.EQUIVALENTS,
)
