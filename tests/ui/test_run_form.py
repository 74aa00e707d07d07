"""The form of a task in a real JupyterLab: rows of texts by their names, keys, and what can be chosen."""

from __future__ import annotations

import json

from playwright.sync_api import Page, Request, expect

from tests.phantom import write_phantom_series
from tests.ui.lab_server import Lab
from tests.ui.panel_page import folder_item, open_run_dialog


def test_the_series_of_other_channels_are_chosen_in_rows_by_keyboard_alone(page: Page, lab: Lab) -> None:
    for name in ("t1", "flair"):
        write_phantom_series(lab.root / "channels" / name)
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))
    lab.open(page)
    folder_item(page, "channels").dblclick()
    dialog = open_run_dialog(page, "t1", "segment")
    group = dialog.get_by_role("group", name="Other channels")
    assert not any("/series?" in request.url for request in asked)
    group.get_by_role("button", name="Add").press("Enter")
    expect(group.get_by_label("Channel 1")).to_be_focused()
    page.keyboard.type("FLAIR")
    page.keyboard.press("Tab")
    expect(group.get_by_label("Series or folder 1")).to_be_focused()
    expect(group.locator("datalist option")).to_have_count(1)
    assert group.locator("datalist option").get_attribute("value") == "channels/flair"
    page.keyboard.type("channels/flair")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("model")  # none is registered here
    sent = [
        json.loads(request.post_data or "")
        for request in asked
        if request.url.split("?")[0].endswith("v1/jobs") and request.method == "POST"
    ]
    assert [request["params"]["channels"] for request in sent] == [{"FLAIR": "channels/flair"}]
    group.get_by_role("button", name="Remove row 1").press("Enter")
    expect(group.get_by_label("Channel 1")).to_have_count(0)
    expect(group.get_by_role("button", name="Add")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
