"""What is waited for when a program starts: only what it needs is loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from dlp_lab.jobs.service import JobService
from dlp_lab.store.workspace import Workspace

LARGE = ("numpy", "pydicom", "scipy", "h5py", "imagecodecs", "llvmlite", "onnxruntime", "tornado", "tqdm")


def loaded_after(program: str) -> set[str]:
    """Which of the large packages are in memory after a program, in a process of its own."""
    shown = f"\nimport sys, json; print(json.dumps([name for name in {LARGE} if name in sys.modules]))"
    ran = subprocess.run([sys.executable, "-c", program + shown], check=True, capture_output=True, text=True)
    return set(json.loads(ran.stdout.splitlines()[-1]))


def test_a_module_that_is_not_loaded_yet_cannot_be_imported_where_it_is_left_out() -> None:
    program = """
from dlp_lab.left_out import left_out
with left_out("colorsys"):
    try:
        import colorsys
    except ImportError:
        pass
    else:
        raise SystemExit("it was imported")
import colorsys
"""
    assert loaded_after(program) == set()


def test_pydicom_is_loaded_without_what_nobody_asks_it_for_and_reads_all_the_same(tmp_path: Path) -> None:
    program = """
from dlp_lab.dicom.quick_start import load_pydicom
load_pydicom()
import sys
assert not {"requests", "gdcm", "tqdm"} & set(sys.modules), set(sys.modules)
from pydicom.data import get_testdata_file
from pydicom import dcmread
assert dcmread(get_testdata_file("CT_small.dcm")).PatientID
"""
    assert loaded_after(program) == {"numpy", "pydicom"}


def test_a_listing_of_jobs_and_a_help_load_no_large_library(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    JobService(workspace, dispatch=False).close()
    listing = f"from dlp_lab.cli import main; assert main(['jobs', '--root', {str(tmp_path)!r}]) == 0"
    assert loaded_after(listing) == set()
    helped = """
from dlp_lab.cli import main
try:
    main(["--help"])
except SystemExit:
    pass
"""
    assert loaded_after(helped) == set()


def test_what_is_loaded_for_one_job_starts_no_thread_and_has_what_every_job_needs() -> None:
    program = """
import dlp_lab.jobs.first_preload
import os
assert os.listdir("/proc/self/task") == [str(os.getpid())], "a thread, which does not survive a fork"
"""
    assert loaded_after(program) == {"numpy", "pydicom", "imagecodecs"}


def test_the_stand_alone_server_starts_without_a_grammar_of_addresses() -> None:
    program = """
from dlp_lab.cli import main
try:
    main(["serve", "--help"])
except SystemExit:
    pass
import sys
assert "jsonschema" in sys.modules and "rfc3987_syntax" not in sys.modules
"""
    assert loaded_after(program) == {"tornado"}
