"""What every importer is asked for, and what it gives."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dlp_lab.errors import ModelRefused, ModelsMissing
from dlp_lab.models.description import ModelDescription
from dlp_lab.models.onnx_guard import refuse_unsafe_network
from dlp_lab.models.package import DESCRIPTION


@dataclass(frozen=True)
class Wishes:
    """What the caller says of a model, in place of what its files say or leave open.

    Attributes:
        configuration: Of nnU-Net, such as "3d_fullres".
        orientation: Where the network's axes grow to, such as "RAS".
        modality: Of the images, such as "CT".
    """

    name: str | None = None
    configuration: str | None = None
    version: str | None = None
    title: str | None = None
    license: str | None = None
    orientation: str | None = None
    modality: str | None = None


@dataclass(frozen=True)
class ImportedModel:
    """A package before it is written.

    Attributes:
        description: Of which the hashes are those of `files`.
        files: Contents by their names.
        notes: What the caller should know of, a sentence each.
    """

    description: ModelDescription
    files: Mapping[str, bytes]
    notes: tuple[str, ...]

    def write(self, folder: Path) -> None:
        """Write the package into an empty folder."""
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        text = msgspec.json.format(msgspec.json.encode(self.description), indent=2)
        (folder / DESCRIPTION).write_bytes(text + b"\n")


def hashes(files: Mapping[str, bytes]) -> dict[str, str]:
    """SHA-256 of each file, as a description has them."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def model_name(wanted: str | None, found: str) -> str:
    """The name that is wanted, or one made of what the files say."""
    return wanted or re.sub("[^a-z0-9]+", "-", found.lower()).strip("-")[:63].strip("-") or "model"


@dataclass(frozen=True)
class NetworkEnds:
    """Names of a network's input and output, and what it takes: channels, and a size, each None where it takes any."""

    input: str
    output: str
    channels: int | None
    patch: tuple[int, int, int] | None


def network_ends(content: bytes, name: str) -> NetworkEnds:
    """What goes into a network and comes out, as ONNX Runtime reads it.

    Raises:
        ModelRefused: It is not to be run, or has not one input (batch, channels, a, b, c) and one output.
        ModelsMissing: ONNX Runtime is not installed.
    """
    refuse_unsafe_network(content, name)
    try:
        import onnxruntime
    except ImportError:
        raise ModelsMissing("models need ONNX Runtime: pip install 'dlp-lab[models]'") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; they come as exceptions too
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has many classes, of which none is public
        raise ModelRefused(f"{name} cannot be loaded: {str(error)[:300]}") from None
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(outputs) != 1 or len(inputs[0].shape) != 5:
        raise ModelRefused(
            f"{name} has {len(inputs)} inputs and {len(outputs)} outputs; one of each is needed, and the input must be "
            "(batch, channels, a, b, c): export the network for volumes, without deep supervision"
        )
    channels, a, b, c = (length if isinstance(length, int) else None for length in inputs[0].shape[1:])
    patch = None if a is None or b is None or c is None else (a, b, c)
    return NetworkEnds(inputs[0].name, outputs[0].name, channels, patch)
