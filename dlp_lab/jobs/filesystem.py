"""What kind of filesystem a file is on."""

from __future__ import annotations

import os
from pathlib import Path

_NETWORK_TYPES = ("nfs", "cifs", "smb", "fuse.sshfs", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "afs", "9p")


def is_on_network(path: Path) -> bool:
    """Whether another machine may see the same file. Answers False where the system does not tell (not Linux)."""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return False
    real = os.path.realpath(path)
    best_folder, best_type = "", ""
    for mount in mounts:
        _, folder, kind, *_ = mount.split(" ")
        folder = folder.replace("\\040", " ")
        inside = real == folder or real.startswith(folder.rstrip("/") + "/")
        # A later mount on the same folder hides the earlier one.
        if inside and len(folder) >= len(best_folder):
            best_folder, best_type = folder, kind
    return best_type.startswith(_NETWORK_TYPES)
