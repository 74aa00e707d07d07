"""A cohort of 100 cases, 5 of which are broken in different ways: 95 results, and 5 pages that say why there is none.

    python -m tools.broken_cohort [FOLDER] [--cases 100] [--no-reports]

FOLDER, a new one, keeps root, cohort and results; else they are removed. Prints what each broken case says, then what a
second run executes, and what a third after one of them was mended. Exit status 1 if anything is not as it should be.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import dlp_lab as dlp
from dlp_lab.jobs.handle import job_service
from dlp_lab.store.workspace import Workspace
from tests.phantom import Phantom, write_phantom_series, write_undecodable_series

REPORT = Path(__file__).parents[1] / "notebooks/batch/case-report.ipynb"
SHAPE = (12, 48, 64)


def _without_a_slice(folder: Path) -> None:
    _series(folder).files[6].unlink()


def _cut_off(folder: Path) -> None:
    path = _series(folder).files[3]
    path.write_bytes(path.read_bytes()[:-900])


def _no_dicom(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("exported to another place")


def _two_at_one_place(folder: Path) -> None:
    _series(folder, seed=1)
    for path in _series(folder / "again", seed=2).files[:2]:
        path.rename(folder / f"again-{path.name}")


BROKEN: dict[int, tuple[str, Callable[[Path], None]]] = {
    13: ("MISSING_SLICES", _without_a_slice),
    29: ("MALFORMED", write_undecodable_series),
    47: ("TRUNCATED", _cut_off),
    71: ("NO_DICOM", _no_dicom),
    88: ("MULTIPLE_SERIES", _two_at_one_place),
}


def _series(folder: Path, seed: int = 0) -> Phantom:
    return write_phantom_series(
        folder, modality="MR", shape=SHAPE, spacing_kji_mm=(4.0, 0.9, 0.8), orientation="axial", seed=seed
    )


def write_cases(root: Path, count: int) -> Path:
    """The cases, those of `BROKEN` as they are said to be, and their table."""
    lines = ["case,folder"]
    for number in range(1, count + 1):
        folder = root / "cases" / f"{number:03}"
        _, make = BROKEN.get(number, ("", None))
        if make is None:
            _series(folder, seed=number)
        else:
            make(folder)
        lines.append(f"phantom-{number:03},cases/{number:03}")
    table = root / "cases.csv"
    table.write_text("\n".join(lines) + "\n")
    return table


def show(root: Path, count: int, notebook: Path | None) -> bool:
    """Run the cohort three times, and say whether all is as it should be."""
    table = write_cases(root, count)
    broken = {f"phantom-{number:03}": code for number, (code, _) in BROKEN.items() if number <= count}
    cohort = dlp.run_cohort(table, "3dblur", out=root / "blurred", root=root, params={"sigma_mm": 2}, notebook=notebook)
    print(cohort)
    for record in cohort.failed:
        print(f"  {record.case_id}  {record.error_code}: {record.message}")
    is_right = {record.case_id: record.error_code for record in cohort.failed} == broken
    pages = {path.parent.name for path in cohort.path.glob("cases/*/failure.html")}
    is_right &= pages == set(broken)

    again = dlp.run_cohort(table, "3dblur", out=root / "blurred", root=root, params={"sigma_mm": 2}, notebook=notebook)
    print(f"again: {again}")
    is_right &= (again.jobs, again.reports) == (0, 0)

    if count >= 13:
        _series(root / "cases/013")
        mended = dlp.run_cohort(
            table, "3dblur", out=root / "blurred", root=root, params={"sigma_mm": 2}, notebook=notebook
        )
        print(f"one mended: {mended}")
        is_right &= mended.jobs == 1 and len(mended.failed) == len(broken) - 1
    print(cohort.summary)
    return is_right


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--no-reports", action="store_true")
    arguments = parser.parse_args()
    notebook = None if arguments.no_reports else REPORT
    with tempfile.TemporaryDirectory(prefix="dlp-") as temporary:
        root = arguments.folder or Path(temporary)
        root.mkdir(parents=True, exist_ok=True)
        is_right = show(root, arguments.cases, notebook)
        job_service(Workspace(root)).close()
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
