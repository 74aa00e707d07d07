"""The table of a cohort, for programs and for people."""

from __future__ import annotations

import csv
import io
import re

import pyarrow.parquet
import pytest

from dlp_lab.cohort.case import CaseRecord
from dlp_lab.cohort.summary_page import summary_page
from dlp_lab.cohort.summary_table import summary_csv, summary_parquet, summary_rows
from tests.cohort.conftest import Runs
from tests.phantom import write_phantom_series

RECORDS = [
    CaseRecord(case_id="a", state="succeeded", job="0" * 32, params={"sigma_mm": 1, "mode": "nearest"}, seconds=0.5),
    CaseRecord(case_id="b", state="failed", message='"<b>&', error_code="X", params={"sigma_mm": 2.5, "mode": "=1+1"}),
    CaseRecord(case_id="c", params={"sigma_mm": [1, 2], "mode": "-"}, measured={"liver (ml)": 12.5}),
]


def test_the_table_has_a_row_for_each_case_and_a_column_for_each_parameter_and_measurement() -> None:
    columns, rows = summary_rows(RECORDS)
    read = list(csv.DictReader(io.StringIO(summary_csv(columns, rows).decode())))
    assert [row["case"] for row in read] == ["a", "b", "c"]
    assert [row["param sigma_mm"] for row in read] == ["1", "2.5", "[1, 2]"]
    assert [row["measured liver (ml)"] for row in read] == ["", "", "12.5"]
    assert [row["report"] for row in read] == ["", "cases/b/failure.html", ""]


def test_no_spreadsheet_takes_a_text_for_a_formula() -> None:
    columns, rows = summary_rows(RECORDS)
    read = list(csv.DictReader(io.StringIO(summary_csv(columns, rows).decode())))
    assert [row["param mode"] for row in read] == ["nearest", "'=1+1", "'-"]


def test_the_parquet_file_holds_the_same_as_the_csv(run: Runs) -> None:
    cohort = run()
    columns = pyarrow.parquet.read_table(cohort.path / "summary.parquet").to_pydict()
    with open(cohort.path / "summary.csv", newline="") as file:
        read = list(csv.DictReader(file))
    assert columns["case"] == [row["case"] for row in read]
    assert columns["seconds"] == [float(row["seconds"]) for row in read]
    assert columns["report"] == [None] * 3


def test_a_column_of_numbers_and_texts_holds_texts_in_parquet() -> None:
    content = summary_parquet(*summary_rows(RECORDS))
    assert content is not None
    table = pyarrow.parquet.read_table(io.BytesIO(content)).to_pydict()
    assert table["param sigma_mm"] == ["1", "2.5", "[1, 2]"]
    assert table["attempts"] == [0, 0, 0]


@pytest.mark.parametrize("others", [1, 2.5, "many"])
def test_numbers_of_any_size_are_in_every_table(others: float | str) -> None:
    huge = 10**400
    records = [CaseRecord(case_id="a", params={"n": huge}), CaseRecord(case_id="b", params={"n": others})]
    content = summary_parquet(*summary_rows(records))
    assert content is not None
    read = pyarrow.parquet.read_table(io.BytesIO(content)).to_pydict()
    assert read["param n"] == [str(huge), str(others)]
    assert f">{huge}<" in summary_page("x", "3dblur", records, {}, "../out", is_running=False).decode()


def test_a_column_of_yes_and_no_is_sorted_as_text() -> None:
    records = [CaseRecord(case_id=name, params={"flag": name == "a"}) for name in "ab"]
    page = summary_page("x", "3dblur", records, {}, "../out", is_running=False).decode()
    assert '<th scope="col"><button>flag</button></th>' in page


def test_everything_on_the_page_is_escaped_and_only_its_own_script_and_style_may_run() -> None:
    page = summary_page("<x>", "3dblur", RECORDS, {"a": b"png"}, "../out", is_running=True).decode()
    assert "<x>" not in page and "<b>&" not in page and "&quot;&lt;b&gt;&amp;" in page
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None and "unsafe" not in policy[1] and policy[1].count("sha256-") == 2
    assert '<meta http-equiv="refresh" content="5">' in page
    done = summary_page("x", "3dblur", RECORDS, {}, "../out", is_running=False).decode()
    assert "refresh" not in done


def test_the_links_of_the_summary_lead_somewhere(run: Runs) -> None:
    write_phantom_series(run.root / "gap", shape=(9, 5, 6)).files[4].unlink()
    page = run().summary.read_text()
    links = re.findall(r'href="([^"]+)"', page)
    assert len(links) == 4
    for link in links:
        assert (run.out / link).exists(), link


@pytest.mark.parametrize("ending", ["csv", "html"])
def test_whoever_reads_the_summary_while_it_is_written_reads_a_whole_one(run: Runs, ending: str) -> None:
    path = run().path / f"summary.{ending}"
    with open(path) as reader:
        run(params={"sigma_mm": 5})
        old = reader.read()
    assert old != path.read_text()
    assert ("</html>" in old) if ending == "html" else old.count("\n") == 4
