"""What figures were measured on: processor and caches, memory, system, and the versions of all peers."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path

PACKAGES = (
    *("numpy", "scipy", "llvmlite", "opencv-python-headless", "SimpleITK", "pydicom", "dicomsdl", "h5py", "zarr"),
    *("nibabel", "onnxruntime", "imagecodecs", "joblib"),
)
"""Those beside us whose version decides about figures."""
PEERS = ("torch", "monai", "nnunetv2", "itk", "onnxruntime")
"""Those in the environment of the peers."""
_CPUINFO, _CACHES = Path("/proc/cpuinfo"), Path("/sys/devices/system/cpu/cpu0/cache")
_VERSIONS = """
import json, sys
from importlib import metadata
def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
print(json.dumps({name: version(name) for name in sys.argv[1:]}))
"""


def machine(peers_python: Path | None = None) -> dict[str, object]:
    """Names and values, the load and the time of now among them.

    Args:
        peers_python: Of the environment of the peers, where there may be one.
    """
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "caches": _caches(),
        "memory_gib": round(memory_gib, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": _packages(),
        "peers": _packages_of(peers_python) if peers_python and peers_python.exists() else {},
        "load": round(os.getloadavg()[0], 1),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def sentence(known: dict[str, object]) -> str:
    """The same for readers, in Markdown."""

    def listed(versions: object) -> str:
        assert isinstance(versions, dict)
        return ", ".join(f"{name} {version}" for name, version in versions.items())

    caches = f" (caches: {known['caches']})" if known["caches"] else ""
    parts = [
        f"Measured {known['when']} on {known['cores']} cores of {known['processor']}{caches}, "
        f"{known['memory_gib']} GiB of memory, {known['system']}, Python {known['python']}; "
        f"load {known['load']} before the start.",
        f"With {listed(known['packages'])}.",
    ]
    if known["peers"]:
        parts.append(f"In an environment of their own: {listed(known['peers'])}.")
    return " ".join(parts)


def _processor() -> str:
    if _CPUINFO.exists():
        for line in _CPUINFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _caches() -> str:
    """As `L1d 32K, L2 1024K, L3 32768K`; empty where the system does not tell."""
    found = []
    for folder in sorted(_CACHES.glob("index*")):
        level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction":
            found.append(f"L{level}{'d' if kind == 'Data' else ''} {size}")
    return ", ".join(found)


@cache
def _packages() -> dict[str, str]:
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


@cache
def _packages_of(python: Path) -> dict[str, str]:
    told = subprocess.run([str(python), "-c", _VERSIONS, *PEERS], capture_output=True, text=True, check=True).stdout
    return {name: version for name, version in json.loads(told).items() if version}
