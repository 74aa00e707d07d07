"""How many wrong derived series `dlp-lab check` finds, and by which layer.

    python -m tools.mutants

Ends with status 1 if one is missed, or if a change that is no mistake is held against the series.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path

from dlp_lab.conformance.check import check_derived
from dlp_lab.conformance.findings import CheckReport
from tests.conformance.mutants import EQUIVALENTS, MUTANTS
from tests.conformance.mutation import Equivalent, Jobs, Mutant, all_jobs

LAYERS = ("validators", "rules", "geometry", "values")


def check_mutant(jobs: Jobs, mutant: Mutant | Equivalent, folder: Path) -> CheckReport:
    """Spoil a copy of a right derived series and check it.

    Args:
        jobs: Right results.
        mutant: What to do to it.
        folder: Made for the copy.
    """
    files = jobs[mutant.modality, mutant.form].copied_to(folder)
    mutant.change(files)
    return check_derived(files.source, files.derived)


def is_found(mutant: Mutant, report: CheckReport) -> bool:
    """Whether all the rules that the mutant breaks say so."""
    return set(mutant.found_by) <= report.codes


def _named(change: Mutant | Equivalent) -> str:
    return change.name if change.form == "series" else f"{change.form}: {change.name}"


def main() -> int:
    """Print the matrix and the score."""
    warnings.simplefilter("ignore")  # pydicom's, about the wrong values that mutants have on purpose
    found, blamed = 0, 0
    with tempfile.TemporaryDirectory() as made:
        jobs = all_jobs(Path(made))
        print(f"{'mutant':<60}" + "".join(f"{layer:>12}" for layer in LAYERS))
        for number, mutant in enumerate(MUTANTS):
            report = check_mutant(jobs, mutant, Path(made, f"mutant{number}"))
            found += is_found(mutant, report)
            finders = {finding.layer for finding in report.findings}
            marks = "".join(f"{'X' if layer in finders else '.':>12}" for layer in LAYERS)
            print(f"{_named(mutant):<60}{marks}{'' if is_found(mutant, report) else '   MISSED'}")
        for number, equivalent in enumerate(EQUIVALENTS):
            report = check_mutant(jobs, equivalent, Path(made, f"equivalent{number}"))
            blamed += not report.holds
            print(f"no mistake: {_named(equivalent)} ({equivalent.reason}){'' if report.holds else '   BLAMED'}")
    print(
        f"\n{found} of {len(MUTANTS)} mutants found, {blamed} of {len(EQUIVALENTS)} changes blamed that are no mistake"
    )
    return int(found < len(MUTANTS) or blamed > 0)


if __name__ == "__main__":
    sys.exit(main())
