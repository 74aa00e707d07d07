"""A job whose result cannot be written leaves nothing, whatever its form."""

from __future__ import annotations

import errno
import resource
import signal
from pathlib import Path

import pytest

from dlp_lab.dicom.options import OUTPUT_FORMS, OutputForm
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.pipeline import run_job
from dlp_lab.store.workspace import Workspace
from tests.enhanced_phantom import write_enhanced_phantom
from tests.phantom import write_phantom_series

UID = "a" * 32


@pytest.mark.parametrize("limit", [2_000, 20_000], ids=["in the header", "in the pixels"])
@pytest.mark.parametrize("enhanced", [False, True], ids=["classic", "enhanced"])
@pytest.mark.parametrize("form", OUTPUT_FORMS)
def test_a_full_disk_is_told_as_the_system_tells_it_and_leaves_nothing(
    tmp_path: Path, form: OutputForm, enhanced: bool, limit: int
) -> None:
    if enhanced:
        write_enhanced_phantom(tmp_path / "source/file.dcm", shape=(5, 128, 128))
    else:
        write_phantom_series(tmp_path / "source", shape=(5, 128, 128))
    workspace = Workspace(tmp_path)
    workspace.create()
    job = Job(
        uid=UID,
        task="3dblur",
        input_dir="source",
        params={},
        keep_hdf5=False,
        state="running",
        submitted_at="",
        output_form=form,
    )
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # a write beyond this size fails as it does on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with pytest.raises(OSError) as refused:
            run_job(workspace, job, lambda fraction, message: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert refused.value.errno == errno.EFBIG
    left = [path.name for path in workspace.output_folder.iterdir()]
    assert left == [".dlp-lab"]
