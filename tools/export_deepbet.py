"""Makes a model package of deepbet's brain extraction, in an environment that holds deepbet and torch.

    build/deepbet-venv/bin/python tools/export_deepbet.py PACKAGE_DIR
    build/deepbet-venv/bin/python tools/export_deepbet.py --mask VOLUME.npz MASK.npy

The first way writes `model.json`, `model.onnx` and `locator.onnx`. The second runs deepbet itself on an array
`voxels` `(i, j, k)` with `affine` to RAS mm, and writes its mask, for comparison. Nothing of dlp-lab is imported.
"""

from __future__ import annotations

import hashlib
import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import deepbet.bet
import nibabel
import numpy as np
import onnx
import torch
from deepbet.utils import DATA_PATH

ANATOMY = {"value": "123037004", "scheme": "SCT", "meaning": "Anatomical Structure"}
BRAIN = {"value": "12738006", "scheme": "SCT", "meaning": "Brain"}


def export(weights: Path, target: Path) -> None:
    """Write a network as ONNX, for any three lengths, without its last layer: of softmax only the greatest matters."""
    network = torch.jit.load(str(weights), map_location="cpu").eval()
    axes = {2: "a", 3: "b", 4: "c"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(1, 1, 64, 64, 64),),
            str(target),
            dynamo=False,
            opset_version=17,
            input_names=["image"],
            output_names=["probabilities"],
            dynamic_axes={"image": axes, "probabilities": axes},
        )
    made = onnx.load(target)
    last = next(node for node in made.graph.node if list(node.output) == ["probabilities"])
    if last.op_type != "Softmax":
        raise SystemExit(f"{weights.name} ends with {last.op_type}, not with Softmax: another deepbet than 1.0.2?")
    before = next(node for node in made.graph.node if list(node.output) == list(last.input))
    before.output[:] = ["logits"]
    made.graph.node.remove(last)
    made.graph.output[0].name = "logits"
    onnx.checker.check_model(made)
    onnx.save(made, target)


def describe(package: Path) -> dict[str, object]:
    """What `model.json` says; the numbers are those of `deepbet/bet.py` and `deepbet/utils.py`."""
    files = ("model.onnx", "locator.onnx")
    return {
        "schema": "dlp-lab.model/1",
        "name": "deepbet-brain",
        "version": version("deepbet"),
        "title": "Brain",
        "license": "MIT",
        "citation": "Fisch et al., deepbet, Computers in Biology and Medicine 179 (2024) 108845",
        "sha256": {name: hashlib.sha256((package / name).read_bytes()).hexdigest() for name in files},
        "input": {"name": "image", "channels": [{"name": "T1w", "modality": ["MR"]}]},
        "orientation": "RAS",
        "locator": {"file": "locator.onnx", "size": [128, 128, 128], "least_share": 0.02, "margin": 0.1},
        "grid": {"kind": "stretched", "size": [256, 256, 256]},
        "steps": [
            {"do": "percentile_scale", "low": 0.5, "high": 99.5, "clip": True},
            {"do": "resample", "order": 0},
            {"do": "zscore"},
            {"do": "scale_range", "from_low": 0, "from_high": 1, "to_low": 0.449, "to_high": 0.675},
        ],
        "inference": {"kind": "whole"},
        "output": {
            "name": "logits",
            "kind": "softmax",
            "back_to_source": "labels",
            "largest_component": True,
            "fill_holes": True,
            "labels": [
                {"number": 1, "name": "brain", "category": ANATOMY, "type": BRAIN, "colour_rgb": [255, 140, 90]}
            ],
        },
        "constraints": {"min_extent_mm": [80, 80, 80]},
    }


def own_mask(volume: Path, target: Path) -> None:
    """Run deepbet as its users do and write its mask in the order of the array it was given."""
    with np.load(volume) as given:
        image = nibabel.Nifti1Image(given["voxels"], given["affine"])
    _, mask, _ = deepbet.bet.BrainExtraction(no_gpu=True).run(image)
    np.save(target, np.asarray(mask.dataobj).astype(np.uint8))


def main(arguments: list[str]) -> None:
    """Export, or run deepbet itself."""
    if arguments[0] == "--mask":
        own_mask(Path(arguments[1]), Path(arguments[2]))
        return
    package = Path(arguments[0])
    package.mkdir(parents=True, exist_ok=True)
    export(Path(DATA_PATH) / "models" / "model.pt", package / "model.onnx")
    export(Path(DATA_PATH) / "models" / "bbox_model.pt", package / "locator.onnx")
    (package / "model.json").write_text(json.dumps(describe(package), indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
