"""The files of a results folder of nnU-Net v2, and what they say, as far as it matters for running a network."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from dlp_lab.errors import ModelRefused
from dlp_lab.models.description import FileName
from dlp_lab.models.importers.source import ModelSource

PLANS, DATASET, EXPORT = "plans.json", "dataset.json", "export.json"
EXPORT_SCHEMA = "dlp-lab.nnunet-export/1"
HOW_TO_EXPORT = (
    "dlp-lab model exporter nnunet > export_nnunet.py, then, in the environment of nnU-Net, "
    "python export_nnunet.py RESULTS_FOLDER"
)

Triple = tuple[int, int, int]

_MAX_JSON_BYTES = 2**25  # dataset.json may list every image of the training
_Read = TypeVar("_Read")


class Intensities(Struct):
    mean: float
    std: float
    percentile_00_5: float
    percentile_99_5: float


class Plans(Struct):
    image_reader_writer: str
    configurations: dict[str, dict[str, object]]
    foreground_intensity_properties_per_channel: dict[str, msgspec.Raw]
    transpose_forward: Triple = (0, 1, 2)
    dataset_name: str = ""
    label_manager: str = "LabelManager"


class ResamplingArguments(Struct, frozen=True, forbid_unknown_fields=True):
    is_seg: bool = False
    order: int = 3
    order_z: int = 0
    force_separate_z: bool | None = None
    separate_z_anisotropy_threshold: float = 3.0
    memefficient_seg_resampling: bool = False
    num_threads: int = 1
    mode: str = "linear"
    aniso_axis_mode: str = "nearest-exact"
    device: str = ""


class Configuration(Struct):
    patch_size: list[int]
    spacing: list[float]
    normalization_schemes: list[str]
    use_mask_for_norm: list[bool]
    resampling_fn_data: str = "resample_data_or_seg_to_shape"
    resampling_fn_data_kwargs: ResamplingArguments = ResamplingArguments()
    resampling_fn_probabilities: str = "resample_data_or_seg_to_shape"
    resampling_fn_probabilities_kwargs: ResamplingArguments = ResamplingArguments(order=1)
    preprocessor_name: str = "DefaultPreprocessor"
    previous_stage: str | None = None


class Dataset(Struct):
    labels: dict[str, int | list[int]]
    channel_names: dict[str, str] = {}
    regions_class_order: list[int] | None = None
    name: str = ""
    licence: str = ""
    reference: str = ""


class Export(Struct, forbid_unknown_fields=True):
    """What `export_nnunet.py` writes."""

    schema: str
    configuration: str
    trainer: str
    checkpoint: str
    networks: Annotated[dict[str, FileName], Meta(min_length=1, max_length=16)]
    mirror_axes: list[int]
    versions: dict[str, str]
    selftest: FileName | None = None


def chosen_folder(source: ModelSource, configuration: str | None) -> str:
    """Path of the one results folder that is there, or that is of the configuration; "" or ending with "/".

    Raises:
        ModelRefused: There are several.
    """
    folders = source.folders_with(PLANS)
    if len(folders) > 1 and configuration is not None:
        folders = [folder for folder in folders if folder.endswith(f"__{configuration}")]
    if len(folders) != 1:
        there = ", ".join(folder.rpartition("__")[2] for folder in source.folders_with(PLANS))
        raise ModelRefused(f"{source.name} holds the configurations {there}; choose one by --configuration")
    return folders[0] + "/" if folders[0] else ""


def decoded(source: ModelSource, folder: str, name: str, kind: type[_Read]) -> _Read:
    """What a JSON file of the folder says.

    Raises:
        ModelRefused: It is absent, not JSON, or lacks something; the message names it.
    """
    content = source.read(folder + name, _MAX_JSON_BYTES)
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ModelRefused(f"{name}: {error}") from None


def chosen_configuration(plans: Plans, name: str) -> Configuration:
    """The configuration, with what it inherits.

    Raises:
        ModelRefused: There is none of that name, or it is one that is not supported.
    """
    merged: dict[str, object] = {}
    wanted: object = name
    seen: list[object] = []
    while wanted is not None:
        if wanted in seen or not isinstance(wanted, str) or wanted not in plans.configurations:
            raise ModelRefused(f"{PLANS}: no configuration {str(wanted)[:64]!r}, or one that inherits from itself")
        seen.append(wanted)
        merged = {**plans.configurations[wanted], **merged}
        wanted = plans.configurations[wanted].get("inherits_from")
    if merged.get("previous_stage") is not None:
        raise ModelRefused(
            f"{PLANS}: configuration {name} is a cascade (previous_stage {str(merged['previous_stage'])[:64]}), which "
            "is not supported; take 3d_fullres or 3d_lowres"
        )
    if isinstance(merged.get("patch_size"), list) and len(merged["patch_size"]) == 2:  # type: ignore[arg-type]
        raise ModelRefused(f"{PLANS}: configuration {name} is of single slices (2d), which are not supported")
    try:
        found = msgspec.convert(merged, Configuration)
    except msgspec.ValidationError as error:
        raise ModelRefused(f"{PLANS}: configuration {name}: {error}") from None
    if found.preprocessor_name != "DefaultPreprocessor":
        raise ModelRefused(f"{PLANS}: preprocessor {found.preprocessor_name[:64]!r} is not supported")
    if plans.label_manager != "LabelManager":
        raise ModelRefused(f"{PLANS}: label manager {plans.label_manager[:64]!r} is not supported")
    return found
