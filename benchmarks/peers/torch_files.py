"""A volume as MONAI's PersistentDataset keeps it between two epochs: by `torch.save`."""

from __future__ import annotations

import numpy as np
import torch

SLICES = 15


def write(name: str, source: str, path: str) -> None:
    """Write the voxels of a .npy file."""
    torch.save({"image": torch.from_numpy(np.load(source))}, path)


def read(name: str, source: str, path: str) -> None:
    """Read all."""
    torch.load(path, weights_only=True)["image"].clone()


def look(name: str, source: str, path: str, axis: str) -> None:
    """Copy slices all through the volume out of the file, in a plane across an axis."""
    opened = torch.load(path, weights_only=True, mmap=True)["image"]
    for index in np.random.default_rng(0).permutation(opened.shape[int(axis)])[:SLICES]:
        np.array(opened.select(int(axis), int(index)).numpy(), order="C")
