"""A disk that is full for a while, for real: the output folder is a small filesystem of its own. Linux."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.phantom import write_phantom_series

IN_A_SMALL_FILESYSTEM = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child"]
TRY = [*IN_A_SMALL_FILESYSTEM, "sh", "-c", 'mount -t tmpfs -o size=64k tmpfs "$0"']

PROGRAM = """
import os, subprocess, sys, time
from pathlib import Path
from dlp_lab.errors import DiskFull
from dlp_lab.jobs.job import JobRequest
from dlp_lab.jobs.service import JobService
from dlp_lab.jobs.queue_limits import QueueLimits
from dlp_lab.store.workspace import Workspace

root = Path(sys.argv[1])
output = root / "dlp-lab-output"
output.mkdir()
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", output], check=True)
workspace = Workspace(root)
service = JobService(workspace, slots=1, limits=QueueLimits(least_free_bytes=0))
request = JobRequest(task="3dblur", input_dir="dicom_data")

def wait_for(reached):
    until = time.monotonic() + 120
    while not reached():
        assert time.monotonic() < until, service.newest(1)
        time.sleep(0.05)

def fill(left_bytes):
    with open(output / "ballast", "wb") as ballast:
        while (free := os.statvfs(output).f_bavail * os.statvfs(output).f_frsize - left_bytes) > 0:
            ballast.write(b"x" * min(free, 2**16))
            ballast.flush()

first = service.submit(request)
wait_for(lambda: service.get(first.uid).ended)
assert service.get(first.uid).state == "succeeded", service.get(first.uid)
print("before: succeeded")

# no room for the result; some for the queue
fill(200_000)
large = JobRequest(task="3dblur", input_dir="large")
second = service.submit(large)
wait_for(lambda: "no room" in service.get(second.uid).message)
print("full:", service.get(second.uid).state)
partial = [path.name for path in output.iterdir() if path.name.startswith(".") and path.name != ".dlp-lab"]
assert partial == [] and not (output / second.uid).exists(), partial

# no room for the queue either
fill(0)
try:
    for _ in range(2000):
        service.submit(request)
    print("taken without room")
except DiskFull as error:
    print("refused:", error.http_status)
assert service.get(first.uid).state == "succeeded"
try:
    JobService(workspace, limits=QueueLimits())
    print("started without room")
except DiskFull as error:
    print("not started:", error.http_status)

(output / "ballast").unlink()
third = service.submit(request)
wait_for(lambda: service.get(second.uid).ended and service.get(third.uid).ended)
print("after:", service.get(second.uid).state, service.get(third.uid).state)
service.close()
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare on this machine")
def test_who_meets_a_full_disk_says_so_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    if subprocess.run([*TRY, str(tmp_path)], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a filesystem of their own")
    root = tmp_path / "root"
    write_phantom_series(root / "dicom_data")
    write_phantom_series(root / "large", shape=(16, 128, 128))
    done = subprocess.run(
        [*IN_A_SMALL_FILESYSTEM, sys.executable, "-c", PROGRAM, str(root)], capture_output=True, text=True, timeout=280
    )
    assert done.stdout.splitlines() == [
        "before: succeeded",
        "full: queued",
        "refused: 507",
        "not started: 507",
        "after: succeeded succeeded",
    ], done.stderr
