"""Where another extension claims a kind of file, ours leaves it the double click and is found in the menu."""

from __future__ import annotations

from playwright.sync_api import Page, expect

import dlp_lab as dlp
from tests.phantom import write_phantom_series
from tests.ui.lab_server import Lab
from tests.ui.panel_page import folder_item
from tests.ui.viewer_page import shown_viewer


def test_hdf5_files_open_in_the_viewer_that_claims_them_and_in_ours_from_the_menu(page: Page, lab: Lab) -> None:
    phantom = write_phantom_series(lab.root / "beside")
    dlp.dicom_to_hdf5(phantom.folder, lab.root / "beside.h5", lab.root / "beside.json")
    lab.open(page)
    folder_item(page, "beside.h5").dblclick()
    expect(page.locator(".dlp-VolumeView")).to_have_count(0)
    folder_item(page, "beside.h5").click(button="right")
    page.get_by_role("menuitem", name="Show slices").click()
    expect(shown_viewer(page).locator("canvas")).to_have_count(3)
