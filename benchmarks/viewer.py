"""The slice viewer in a browser: how long from a key to the picture, beside what notebooks have otherwise.

python -m benchmarks.viewer

A Lab is started, with volumes of noise: 512 x 512 x 200 (105 MB) and 512 x 512 x 2000 (1 GB). Times are taken in the
browser, from the event to the moment at which the canvas was drawn and one pixel of it was read back, or at which an
image that came as a file was decoded.
"""

from __future__ import annotations

import gzip
import json
import os
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import nbformat
import numpy as np
from playwright.sync_api import Page, sync_playwright

import dlp_lab
from dlp_lab.geometry import Geometry
from dlp_lab.store.hdf5 import write_hdf5
from dlp_lab.volume import Volume
from tests.ui.lab_server import CHROMIUM, CHROMIUM_ARGS, Lab, running_lab
from tests.ui.viewer_page import open_document, run_all_cells

STEPS = 200
OPEN = "path => window.jupyterapp.commands.execute('docmanager:open', { path }).then(() => null)"

HELPERS = """
window.bench = {
    // a key that is held down repeats every 33 ms
    sleep: ms => new Promise(done => setTimeout(done, ms)),
    async until(test) {
        for (const end = performance.now() + 20000; !test();) {
            if (performance.now() > end) { throw new Error('nothing was painted'); }
            await new Promise(done => {
                const channel = new MessageChannel();  // sooner than a timer, and others have their turn
                channel.port1.onmessage = done;
                channel.port2.postMessage(0);
            });
        }
    },
    canvas: title => document.querySelector(
        `.dlp-Viewer[data-ready] canvas[data-plane=${title}]`),
    key: (target, key) => target.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true })),
    readBack: canvas => canvas.getContext('2d').getImageData(0, 0, 1, 1),
    async scroll(steps, pause) {
        const canvas = bench.canvas('axial'), times = [];
        bench.key(canvas, 'Home');
        await bench.until(() => canvas.dataset.index === '0');
        await bench.sleep(1000);
        for (let n = 1; n < Math.min(steps, Number(canvas.ariaValueMax)); n++) {
            const start = performance.now();
            bench.key(canvas, 'ArrowDown');
            await bench.until(() => canvas.dataset.index === String(n));
            bench.readBack(canvas);
            times.push(performance.now() - start);
            await bench.sleep(Math.max(0, pause - (performance.now() - start)));
        }
        return times;
    },
    async jump(steps) {
        const planes = ['axial', 'coronal', 'sagittal'].map(bench.canvas), times = [];
        for (let n = 0; n < steps; n++) {
            const wanted = planes.map((canvas, p) => {
                const count = Number(canvas.ariaValueMax);
                return ((n * [7919, 6271, 5333][p]) % Math.floor(count / 10)) * 10 + (n % 10);
            });
            const start = performance.now();
            planes.forEach((canvas, p) => {
                bench.key(canvas, 'Home');
                for (let left = wanted[p]; left > 0; left -= left >= 10 ? 10 : 1) {
                    bench.key(canvas, left >= 10 ? 'PageDown' : 'ArrowDown');
                }
            });
            await bench.until(() => planes.every((canvas, p) => canvas.dataset.index === String(wanted[p])));
            planes.forEach(bench.readBack);
            times.push(performance.now() - start);
            await bench.sleep(200);
        }
        return times;
    },
    // how long a frame takes in which the window changes, all three planes being painted anew
    async window(steps) {
        const canvas = bench.canvas('axial'), times = [];
        const planes = ['axial', 'coronal', 'sagittal'].map(bench.canvas);
        const original = window.requestAnimationFrame;
        window.requestAnimationFrame = callback => original(time => {
            const start = performance.now();
            callback(time);
            planes.forEach(bench.readBack);
            times.push(performance.now() - start);
        });
        const box = canvas.getBoundingClientRect();
        const send = (type, n) => canvas.dispatchEvent(new PointerEvent(type, {
            pointerId: 1, button: 2, buttons: 2, bubbles: true,
            clientX: box.left + 100 + n % 50, clientY: box.top + 100 + n % 30
        }));
        canvas.setPointerCapture = () => undefined;
        send('pointerdown', 0);
        for (let n = 1; n <= steps; n++) {
            const painted = times.length;
            send('pointermove', n);
            await bench.until(() => times.length > painted);
        }
        send('pointerup', 0);
        window.requestAnimationFrame = original;
        return times;
    },
    // a slider of ipywidgets and the picture that follows it
    async slider(steps) {
        const handle = document.querySelector('.jp-OutputArea .noUi-handle'), times = [];
        const picture = () => [...document.querySelectorAll('.jp-OutputArea img')].at(-1);
        for (let n = 0; n < steps; n++) {
            const before = picture()?.src;
            const start = performance.now();
            bench.key(handle, 'ArrowRight');
            await bench.until(() => picture() && picture().src !== before && picture().complete);
            await picture().decode().catch(() => undefined);
            times.push(performance.now() - start);
            await bench.sleep(100);
        }
        return times;
    }
};
"""

NOTEBOOK = """
import io
import ipywidgets as widgets
import numpy as np
import dlp_lab as dlp
volume = dlp.open_hdf5("small.h5")
count = volume.voxels.shape[0]
{show}
"""
SHOWN = {
    "dlp.SliceViewer": "dlp.SliceViewer(volume)",
    "ipywidgets.Image (PNG)": """
from PIL import Image as Picture
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
    "matplotlib inline": """
import matplotlib.pyplot as plt
def show(k):
    plt.imshow(volume.voxels[k], cmap="gray", vmin=-160, vmax=240)
    plt.show()
widgets.interact(show, k=widgets.IntSlider(0, 0, count - 1));
""",
}


def write_volume(path: Path, slices: int) -> None:
    """Noise of 16 bits; the same 50 slices again and again, for noise takes long to make."""
    noise = np.random.default_rng(0).normal(40, 200, (50, 512, 512)).astype(np.int16)
    voxels = np.concatenate([noise] * (slices // 50))
    geometry = Geometry(voxels.shape, np.array([[0, 0, 0.7, 0], [0, 0.7, 0, 0], [0.5, 0, 0, 0], [0, 0, 0, 1.0]]))
    write_hdf5(Volume(voxels, geometry, "HU", "CT"), path)


def told(name: str, times_ms: Sequence[float]) -> None:
    ordered = sorted(times_ms)
    p95 = ordered[int(0.95 * (len(ordered) - 1))]
    print(
        f"{name:48} median {statistics.median(ordered):6.1f} ms   p95 {p95:6.1f} ms   ({len(ordered)} steps)",
        flush=True,
    )


def open_page(lab: Lab, page: Page) -> None:
    lab.open(page)
    page.evaluate(HELPERS)


def measure_document(lab: Lab, page: Page) -> None:
    open_page(lab, page)
    open_document(page, "small.h5")
    told("document, a key held down (30 per second)", page.evaluate("n => bench.scroll(n, 33)", STEPS))
    told("document, the same slices again, from the cache", page.evaluate("n => bench.scroll(n, 0)", STEPS))
    told("document, a jump with three planes", page.evaluate("n => bench.jump(n)", STEPS // 2))
    told("document, window and level (frame, three planes)", page.evaluate("n => bench.window(n)", STEPS))


def measure_notebooks(lab: Lab, page: Page) -> None:
    for name, show in SHOWN.items():
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(NOTEBOOK.format(show=show))])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        path = lab.root / f"{len(name)}.ipynb"
        nbformat.write(notebook, path)
        open_page(lab, page)
        page.evaluate(
            "path => window.jupyterapp.commands.execute('docmanager:open', { path }).then(() => null)", path.name
        )
        run_all_cells(page)
        if name.startswith("dlp"):
            page.locator(".dlp-Viewer[data-ready=true]").wait_for(timeout=60_000)
            told(f"notebook, {name}, a key held down", page.evaluate("n => bench.scroll(n, 33)", STEPS))
            told(f"notebook, {name}, the same slices again", page.evaluate("n => bench.scroll(n, 0)", STEPS))
            told(f"notebook, {name}, a jump", page.evaluate("n => bench.jump(n)", STEPS // 4))
        else:
            page.locator(".jp-OutputArea .noUi-handle").wait_for(timeout=60_000)
            page.locator(".jp-OutputArea img").first.wait_for(timeout=60_000)
            told(f"notebook, {name}", page.evaluate("n => bench.slider(n)", STEPS // 4))


def measure_large(lab: Lab, page: Page) -> None:
    """Time to the first slices of the volume of 1 GB, and what looking at it takes of the server's memory."""
    server = server_pid()
    before = resident_mib(server)
    requested = time.perf_counter()
    uid = json.loads(ask(lab, "", {"path": "large.h5"}))["id"]
    ask(lab, f"/{uid}/planes?at=0.1000")
    print(f"1 GB, server alone: open and first slice {1000 * (time.perf_counter() - requested):.0f} ms")
    for axis, index in ((0, 999), (1, 256), (2, 256)):
        requested = time.perf_counter()
        size = len(ask(lab, f"/{uid}/planes?at={axis}.{index}"))
        print(
            f"1 GB, server alone: plane of axis {axis} ({size} bytes) {1000 * (time.perf_counter() - requested):.0f} ms"
        )
    print(f"server memory: {before:.0f} MiB before, {resident_mib(server):.0f} MiB after the planes of 1 GB")
    open_page(lab, page)
    first, all_three = page.evaluate(
        """async () => {
            const start = performance.now();
            void window.jupyterapp.commands.execute('docmanager:open', { path: 'large.h5' });
            await bench.until(() => bench.canvas('axial')?.dataset.index);
            const first = performance.now() - start;
            await bench.until(() => document.querySelector('.dlp-Viewer[data-ready=true]'));
            return [first, performance.now() - start];
        }"""
    )
    print(f"1 GB, double click to first slice {first:.0f} ms, to all three planes {all_three:.0f} ms")
    told("1 GB, a key held down", page.evaluate("n => bench.scroll(n, 33)", STEPS))
    told("1 GB, a jump with three planes", page.evaluate("n => bench.jump(n)", 20))
    print(f"server memory: {resident_mib(server):.0f} MiB after all")


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
        with running_lab(root, home) as lab:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
            for measure in (measure_large, measure_document, measure_notebooks):
                page = browser.new_page(viewport={"width": 1560, "height": 940})
                measure(lab, page)
                page.close()
            browser.close()


if __name__ == "__main__":
    main()
