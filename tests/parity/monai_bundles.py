"""Small MONAI bundles with random weights, in the forms that the public ones have, and MONAI itself as the judge."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigParser, onnx_export

from dlp_lab.volume import Volume
from tests.parity.comparison import Verdict
from tests.parity.volumes import write_nifti

TINY_UNET = {
    "_target_": "UNet",
    "spatial_dims": 3,
    "in_channels": "@inputs",
    "out_channels": "@channels",
    "channels": [2, 4],
    "strides": [2],
    "norm": "batch",
}
UNET = {
    "_target_": "UNet",
    "spatial_dims": 3,
    "in_channels": "@inputs",
    "out_channels": "@channels",
    "channels": [6, 12, 16],
    "strides": [2, 2],
    "num_res_units": 1,
    "norm": "batch",
}
SEGRESNET = {
    "_target_": "SegResNet",
    "spatial_dims": 3,
    "in_channels": "@inputs",
    "out_channels": "@channels",
    "init_filters": 8,
    "blocks_down": [1, 1],
    "blocks_up": [1],
}
INTENSITY = {
    "_target_": "ScaleIntensityRanged",
    "keys": "image",
    "a_min": -350,
    "a_max": 700,
    "b_min": 0,
    "b_max": 1,
    "clip": True,
}
NORMALIZE = {"_target_": "NormalizeIntensityd", "keys": "image", "nonzero": "True", "channel_wise": True}
SPACING = {"_target_": "Spacingd", "keys": "@image_key", "pixdim": [1.5, 1.7, 2.1], "mode": "bilinear"}
FOREGROUND = {"_target_": "CropForegroundd", "keys": "image", "source_key": "image"}
SOFTMAX = {"_target_": "Activationsd", "keys": "pred", "softmax": True}
SIGMOID = {"_target_": "Activationsd", "keys": "pred", "sigmoid": True}
ARGMAX = {"_target_": "AsDiscreted", "keys": "pred", "argmax": True}
THRESHOLD = {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5}


ANY_SIZE = {
    "input_names": ["image"],
    "output_names": ["pred"],
    "dynamic_axes": {"image": [2, 3, 4], "pred": [2, 3, 4]},
}
"""For networks that are run on whole images."""


KEEP_LARGEST = {"_target_": "KeepLargestConnectedComponentd", "keys": "pred"}


def invert(*, nearest: bool) -> dict[str, Any]:
    """The way back to the source's voxels."""
    return {
        "_target_": "Invertd",
        "keys": "pred",
        "transform": "@preprocessing",
        "orig_keys": "image",
        "meta_key_postfix": "meta_dict",
        "nearest_interp": nearest,
        "to_tensor": True,
    }


def sliding(roi_size: list[int], **others: Any) -> dict[str, Any]:
    """MONAI's sliding windows."""
    return {"_target_": "SlidingWindowInferer", "roi_size": roi_size, "sw_batch_size": 4, **others}


def write_bundle(
    folder: Path,
    network: dict[str, Any],
    before: list[dict[str, Any]],
    inferer: dict[str, Any],
    behind: list[dict[str, Any]],
    *,
    axcodes: str = "RAS",
    channels: int = 4,
    inputs: int = 1,
) -> Path:
    """A bundle with its weights, exported by MONAI's own command."""
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    names = ["background", "liver", "spleen", "left kidney"] if channels == 4 else ["whole tumor", "core"]
    metadata = {
        "version": "0.1.2",
        "monai_version": "1.6.1",
        "name": "Small parts",
        "references": ["nobody, nowhere"],
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "format": "hounsfield",
                    "modality": "CT",
                    "num_channels": inputs,
                    "spatial_shape": [32, 32, 32],
                    "dtype": "float32",
                    "value_range": [0, 1],
                    "is_patch_data": True,
                    "channel_def": {str(place): f"image {place}" for place in range(inputs)},
                }
            },
            "outputs": {
                "pred": {
                    "type": "image",
                    "format": "segmentation",
                    "num_channels": channels,
                    "spatial_shape": [32, 32, 32],
                    "dtype": "float32",
                    "value_range": [0, 1],
                    "is_patch_data": True,
                    "channel_def": {str(place): name for place, name in enumerate(names)},
                }
            },
        },
    }
    config = {
        "imports": ["$import glob"],
        "bundle_root": ".",
        "image_key": "image",
        "channels": channels,
        "inputs": inputs,
        "output_dir": "$@bundle_root + '/eval'",
        "datalist": "$list(sorted(glob.glob('*.nii.gz')))",
        "device": "$torch.device('cpu')",
        "network_def": network,
        "network": "$@network_def.to(@device)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image"},
                {"_target_": "EnsureChannelFirstd", "keys": "image"},
                {"_target_": "Orientationd", "keys": "image", "axcodes": axcodes},
                *before,
                {"_target_": "EnsureTyped", "keys": "image", "device": "@device"},
            ],
        },
        "inferer": inferer,
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [*behind, {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir"}],
        },
        "handlers": [{"_target_": "CheckpointLoader", "load_path": "$@bundle_root + '/models/model.pt'"}],
        "evaluator": {"_target_": "SupervisedEvaluator", "device": "@device"},
        "run": ["$@evaluator.run()"],
    }
    (folder / "configs/metadata.json").write_text(json.dumps(metadata))
    (folder / "configs/inference.json").write_text(json.dumps(config))
    torch.manual_seed(7)
    made = _parser(folder).get_parsed_content("network_def").eval()
    for module in made.modules():  # so that the first weights' logits differ from voxel to voxel
        if isinstance(module, torch.nn.BatchNorm3d):
            torch.nn.init.uniform_(module.running_mean, -0.3, 0.3)
            torch.nn.init.uniform_(module.running_var, 0.02, 0.2)
    torch.save(made.state_dict(), folder / "models/model.pt")
    roi = inferer.get("roi_size", [32, 32, 32])
    onnx_export(
        net_id="network_def",
        filepath=str(folder / "models/model.onnx"),
        ckpt_file=str(folder / "models/model.pt"),
        meta_file=str(folder / "configs/metadata.json"),
        config_file=str(folder / "configs/inference.json"),
        input_shape=[1, inputs, *roi],
        converter_kwargs={} if "roi_size" in inferer else ANY_SIZE,
    )
    return folder


def judge(folder: Path, volumes: Sequence[Volume], scratch: Path) -> Verdict:
    """Let MONAI segment the volumes of the channels as the bundle says, up to the file that it would write."""
    parser = _parser(folder)
    transforms = parser["postprocessing"]["transforms"]
    parser["postprocessing"]["transforms"] = [part for part in transforms if part["_target_"] != "SaveImaged"]
    network = parser.get_parsed_content("network_def").eval()
    network.load_state_dict(torch.load(folder / "models/model.pt"))
    before = parser.get_parsed_content("preprocessing")
    with torch.no_grad():
        files = [str(write_nifti(volume, scratch / f"image{n}.nii.gz")) for n, volume in enumerate(volumes)]
        data = before({"image": files})
        data["pred"] = parser.get_parsed_content("inferer")(data["image"][None], network)[0]
        probabilities = None
        found = data
        for transform in parser.get_parsed_content("postprocessing").transforms:
            found = transform(found)
            if type(transform).__name__ == "Invertd" and found["pred"].shape[0] > 1:
                probabilities = np.asarray(found["pred"]).transpose(0, 3, 2, 1)
    labels = np.asarray(found["pred"])
    if labels.shape[0] > 1:  # regions: later ones over earlier ones
        painted = np.zeros(labels.shape[1:])
        for number, region in enumerate(labels):
            painted[region > 0.5] = number + 1
        labels = painted[np.newaxis]
    assert found["pred"].shape[1:] == volumes[0].voxels.transpose(2, 1, 0).shape
    if probabilities is not None and parser["channels"] == 4:
        fading = probabilities.sum(axis=0) < 1 - 1e-4  # beside a crop, where labels alone are compared
        probabilities = np.where(fading, 0, probabilities)[1:]
    return Verdict(labels[0].transpose(2, 1, 0).astype(int), probabilities)


def _parser(folder: Path) -> ConfigParser:
    parser = ConfigParser()
    parser.read_config(str(folder / "configs/inference.json"))
    return parser
