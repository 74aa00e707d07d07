"""How near our labels and probabilities are to those of a judge, and the table of all that was compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlp_lab.models.importers.importing import Wishes, imported_model
from dlp_lab.models.inference import segment
from dlp_lab.models.network import load
from dlp_lab.models.package import read_package
from dlp_lab.volume import Volume

LEAST_EQUAL = 0.999
MOST_APART = 1e-3
_HALF_A_STEP = 0.5 / 255
"""Our probabilities are kept in 255 steps."""


@dataclass(frozen=True)
class Verdict:
    """What a judge found on the grid of a volume: labels `(k, j, i)`, probabilities `(label, k, j, i)` or None."""

    labels: np.ndarray
    probabilities: np.ndarray | None


@dataclass(frozen=True)
class Comparison:
    """A row of the table: the share of equal labels, and how far apart probabilities are beyond their rounding."""

    case: str
    judge: str
    voxels: int
    labels: int
    equal: float
    apart: float | None

    def row(self) -> str:
        apart = "" if self.apart is None else f"{self.apart:.0e}"
        return f"| {self.case} | {self.judge} | {self.voxels:,} | {self.labels} | {100 * self.equal:.4f} % | {apart} |"


HEADER = """| model and volume | judge | voxels | labels found | labels equal | probabilities apart |
|---|---|---|---|---|---|"""

COMPARED: list[Comparison] = []


@dataclass(frozen=True)
class Found:
    """What we found: labels, and fractions `(label, k, j, i)` where a model gives probabilities."""

    labels: np.ndarray
    fractions: np.ndarray | None


def ours(source: Path, volumes: Sequence[Volume], scratch: Path) -> Found:
    """Import a model and run it on the volumes of its channels."""
    imported = imported_model(source, Wishes(name="judged", modality=volumes[0].modality))
    scratch.mkdir(parents=True, exist_ok=True)
    imported.write(scratch)
    with_fractions = imported.description.output.back_to_source != "labels"
    found = segment(load(read_package(scratch)), volumes, with_fractions=with_fractions)
    return Found(found.voxels, found.fractions)


def compare(case: str, judge: str, found: Found, verdict: Verdict) -> Comparison:
    """Compare, and remember it for the table. Probabilities are compared where the judge has some."""
    apart = None
    if found.fractions is not None and verdict.probabilities is not None:
        known = verdict.probabilities.max(axis=0) > 0
        difference = np.abs(found.fractions / 255 - verdict.probabilities)[:, known]
        apart = max(0.0, float(difference.max()) - _HALF_A_STEP)
    made = Comparison(
        case,
        judge,
        verdict.labels.size,
        len(np.unique(verdict.labels)) - 1,
        float((found.labels == verdict.labels).mean()),
        apart,
    )
    COMPARED.append(made)
    return made
