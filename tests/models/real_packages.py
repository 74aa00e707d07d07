"""Packages of two small real networks, from the files of `DLP_LAB_TEST_DATA`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.models.networks import write_package

CONFORMED = {"kind": "centred", "spacing_mm": [1, 1, 1], "size": [256, 256, 256]}
TO_BYTES = {"do": "percentile_scale", "high": 99.9, "of": "positive", "to_high": 255, "clip": True}
CT_STRETCH = {
    "do": "piecewise_linear",
    "from_values": [-1024, -124, 76, 3000],
    "to_values": [0, 900, 3100, 6024],
    "only_modality": ["CT"],
}


def write_tissue(data: Path, folder: Path, back_to_source: str = "values") -> Path:
    """White and grey matter in T1-weighted MR."""
    labels = [
        _label(1, "white matter", "68523003", "Cerebral white matter", [255, 255, 255]),
        _label(2, "grey matter", "40146001", "Cerebral cortex", [205, 62, 78]),
    ]
    described: dict[str, Any] = {
        **_common("brain-tissue", "Brain tissue", labels),
        "input": {"name": "image", "channels": [{"name": "T1w", "modality": ["MR"]}]},
        "steps": [{"do": "resample"}, TO_BYTES, {"do": "percentile_scale"}],
        # dilations of 1, 2, 4, 8, 16, 8, 4, 2 and 1
        "inference": {"kind": "tiles", "halo": [46, 46, 46], "bytes_per_voxel": 64},
    }
    described["output"]["back_to_source"] = back_to_source
    return write_package(folder, (data / "models/meshnet_tissue_light.onnx").read_bytes(), described)


def write_brain_mask(data: Path, folder: Path) -> Path:
    """The brain in MR or CT."""
    described = {
        **_common("brain-mask", "Brain mask", [_label(1, "brain", "12738006", "Brain", [255, 80, 80])]),
        "input": {"name": "image", "channels": [{"name": "head", "modality": ["MR", "CT"]}]},
        "steps": [
            CT_STRETCH,
            {"do": "resample"},
            TO_BYTES,
            {"do": "percentile_scale", "low": 2, "high": 98, "clip": True, "epsilon": 1e-3},
        ],
        "inference": {"kind": "whole"},
    }
    return write_package(folder, (data / "models/mindgrab_brainmask.onnx").read_bytes(), described)


def _common(name: str, title: str, labels: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "schema": "dlp-lab.model/1",
        "name": name,
        "version": "1.0",
        "title": title,
        "license": "MIT",
        "citation": "neuroneural/brainchop",
        "orientation": "LIA",
        "grid": CONFORMED,
        "output": {"name": "logits", "kind": "softmax", "labels": labels},
    }


def _label(number: int, name: str, code: str, meaning: str, colour: list[int]) -> dict[str, Any]:
    category = {"value": "123037004", "scheme": "SCT", "meaning": "Anatomical Structure"}
    kind = {"value": code, "scheme": "SCT", "meaning": meaning}
    return {"number": number, "name": name, "category": category, "type": kind, "colour_rgb": colour}
