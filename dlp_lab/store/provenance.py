"""How a result came about, for the record beside it."""

from __future__ import annotations

import platform
from importlib.metadata import version

from dlp_lab import __version__

_PACKAGES = ("numpy", "scipy", "pydicom", "h5py")


def software_versions() -> dict[str, str]:
    """Versions of what took part in a result."""
    return {"dlp-lab": __version__, "python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}
