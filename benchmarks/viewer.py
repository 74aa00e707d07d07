"""The slice viewer in a browser: how long from a key to the picture, beside what notebooks have otherwise.

python -m benchmarks.viewer [--docs]

A Lab is started, with volumes of noise: 512 x 512 x 200 (105 MB) and 512 x 512 x 2000 (1 GB). Times are taken in the
browser, from the event to the moment at which the canvas was drawn and one pixel of it was read back, or at which an
image that came as a file was decoded. `--docs` writes the table into docs/viewer.md.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
import numpy as np
from playwright.sync_api import Page, sync_playwright

import dlp_lab
from benchmarks.viewer_table import Row, machine, median_p95, table, write_into
from dlp_lab.geometry import Geometry
from dlp_lab.store.hdf5 import write_hdf5
from dlp_lab.volume import Volume
from tests.ui.lab_server import CHROMIUM, CHROMIUM_ARGS, Lab, running_lab
from tests.ui.viewer_page import run_cells

STEPS = 200
PAGE_SCRIPT = Path(__file__).with_name("viewer_page.js").read_text(encoding="utf-8")
DOCUMENT = Path(__file__).parents[1] / "docs/viewer.md"

SETUP = """
import io
import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import dlp_lab as dlp
volume = dlp.open_hdf5("small.h5")
count = volume.voxels.shape[0]
"""


@dataclass(frozen=True)
class Shown:
    """A viewer in a notebook.

    Attributes:
        viewer: What it is called.
        cell: Python that shows the volume.
        is_seen: JavaScript that tells whether something is seen.
        steps: JavaScript that takes the times of `n` steps.
        jumps: The same of `n` jumps; empty where there is no such thing.
        setup: Python that is run before.
    """

    viewer: str
    cell: str
    is_seen: str
    steps: str
    jumps: str = ""
    setup: str = ""


OURS = Shown(
    "dlp.SliceViewer in a notebook",
    "dlp.SliceViewer(volume)",
    "document.querySelector('.dlp-Viewer[data-ready=true]')",
    "n => bench.scroll(n, 33)",
    "n => bench.jump(n)",
)
PEERS = (
    Shown(
        "ipywidgets.Image (PNG) and a slider",
        """
image, slider = widgets.Image(format="png"), widgets.IntSlider(0, 0, count - 1)
def show(change):
    shade = np.clip((volume.voxels[slider.value] + 160.0) * (255 / 400), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Picture.fromarray(shade).save(file, "png", compress_level=1)
    image.value = file.getvalue()
slider.observe(show, "value")
show(None)
widgets.VBox([slider, image])
""",
        "[...document.querySelectorAll('.jp-OutputArea img')].at(-1)?.complete",
        "n => bench.slider(n / 4, 100, false)",
        setup="from PIL import Image as Picture",
    ),
    Shown(
        "ipympl, `set_data` by a slider",
        """
with plt.ioff():
    figure, axes = plt.subplots()
image = axes.imshow(volume.voxels[0], cmap="gray", vmin=-160, vmax=240)
slider = widgets.IntSlider(0, 0, count - 1)
def show(change):
    image.set_data(volume.voxels[slider.value])
    figure.canvas.draw_idle()
slider.observe(show, "value")
widgets.VBox([slider, figure.canvas])
""",
        "bench.imagesDrawn > 0",
        "n => bench.slider(n / 4, 100, true)",
        setup="%matplotlib widget",
    ),
    Shown(
        "matplotlib inline and `interact`",
        """
def show(k):
    plt.imshow(volume.voxels[k], cmap="gray", vmin=-160, vmax=240)
    plt.show()
widgets.interact(show, k=widgets.IntSlider(0, 0, count - 1));
""",
        "[...document.querySelectorAll('.jp-OutputArea img')].at(-1)?.complete",
        "n => bench.slider(n / 4, 100, false)",
    ),
    Shown(
        "ipyniivue (the whole volume goes to the browser first)",
        """
viewer, told = NiiVue(), widgets.Label("loading")
viewer.on_image_loaded(lambda loaded: setattr(told, "value", "image is loaded"))
viewer.load_volumes([{"path": "small.nii"}])
widgets.VBox([told, viewer])
""",
        "[...document.querySelectorAll('.widget-label')].some(label => label.textContent === 'image is loaded')",
        "n => bench.wheel(n / 4, 100)",
        setup="from ipyniivue import NiiVue",
    ),
)


def write_volume(path: Path, slices: int) -> None:
    """Noise of 16 bits; the same 50 slices again and again, for noise takes long to make."""
    noise = np.random.default_rng(0).normal(40, 200, (50, 512, 512)).astype(np.int16)
    voxels = np.concatenate([noise] * (slices // 50))
    geometry = Geometry(voxels.shape, np.array([[0, 0, 0.7, 0], [0, 0.7, 0, 0], [0.5, 0, 0, 0], [0, 0, 0, 1.0]]))
    write_hdf5(Volume(voxels, geometry, "HU", "CT"), path)


def write_nifti(path: Path, volume_path: Path) -> None:
    """The same for viewers that know NIfTI alone, not compressed."""
    import nibabel

    voxels = dlp_lab.read_hdf5(volume_path).voxels
    nibabel.save(nibabel.Nifti1Image(voxels.T, np.diag([0.7, 0.7, 0.5, 1])), path)


def told(name: str, times_ms: Sequence[float]) -> None:
    print(f"{name:60} {median_p95(times_ms)} ms (median / p95 of {len(times_ms)})", flush=True)


def open_page(lab: Lab, page: Page) -> None:
    lab.open(page)
    page.evaluate(PAGE_SCRIPT)


def measure_document(lab: Lab, page: Page, file: str, jumps: int) -> Row:
    """A document in Lab: one that is opened by a double click."""
    open_page(lab, page)
    first, all_three = page.evaluate(
        """async path => {
            const start = performance.now();
            void window.jupyterapp.commands.execute('docmanager:open', { path });
            await bench.until(() => bench.canvas('axial')?.dataset.index);
            const first = performance.now() - start;
            await bench.until(() => document.querySelector('.dlp-Viewer[data-ready=true]'));
            return [first, performance.now() - start];
        }""",
        file,
    )
    told(f"{file}, double click to first slice", [first])
    told(f"{file}, double click to three planes", [all_three])
    held = page.evaluate("n => bench.scroll(n, 33)", STEPS)
    told(f"{file}, a key held down (30 per second)", held)
    told(f"{file}, the same slices again, from the cache", page.evaluate("n => bench.scroll(n, 0)", STEPS))
    jumped = page.evaluate("n => bench.jump(n)", jumps)
    told(f"{file}, a jump with three planes", jumped)
    told(f"{file}, window and level (frame, three planes)", page.evaluate("n => bench.window(n)", STEPS))
    size = f"{(lab.root / file).stat().st_size / 1e6:,.0f} MB"
    return Row(f"dlp-lab, a document in JupyterLab ({size})", first, held, jumped)


def measure_notebook(lab: Lab, page: Page, shown: Shown) -> Row:
    """A viewer in a notebook, all on the volume of 105 MB."""
    cells = [nbformat.v4.new_code_cell(code) for code in (f"{shown.setup}\n{SETUP}", shown.cell)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = lab.root / f"{len(shown.viewer)}.ipynb"
    nbformat.write(notebook, path)
    open_page(lab, page)
    page.evaluate("path => window.jupyterapp.commands.execute('docmanager:open', { path }).then(() => null)", path.name)
    run_cells(page, "notebook:run-cell-and-select-next")
    first = page.evaluate("test => bench.firstPaint(test)", shown.is_seen)
    told(f"{shown.viewer}, first picture", [first])
    page.wait_for_timeout(3000)
    steps = page.evaluate(shown.steps, STEPS)
    told(f"{shown.viewer}, a step", steps)
    jumps = page.evaluate(shown.jumps, STEPS // 4) if shown.jumps else []
    told(f"{shown.viewer}, a jump", jumps)
    return Row(shown.viewer, first, steps, jumps)


def measure_server(lab: Lab) -> None:
    """What planes of the volume of 1 GB take without a browser, and what they cost the server's memory."""
    server = server_pid()
    before = resident_mib(server)
    requested = time.perf_counter()
    uid = json.loads(ask(lab, "", {"path": "large.h5"}))["id"]
    ask(lab, f"/{uid}/planes?at=0.1000")
    print(f"1 GB, server alone: open and first slice {1000 * (time.perf_counter() - requested):.0f} ms")
    for place in ("0.999", "1.256", "2.256", "0.7,1.7,2.7"):
        requested = time.perf_counter()
        size = len(ask(lab, f"/{uid}/planes?at={place}"))
        took_ms = 1000 * (time.perf_counter() - requested)
        print(f"1 GB, server alone: planes {place} ({size} bytes) {took_ms:.0f} ms")
    print(f"server memory: {before:.0f} MiB before, {resident_mib(server):.0f} MiB after the planes of 1 GB")


def ask(lab: Lab, route: str, body: object = None) -> bytes:
    request = urllib.request.Request(
        f"{lab.url}dlp-lab/api/v1/volumes{route}",
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"token {lab.token}"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        content: bytes = response.read()
    return content


def server_pid() -> int:
    """The Lab that this process started."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parent = entry.joinpath("stat").read_text().rpartition(")")[2].split()[1]
                if int(parent) == os.getpid() and b"jupyterlab" in entry.joinpath("cmdline").read_bytes():
                    return int(entry.name)
            except OSError:
                continue
    raise RuntimeError("the server's process is not found")


def resident_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the memory of the server is not told")


def print_sizes() -> None:
    package = Path(dlp_lab.__file__).parent
    for name, files in (
        ("notebook widget", [package / "widgets/static/slice_viewer.js"]),
        ("JupyterLab extension, scripts", sorted((package / "labextension/static").glob("*.js"))),
    ):
        contents = [path.read_bytes() for path in files]
        packed = sum(len(gzip.compress(content)) for content in contents)
        print(f"{name}: {sum(map(len, contents)) / 1000:.0f} kB, {packed / 1000:.0f} kB packed")


def main() -> None:
    """Start Lab on volumes of noise and measure."""
    print_sizes()
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        root, home = Path(temporary, "data"), Path(temporary, "home")
        root.mkdir()
        page_config = home / "config/labconfig/page_config.json"
        page_config.parent.mkdir(parents=True)
        page_config.write_text('{"disabledExtensions": {"jupyterlab-h5web": true}}')
        write_volume(root / "small.h5", 200)
        write_volume(root / "large.h5", 2000)
        write_nifti(root / "small.nii", root / "small.h5")
        rows = []
        with running_lab(root, home) as lab:
            measure_server(lab)
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
            new_page = lambda: browser.new_page(viewport={"width": 1560, "height": 940})  # noqa: E731
            for file, jumps in (("small.h5", STEPS // 2), ("large.h5", STEPS // 10)):
                with new_page() as page:
                    rows.append(measure_document(lab, page, file, jumps))
            for shown in (OURS, *PEERS):
                with new_page() as page:
                    rows.append(measure_notebook(lab, page, shown))
            print(f"server memory: {resident_mib(server_pid()):.0f} MiB after all")
            text = f"{table(rows)}\n{machine(browser.version)}\n"
            browser.close()
    print(f"\n{text}")
    if "--docs" in sys.argv[1:]:
        write_into(DOCUMENT, text)


if __name__ == "__main__":
    main()
