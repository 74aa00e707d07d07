from __future__ import annotations

from pathlib import Path

import pytest

from dlp_lab.jobs.filesystem import is_on_network

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
/dev/sdb1 /home/local ext4 rw 0 0
//server/share /mnt/with\\040space cifs rw 0 0
server:/x /twice nfs rw 0 0
tmpfs /twice tmpfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/data", False),
        ("/home/someone", True),
        ("/home", True),
        ("/homes", False),
        ("/home/local/x", False),
        ("/mnt/with space/x", True),
        ("/twice/x", False),
    ],
)
def test_a_file_is_on_the_network_when_the_mount_nearest_to_it_is(
    monkeypatch: pytest.MonkeyPatch, path: str, expected: bool
) -> None:
    monkeypatch.setattr(Path, "read_text", lambda self, **options: MOUNTS)
    monkeypatch.setattr("os.path.realpath", lambda path: str(path))
    assert is_on_network(Path(path)) is expected


def test_where_the_system_does_not_tell_it_is_taken_for_local(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Path, **options: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", fail)
    assert not is_on_network(Path("/home"))
