"""Small models of nnU-Net with random weights, made as its training leaves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

RESAMPLE = "resample_data_or_seg_to_shape"
TORCH = "resample_torch_fornnunet"


INTENSITIES = {
    "max": 1500.0,
    "mean": 120.0,
    "median": 100.0,
    "min": -600.0,
    "percentile_00_5": -350.0,
    "percentile_99_5": 700.0,
    "std": 180.0,
}


def plans(
    patch: list[int],
    spacing_mm: list[float],
    scheme: str = "CTNormalization",
    *,
    reader: str = "NibabelIOWithReorient",
    transpose: tuple[int, int, int] = (0, 1, 2),
    masked: bool = False,
    resampling: str = RESAMPLE,
    separate_z: bool | None = None,
    features: tuple[int, ...] = (6, 12, 16),
    second_scheme: str | None = None,
) -> dict[str, Any]:
    """What `plans.json` says of one configuration, `3d_fullres`, that inherits the most of it."""
    image: dict[str, Any] = {"is_seg": False, "force_separate_z": separate_z}
    back = dict(image)
    if resampling == RESAMPLE:
        image |= {"order": 3, "order_z": 0}
        back |= {"order": 1, "order_z": 0}
    network = {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": len(features),
            "features_per_stage": list(features),
            "conv_op": "torch.nn.modules.conv.Conv3d",
            "kernel_sizes": [[3, 3, 3]] * len(features),
            "strides": [[1, 1, 1], *[[2, 2, 2]] * (len(features) - 1)],
            "n_conv_per_stage": [1] * len(features),
            "n_conv_per_stage_decoder": [1] * (len(features) - 1),
            "conv_bias": True,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
            "norm_op_kwargs": {"eps": 1e-05, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }
    base = {
        "data_identifier": "nnUNetPlans_3d_fullres",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": patch,
        "median_image_size_in_voxels": [float(n) for n in patch],
        "spacing": spacing_mm,
        "normalization_schemes": [scheme] if second_scheme is None else [scheme, second_scheme],
        "use_mask_for_norm": [masked] * (1 if second_scheme is None else 2),
        "resampling_fn_data": resampling,
        "resampling_fn_seg": resampling,
        "resampling_fn_data_kwargs": image,
        "resampling_fn_seg_kwargs": {**image, "is_seg": True},
        "resampling_fn_probabilities": resampling,
        "resampling_fn_probabilities_kwargs": back,
        "architecture": network,
        "batch_dice": False,
    }
    backward = [transpose.index(axis) for axis in range(3)]
    return {
        "dataset_name": "Dataset999_Phantom",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": spacing_mm,
        "original_median_shape_after_transp": patch,
        "image_reader_writer": reader,
        "transpose_forward": list(transpose),
        "transpose_backward": backward,
        "configurations": {"3d_base": base, "3d_fullres": {"inherits_from": "3d_base"}},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": INTENSITIES, "1": INTENSITIES},
    }


LABELS = {"background": 0, "liver": 1, "spleen": 2, "kidney_left": 3}
REGIONS = {"background": 0, "whole tumor": [1, 2, 3], "core": [2, 3], "enhancing": [3]}


def write_results(
    folder: Path,
    described: dict[str, Any],
    *,
    folds: int = 1,
    regions: bool = False,
    mirror: tuple[int, ...] | None = (0, 1, 2),
) -> Path:
    """A results folder with checkpoints of random weights."""
    folder.mkdir(parents=True)
    channels = len(described["configurations"]["3d_base"]["normalization_schemes"])
    dataset = {
        "channel_names": {"0": "CT"} if channels == 1 else {"0": "CT", "1": "another"},
        "labels": REGIONS if regions else LABELS,
        "numTraining": 1,
        "file_ending": ".nii.gz",
        "name": "Dataset999_Phantom",
    }
    if regions:
        dataset["regions_class_order"] = [2, 1, 3]
    (folder / "plans.json").write_text(json.dumps(described))
    (folder / "dataset.json").write_text(json.dumps(dataset))
    manager = PlansManager(json.loads(json.dumps(described)))
    configuration = manager.get_configuration("3d_fullres")
    heads = manager.get_label_manager(dataset).num_segmentation_heads
    for fold in range(folds):
        torch.manual_seed(100 + fold)
        network = get_network_from_plans(
            configuration.network_arch_class_name,
            configuration.network_arch_init_kwargs,
            configuration.network_arch_init_kwargs_req_import,
            channels,
            heads,
            deep_supervision=False,
        )
        for module in network.modules():  # the first weights make logits that hardly differ
            if isinstance(module, torch.nn.Conv3d) and module.kernel_size == (1, 1, 1):
                torch.nn.init.normal_(module.weight, std=0.7)
        (folder / f"fold_{fold}").mkdir()
        torch.save(
            {
                "network_weights": network.state_dict(),
                "trainer_name": "nnUNetTrainer",
                "init_args": {"configuration": "3d_fullres"},
                "inference_allowed_mirroring_axes": mirror,
            },
            folder / f"fold_{fold}" / "checkpoint_final.pth",
        )
    return folder
