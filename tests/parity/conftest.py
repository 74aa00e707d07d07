from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

JUDGES = {"test_nnunet.py": "nnunetv2", "test_monai.py": "monai"}
collect_ignore = [test for test, judge in JUDGES.items() if find_spec(judge) is None]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    from tests.parity.comparison import COMPARED, HEADER

    if COMPARED:
        table = "\n".join([HEADER, *(made.row() for made in COMPARED)])
        Path("build/parity.md").write_text(table + "\n")
        terminalreporter.write_line("")
        terminalreporter.write_line(table)
