"""The checker finds every way to be wrong that we could think of, and nothing else."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from dlp_lab.conformance.check import check_derived
from dlp_lab.conformance.rules import RULES
from tests.conformance.mutants import EQUIVALENTS, MUTANTS
from tests.conformance.mutation import Equivalent, Files, Mutant, job_output
from tools.mutants import check_mutant, is_found

# pydicom's, about the wrong values that mutants have on purpose
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Files]:
    root = tmp_path_factory.mktemp("jobs")
    return {modality: job_output(root / modality, modality) for modality in ("CT", "MR", "PT")}


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_a_derived_series_of_a_job_passes_all_layers(jobs: dict[str, Files], modality: str) -> None:
    report = check_derived(jobs[modality].source, jobs[modality].derived)
    assert report.findings == ()
    assert not any(layer.skipped for layer in report.layers)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_found_by_the_rules_it_breaks(jobs: dict[str, Files], tmp_path: Path, mutant: Mutant) -> None:
    report = check_mutant(jobs, mutant, tmp_path / "derived")
    assert is_found(mutant, report), report.codes


@pytest.mark.parametrize("equivalent", EQUIVALENTS, ids=lambda equivalent: equivalent.name)
def test_a_change_that_is_no_mistake_is_not_held_against_it(
    jobs: dict[str, Files], tmp_path: Path, equivalent: Equivalent
) -> None:
    assert check_mutant(jobs, equivalent, tmp_path / "derived").findings == ()


def test_every_rule_is_broken_by_a_mutant() -> None:
    broken = {code for mutant in MUTANTS for code in mutant.found_by}
    assert {f"rules:{rule.code}" for rule in RULES} - broken == set()


def test_names_are_used_once() -> None:
    for names in (
        [mutant.name for mutant in MUTANTS],
        [equivalent.name for equivalent in EQUIVALENTS],
        [rule.code for rule in RULES],
    ):
        assert [name for name, count in Counter(names).items() if count > 1] == []
