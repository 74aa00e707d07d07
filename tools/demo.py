"""The demo: blur a real MR series through a Jupyter server, check the result, draw it before and after.

    python -m tools.demo SLICES_DIR DEMO_DIR

Ends with status 0 only if the derived series was read again and its values are those of scipy's Gaussian.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

import dlp_lab as dlp
from dlp_lab.widgets.planes import planes_png

SIGMA_MM = 3.0
INPUT = "brain-mr"
BAR = 30


@dataclass(frozen=True)
class Server:
    """A running Jupyter server."""

    url: str
    token: str

    def ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """GET, or POST with a body; the JSON of the reply."""
        request = urllib.request.Request(
            f"{self.url}dlp-lab/api/v1/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {self.token}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                answer: dict[str, Any] = json.load(reply)
                return answer
        except urllib.error.HTTPError as error:
            raise SystemExit(f"the server refused: {error.read().decode()}") from None


@contextmanager
def jupyter_server(root: Path) -> Iterator[Server]:
    """A Jupyter server on a free loopback port, with settings of its own."""
    with tempfile.TemporaryDirectory() as home:
        token = secrets.token_hex(16)
        environment = os.environ | {
            "JUPYTER_TOKEN": token,
            "JUPYTER_RUNTIME_DIR": f"{home}/runtime",
            "JUPYTER_CONFIG_DIR": f"{home}/config",
        }
        command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--ip=127.0.0.1", "--port=0", "--allow-root"]
        with open(f"{home}/log", "w+") as log:
            process = subprocess.Popen(
                [*command, f"--ServerApp.root_dir={root}"], env=environment, stdout=log, stderr=subprocess.STDOUT
            )
            try:
                yield Server(_url_of(process, Path(home), Path(log.name)), token)
            finally:
                process.terminate()
                process.wait(20)


def _url_of(process: subprocess.Popen[bytes], home: Path, log: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        for info in home.glob("runtime/jpserver-*.json"):
            try:
                url = str(json.loads(info.read_text())["url"])
                with urllib.request.urlopen(f"{url}api", timeout=30):
                    return url
            except (ValueError, urllib.error.URLError):
                break  # being written, or about to listen
        time.sleep(0.05)
    raise SystemExit(f"the Jupyter server did not start:\n{log.read_text()}")


def run(server: Server, task: str, params: dict[str, Any]) -> dict[str, Any]:
    """Submit a job on the series in `INPUT` and show its progress until it ends."""
    job = server.ask("jobs", {"task": task, "input_dir": INPUT, "params": params})
    while True:
        job = server.ask(f"jobs/{job['uid']}")
        filled = round(BAR * job["progress"])
        print(f"\r  [{'#' * filled}{'.' * (BAR - filled)}] {job['state']}: {job['message']:<45.45}", end="", flush=True)
        if job["state"] in ("succeeded", "failed", "cancelled"):
            print()
            return job
        time.sleep(0.05)


def check(source: dlp.Volume, derived: dlp.Volume) -> float:
    """Greatest difference between the derived series and scipy's Gaussian of the source, in stored units."""
    sigma = [SIGMA_MM / mm for mm in source.geometry.spacing_kji_mm]
    expected = ndimage.gaussian_filter(source.voxels.astype(np.float32), sigma, mode="nearest")
    return float(np.abs(derived.voxels - expected).max())


def main(slices: Path, demo: Path) -> int:
    """Run the demo in the folder `demo`, which is made anew."""
    shutil.rmtree(demo, ignore_errors=True)
    (demo / INPUT).mkdir(parents=True)
    for path in sorted(slices.glob("*.dcm")):
        shutil.copy(path, demo / INPUT)
    for notebook in (Path(__file__).parent.parent / "notebooks").glob("*.ipynb"):
        shutil.copy(notebook, demo)

    source = dlp.read_series(demo / INPUT)
    print(f"Source: {source}")
    for warning in source.warnings:
        print(f"  note: {warning}")
    print(f"Submitting 3dblur, sigma {SIGMA_MM:g} mm, to a Jupyter server on loopback:")
    with jupyter_server(demo) as server:
        job = run(server, "3dblur", {"sigma_mm": SIGMA_MM})
    if job["state"] != "succeeded":
        print(f"FAILED: {job['message']}", file=sys.stderr)
        return 1

    output = demo / job["output_dir"]
    derived = dlp.read_series(output)
    error = check(source, derived)
    same_place = derived.geometry.matches(source.geometry)
    print(f"Read again: {derived}")
    print(f"  greatest difference from scipy: {error:.4f} stored units (rounding allows 0.5)")
    print(f"  at the place of the source: {'yes' if same_place else 'NO'}")
    if error > 0.5 + 1e-4 or not same_place:
        print("FAILED: the derived series is not the Gaussian of its source", file=sys.stderr)
        return 1
    picture = demo / "before-after.png"
    picture.write_bytes(planes_png(source, derived, labels=("before", f"3dblur {SIGMA_MM:g} mm")))
    print(f"\nDerived series  {output}\nPicture         {picture}\nOpen it in JupyterLab with:  make lab")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
