"""Pictures of the slice viewer: a head of ellipsoids as CT, an oblique MR, labels, before and after."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Locator, Page

import dlp_lab as dlp
from dlp_lab.geometry import Geometry
from dlp_lab.store.hdf5 import write_hdf5
from dlp_lab.volume import Volume
from tests.ui.lab_server import Lab
from tests.ui.panel_page import open_file_browser
from tests.ui.viewer_page import choose, open_viewer, plane

SHAPE, SPACING_KJI_MM = (110, 256, 256), (2.0, 0.9, 0.9)


def _ellipsoid(
    centre_kji_mm: tuple[float, float, float], radii_kji_mm: tuple[float, float, float]
) -> NDArray[np.bool_]:
    """Voxels within an ellipsoid about a centre that is given from the volume's middle."""
    grids = np.ogrid[tuple(slice(0, n) for n in SHAPE)]
    distance = sum(
        ((grid - (n - 1) / 2) * mm - centre) ** 2 / radius**2
        for grid, n, mm, centre, radius in zip(grids, SHAPE, SPACING_KJI_MM, centre_kji_mm, radii_kji_mm, strict=True)
    )
    inside: NDArray[np.bool_] = distance <= 1
    return inside


def head() -> tuple[Volume, Volume]:
    """A head with skull, ventricles and a lesion, in HU with noise, and the labels of the last two."""
    values = np.full(SHAPE, -1000.0)
    values[_ellipsoid((0, 0, 0), (95, 100, 80))] = 60
    values[_ellipsoid((0, 0, 0), (90, 95, 75))] = 1100
    values[_ellipsoid((0, 0, 0), (83, 88, 68))] = 35
    ventricles = _ellipsoid((10, -10, -12), (22, 32, 7)) | _ellipsoid((10, -10, 12), (22, 32, 7))
    lesion = _ellipsoid((20, 30, 35), (12, 15, 13))
    values[ventricles], values[lesion] = 5, 75
    values[values > -500] += np.random.default_rng(0).normal(0, 5, int((values > -500).sum()))
    affine = np.array([[0, 0, 0.9, -115], [0, 0.9, 0, -115], [2, 0, 0, -109], [0, 0, 0, 1.0]])
    ct = Volume(values.astype(np.int16), Geometry(SHAPE, affine), "HU", "CT")
    return ct, ct.with_voxels((ventricles + 2 * lesion).astype(np.uint8))


def take_viewer(page: Page, lab: Lab, folder: Path, oblique_series: str, more_series: Mapping[str, str]) -> None:
    """All pictures of the viewer.

    Args:
        page: Of the browser.
        lab: A running Lab; files of the pictures are made in its root, and removed.
        folder: Where pictures go.
        oblique_series: A folder of DICOM in the root.
        more_series: Others, by the names of their pictures.
    """
    ct, labels = head()
    smooth = dlp.run("3dblur", ct, sigma_mm=2)
    volumes = {"ct": ct, "smooth": smooth, "labels": labels}
    files = {name: lab.root / f"head-{name}.h5" for name in volumes}
    for name, file in files.items():
        write_hdf5(volumes[name], file)
    asked = {name: {"path": file.name} for name, file in files.items()}

    def save(name: str) -> None:
        page.wait_for_timeout(300)
        page.screenshot(path=folder / f"viewer-{name}.png")
        print(folder / f"viewer-{name}.png")

    lab.open(page)
    viewer = open_viewer(page, before=asked["ct"])
    choose(viewer, "Window", "Brain")
    _go_to_lesion(viewer)
    save("light")
    _use_theme(page, "JupyterLab Dark")
    save("dark")
    viewer = open_viewer(page, before=asked["ct"], labels=asked["labels"])
    choose(viewer, "Window", "Brain")
    _go_to_lesion(viewer)
    save("overlay")
    viewer = open_viewer(page, before=asked["ct"], after=asked["smooth"], names=["source", "3dblur 2 mm"])
    choose(viewer, "Window", "Brain")
    save("before-after")
    choose(viewer, "Compare", "swipe")
    choose(viewer, "Planes", "axial")
    save("swipe")
    choose(viewer, "Compare", "difference")
    save("difference")
    _use_theme(page, "JupyterLab Light")
    for name, series in {**more_series, "oblique": oblique_series}.items():
        open_viewer(page, before={"path": series})
        save(name)
    page.get_by_role("tab", name="Header").locator("visible=true").click()
    page.get_by_label("Search the header").locator("visible=true").fill("image")
    page.locator(".dlp-Header tbody tr:visible").first.wait_for()
    save("header")
    open_file_browser(page)
    for file in files.values():
        file.unlink()


def _go_to_lesion(viewer: Locator) -> None:
    axial = plane(viewer, "axial")
    axial.press("PageDown")
    size = axial.bounding_box()
    assert size is not None
    pixels_per_mm = size["width"] / (SHAPE[2] * SPACING_KJI_MM[2])
    axial.click(position={"x": size["width"] / 2 + 35 * pixels_per_mm, "y": size["height"] / 2 + 30 * pixels_per_mm})


def _use_theme(page: Page, theme: str) -> None:
    page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
    page.locator(f"body[data-jp-theme-name='{theme}']").wait_for(state="attached")
    page.locator("#jupyterlab-splash").wait_for(state="detached")
