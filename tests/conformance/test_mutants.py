"""The checker finds every way to be wrong that we could think of, and nothing else."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from dlp_lab.conformance.check import check_derived
from dlp_lab.conformance.rules import RULES
from dlp_lab.dicom.options import OUTPUT_FORMS, OutputForm
from tests.conformance.mutants import EQUIVALENTS, MUTANTS
from tests.conformance.mutation import Equivalent, Jobs, Mutant, all_jobs
from tools.mutants import check_mutant, is_found

# pydicom's, about the wrong values that mutants have on purpose
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    return all_jobs(tmp_path_factory.mktemp("jobs"))


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
@pytest.mark.parametrize("form", OUTPUT_FORMS)
def test_the_result_of_a_job_passes_all_layers(jobs: Jobs, modality: str, form: OutputForm) -> None:
    report = check_derived(jobs[modality, form].source, jobs[modality, form].derived)
    assert report.findings == ()
    assert not any(layer.skipped for layer in report.layers)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.form}: {mutant.name}")
def test_a_mutant_is_found_by_the_rules_it_breaks(jobs: Jobs, tmp_path: Path, mutant: Mutant) -> None:
    report = check_mutant(jobs, mutant, tmp_path / "derived")
    assert is_found(mutant, report), report.codes


@pytest.mark.parametrize("equivalent", EQUIVALENTS, ids=lambda equivalent: equivalent.name)
def test_a_change_that_is_no_mistake_is_not_held_against_it(jobs: Jobs, tmp_path: Path, equivalent: Equivalent) -> None:
    assert check_mutant(jobs, equivalent, tmp_path / "derived").findings == ()


def test_every_rule_is_broken_by_a_mutant() -> None:
    broken = {code for mutant in MUTANTS for code in mutant.found_by}
    assert {f"rules:{rule.code}" for rule in RULES} - broken == set()


def test_names_are_used_once() -> None:
    for names in (
        [f"{mutant.form}: {mutant.name}" for mutant in MUTANTS],
        [equivalent.name for equivalent in EQUIVALENTS],
        [rule.code for rule in RULES],
    ):
        assert [name for name, count in Counter(names).items() if count > 1] == []
