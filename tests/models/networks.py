"""Small networks and packages of them, made as an exporter makes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def convolutions(
    kernels: Sequence[np.ndarray], biases: Sequence[np.ndarray], dilations: Sequence[int] = ()
) -> onnx.ModelProto:
    """Layers of convolutions `(out, in, 3, 3, 3)` or `(out, in, 1, 1, 1)`, with ReLU between."""
    nodes, weights, last = [], [], "image"
    for number, (kernel, bias) in enumerate(zip(kernels, biases, strict=True)):
        weights += [numpy_helper.from_array(kernel.astype(np.float32), f"w{number}")]
        weights += [numpy_helper.from_array(bias.astype(np.float32), f"b{number}")]
        is_last = number + 1 == len(kernels)
        made = "scores" if is_last else f"c{number}"
        step = dilations[number] if dilations else 1
        places = {"pads": [step * (kernel.shape[-1] // 2)] * 6, "dilations": [step] * 3}
        nodes.append(helper.make_node("Conv", [last, f"w{number}", f"b{number}"], [made], **places))
        last = made
        if not is_last:
            nodes.append(helper.make_node("Relu", [made], [f"r{number}"]))
            last = f"r{number}"
    return model(nodes, weights, kernels[-1].shape[0], kernels[0].shape[1])


def model(nodes: list[Any], weights: list[Any], channels: int, inputs: int = 1) -> onnx.ModelProto:
    """A network from `image` of so many inputs to `scores`, of any three lengths."""
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, inputs, "a", "b", "c"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, channels, "a", "b", "c"])],
        weights,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 9
    return made


def threshold_network(*thresholds: float) -> onnx.ModelProto:
    """Label n wins above the threshold n, up to the next: scores are lines that cross at the thresholds."""
    slopes = np.arange(len(thresholds) + 1, dtype=float)
    biases = -np.concatenate([[0], np.cumsum(thresholds)])
    return convolutions([slopes.reshape(-1, 1, 1, 1, 1)], [biases])


def mean_network(inputs: int = 1) -> onnx.ModelProto:
    """The mean over 3 x 3 x 3 voxels of the first input and, of others, of the voxel itself; zeros lie beyond."""
    kernel = np.zeros((1, inputs, 3, 3, 3))
    kernel[0, 0] = 1 / 27
    kernel[0, 1:, 1, 1, 1] = 1
    return convolutions([kernel], [np.zeros(1)])


def identity_network() -> onnx.ModelProto:
    """What goes in comes out."""
    return convolutions([np.ones((1, 1, 1, 1, 1))], [np.zeros(1)])


def neighbourhood_network(channels: int = 3, seed: int = 0) -> onnx.ModelProto:
    """Three layers with random weights, whose results depend on voxels up to 3 away."""
    rng = np.random.default_rng(seed)
    sizes = [(4, 1), (4, 4), (channels, 4)]
    kernels = [rng.normal(size=(out, into, 3, 3, 3)) / np.sqrt(into * 27) for out, into in sizes]
    return convolutions(kernels, [rng.normal(size=out) * 0.1 for out, _ in sizes])


def label(number: int, name: str = "part", **others: Any) -> dict[str, Any]:
    category = {"value": "123037004", "scheme": "SCT", "meaning": "Anatomical Structure"}
    kind = {"value": "10200004", "scheme": "SCT", "meaning": "Liver"}
    return {"number": number, "name": f"{name} {number}", "category": category, "type": kind, **others}


def description(labels: int = 1, **others: Any) -> dict[str, Any]:
    """What `model.json` says of a network of `labels` labels on the source's own voxels."""
    return {
        "schema": "dlp-lab.model/1",
        "name": "phantom-parts",
        "version": "1.0",
        "title": "Parts of the phantom",
        "license": "BSD-3-Clause",
        "input": {"name": "image", "channels": [{"name": "CT", "modality": ["CT"]}]},
        "orientation": "LIA",
        "grid": {"kind": "native"},
        "steps": [{"do": "resample"}],
        "inference": {"kind": "whole"},
        "output": {"name": "scores", "kind": "softmax", "labels": [label(n + 1) for n in range(labels)]},
        **others,
    }


def sha256_of(content: bytes) -> str:
    """As a description gives it."""
    return hashlib.sha256(content).hexdigest()


def write_package(folder: Path, network: onnx.ModelProto | bytes, described: dict[str, Any]) -> Path:
    """Write a package; the SHA-256 is that of the network, if `described` gives none."""
    folder.mkdir(parents=True, exist_ok=True)
    content = network if isinstance(network, bytes) else network.SerializeToString()
    (folder / "model.onnx").write_bytes(content)
    hashes = {"sha256": {"model.onnx": sha256_of(content)}}
    (folder / "model.json").write_text(json.dumps({**hashes, **described}))
    return folder
