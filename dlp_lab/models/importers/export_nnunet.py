#!/usr/bin/env python
"""Export the networks of an nnU-Net v2 model to ONNX, for `dlp-lab model import`.

    python export_nnunet.py RESULTS_FOLDER [--out FOLDER] [--folds 0 1 2] [--checkpoint checkpoint_final.pth]

Run it where nnU-Net is installed; it needs nothing else. RESULTS_FOLDER is the one that holds plans.json, dataset.json
and fold_0, ..., named Trainer__Plans__configuration. Into FOLDER, the same one if omitted, go

    model_fold0.onnx ...   a network for each fold: input "image" (batch, channels, patch), output "logits"
    export.json            what only the checkpoint knows: configuration, trainer, folds, axes to mirror
    selftest.npz           a small image and the labels that nnU-Net finds in it
    plans.json, dataset.json, if FOLDER is another one

PyTorch reads checkpoints by unpickling them, which may run code: export only models that you trust.
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

SCHEMA = "dlp-lab.nnunet-export/1"
OPSET = 17
FINER = 1.25  # the self-test's voxels are that much larger than the network's, so that it resamples


def main():
    parser = argparse.ArgumentParser(description="Export an nnU-Net v2 model to ONNX, for `dlp-lab model import`.")
    parser.add_argument("folder", metavar="RESULTS_FOLDER", type=Path)
    parser.add_argument("--out", metavar="FOLDER", type=Path, help="where to write; RESULTS_FOLDER if omitted")
    parser.add_argument("--folds", nargs="+", help="which folds, such as 0 1 2 or all; those that are there if omitted")
    parser.add_argument("--checkpoint", default="checkpoint_final.pth")
    parser.add_argument("--no-selftest", action="store_true", help="leave out the self-test, which may take minutes")
    arguments = parser.parse_args()
    export(arguments.folder, arguments.out, arguments.folds, arguments.checkpoint, not arguments.no_selftest)


def export(folder, out=None, folds=None, checkpoint="checkpoint_final.pth", with_selftest=True):
    """Export one trained configuration; returns the folder that `dlp-lab model import` takes."""
    out = Path(out or folder)
    out.mkdir(parents=True, exist_ok=True)
    # on the processor, for a GPU computes with 10 bits of each number, and the self-test is to tell more
    predictor = nnUNetPredictor(perform_everything_on_device=False, device=torch.device("cpu"), allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(folder), folds, checkpoint)
    if folds is None:
        folds = nnUNetPredictor.auto_detect_available_folds(str(folder), checkpoint)
    patch = predictor.configuration_manager.patch_size
    if len(patch) != 3:
        raise SystemExit(f"the configuration has patches of {patch}; dlp-lab takes those of volumes (3d_...)")
    channels = len(predictor.dataset_json["channel_names"])
    networks = {}
    for fold, weights in zip(folds, predictor.list_of_parameters, strict=True):
        name = f"model_fold{fold}.onnx"
        predictor.network.load_state_dict(weights)
        export_network(predictor.network, (1, channels, *patch), out / name)
        networks[str(fold)] = name
        print(f"wrote {name}")
    selftest = None
    if with_selftest:
        selftest = "selftest.npz"
        np.savez_compressed(out / selftest, **selftest_of(predictor, channels))
        print(f"wrote {selftest}")
    for name in ("plans.json", "dataset.json"):
        if not (out / name).exists():
            shutil.copyfile(Path(folder) / name, out / name)
    described = {
        "schema": SCHEMA,
        "configuration": configuration_of(folder, folds[0], checkpoint),
        "trainer": predictor.trainer_name,
        "checkpoint": checkpoint,
        "networks": networks,
        "mirror_axes": [int(axis) for axis in predictor.allowed_mirroring_axes or ()],
        "versions": {"nnunetv2": version_of("nnunetv2"), "torch": torch.__version__},
        "selftest": selftest,
    }
    (out / "export.json").write_text(json.dumps(described, indent=2) + "\n")
    print(f"done; now: dlp-lab model import {out}")
    return out


def configuration_of(folder, fold, checkpoint):
    path = Path(folder) / f"fold_{fold}" / checkpoint
    return torch.load(path, map_location="cpu", weights_only=False)["init_args"]["configuration"]


def export_network(network, shape, path):
    network = network.to("cpu").eval()
    arguments = {
        "input_names": ["image"],
        "output_names": ["logits"],
        "dynamic_axes": {"image": {0: "batch"}, "logits": {0: "batch"}},
        "opset_version": OPSET,
    }
    with torch.no_grad():
        example = torch.zeros(shape)
        try:
            torch.onnx.export(network, (example,), str(path), dynamo=False, **arguments)
        except TypeError:  # PyTorch before 2.5 has the one exporter alone
            torch.onnx.export(network, (example,), str(path), **arguments)


def selftest_of(predictor, channels):
    """An image of one window, and what nnU-Net finds in it."""
    plans, configuration = predictor.plans_manager, predictor.configuration_manager
    spacing, shape = [0.0] * 3, [0] * 3
    for axis, own in enumerate(plans.transpose_forward):
        spacing[own] = configuration.spacing[axis] * FINER
        shape[own] = int(configuration.patch_size[axis] / FINER)
    rng = np.random.default_rng(0)
    image = np.stack([balls(shape, *value_range(plans, configuration, channel), rng) for channel in range(channels)])
    half, torch.half = torch.half, torch.float32  # nnU-Net sums logits in float16 by itself
    try:
        segmentation = predictor.predict_single_npy_array(image.astype(np.float32), {"spacing": spacing})
    finally:
        torch.half = half
    affine = np.diag([*spacing, 1.0])[[2, 1, 0, 3]]  # (z, y, x) grow to S, P and L
    if plans.plans["image_reader_writer"] == "NibabelIOWithReorient":
        affine[:2] *= -1  # to S, A and R
    image = image[0] if channels == 1 else image
    return {"image": image, "labels": np.asarray(segmentation, np.uint16), "affine_kji_to_lps": affine}


def balls(shape, low, high, rng):
    """Balls of several values, one over the other."""
    places = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    image = np.full(shape, low)
    for number in range(12):
        centre, radius = rng.uniform(-0.6, 0.6, 3), rng.uniform(0.15, 0.5)
        inside = sum((place - at) ** 2 for place, at in zip(places, centre, strict=True)) < radius**2
        image[inside] = low + (high - low) * (number + 1) / 12
    return np.rint(image).astype(np.int16)


def value_range(plans, configuration, channel):
    properties = plans.foreground_intensity_properties_per_channel.get(str(channel), {})
    if configuration.normalization_schemes[channel] == "CTNormalization":
        return properties["percentile_00_5"], properties["percentile_99_5"]
    return 0.0, 1000.0


def version_of(package):
    from importlib.metadata import version

    return version(package)


if __name__ == "__main__":
    main()
