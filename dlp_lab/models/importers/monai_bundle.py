"""From a MONAI bundle with ONNX weights to a package.

Orientation, spacing, intensities and windows stand in `configs/inference.json` (or `.yaml`), in the form of calls of
MONAI's classes; channels and labels in `configs/metadata.json`. Both are read as data. Nothing in a bundle is run:
what is written as Python is refused where it matters, and not looked at where it does not (data sets, handlers, the
evaluator, the checkpoint, how to begin and run).
"""

from __future__ import annotations

from msgspec import structs

from dlp_lab.errors import ModelRefused
from dlp_lab.models.description import (
    Channel,
    Crop,
    Input,
    LabelDescription,
    ModelDescription,
    Output,
    Step,
    Whole,
    Windows,
)
from dlp_lab.models.importers.imported import ImportedModel, Wishes, hashes, model_name, network_ends
from dlp_lab.models.importers.label_names import described_label, notes_on_labels
from dlp_lab.models.importers.monai_config import Component, Config, Value, flag, number, numbers
from dlp_lab.models.importers.monai_postprocessing import postprocessing
from dlp_lab.models.importers.monai_preprocessing import preprocessing
from dlp_lab.models.importers.monai_transforms import refuse_python
from dlp_lab.models.importers.source import ModelSource
from dlp_lab.models.package import MAX_FILE_BYTES

METADATA = "configs/metadata.json"
INFERENCE = ("configs/inference.json", "configs/inference.yaml", "configs/inference.yml")
NETWORK = "models/model.onnx"

LEAST_WEIGHT = 1e-3
"""Of a voxel in a window, in MONAI's sliding windows with Gaussian weights."""

_MAX_CONFIG_BYTES = 2**22
_MODALITIES = {"CT": "CT", "MR": "MR", "MRI": "MR", "PT": "PT", "PET": "PT"}
_SLIDING_WINDOWS = ("SlidingWindowInferer", "SlidingWindowInfererAdapt")
_OF_NO_MATTER = frozenset(
    (
        "sw_batch_size",
        "sw_device",
        "device",
        "progress",
        "cache_roi_weight_map",
        "cpu_thresh",
        "buffer_steps",
        "buffer_dim",
    )
)


def is_monai_bundle(source: ModelSource) -> bool:
    """Whether there is a bundle in it."""
    return bool(source.folders_with(METADATA))


def import_monai_bundle(source: ModelSource, wishes: Wishes) -> ImportedModel:
    """Make a package of a bundle.

    Raises:
        ModelRefused: A file is absent or damaged, or says something that is not supported; the message names it.
    """
    folders = source.folders_with(METADATA)
    if len(folders) != 1:
        raise ModelRefused(f"{source.name} holds {len(folders)} bundles; give the folder of one")
    folder = folders[0] + "/" if folders[0] else ""
    metadata = Config.decoded(source.read(folder + METADATA, _MAX_CONFIG_BYTES), METADATA)
    name = next((name for name in INFERENCE if source.has(folder + name)), None)
    if name is None:
        raise ModelRefused(f"{source.name} has no {INFERENCE[0]} or .yaml, which tells how its network is run")
    config = Config.decoded(source.read(folder + name, _MAX_CONFIG_BYTES), name)
    refuse_python(config, ("preprocessing", "inferer", "postprocessing"))
    channels = _channels(metadata, wishes.modality)
    before, behind = preprocessing(config, len(channels)), postprocessing(config)
    inference = _inference(config)
    if not source.has(folder + NETWORK):
        raise ModelRefused(f"{source.name} has no {NETWORK}; {_how_to_export(config, name, inference, len(channels))}")
    orientation = wishes.orientation or before.axcodes
    if orientation is None:
        raise ModelRefused(f"{name}: there is no Orientationd; say by --orientation where the network's axes grow to")
    files = {"model.onnx": source.read(folder + NETWORK, MAX_FILE_BYTES)}
    ends = network_ends(files["model.onnx"], NETWORK)
    how_to_export = _how_to_export(config, name, inference, len(channels))
    if ends.patch is not None and not (isinstance(inference, Windows) and inference.patch == ends.patch):
        raise ModelRefused(f"{NETWORK} takes {ends.patch} voxels alone; {how_to_export}")
    if ends.channels not in (None, len(channels)):
        raise ModelRefused(f"{NETWORK} takes {ends.channels} channels, {METADATA} says {len(channels)}")
    output = Output(
        name=ends.output,
        kind=behind.kind,
        labels=_labels(metadata, behind.kind),
        back_to_source=behind.back_to_source,
        largest_component=behind.keeps_largest,
    )
    notes = []
    if wishes.orientation is None:
        notes.append(
            f"orientation {orientation} is as the bundle says it; some were trained on images turned otherwise: look "
            "at the first result, and say by --orientation if it is wrong"
        )
    if not behind.is_inverted:
        notes.append("the bundle does not bring its labels back to the source's voxels (Invertd); the package does")
    title = wishes.title or _text(metadata, "name") or source.name
    description = ModelDescription(
        schema="dlp-lab.model/1",
        name=model_name(wishes.name, title),
        version=(wishes.version or _text(metadata, "version") or "1.0")[:32],
        title=title[:64],
        license=wishes.license or _license(source, folder, metadata),
        citation=_citation(metadata),
        sha256=hashes(files),
        input=Input(name=ends.input, channels=channels),
        orientation=orientation,
        grid=before.grid,
        steps=tuple(_reaching(step, output) for step in before.steps),
        inference=inference,
        output=output,
    )
    return ImportedModel(description, files, (*notes, *notes_on_labels(output)))


def _reaching(step: Step, output: Output) -> Step:
    """MONAI surrounds a cropped result by zeros and interpolates: the winner wins up to a voxel beyond the box."""
    is_fading = output.kind == "softmax" and output.back_to_source != "labels"
    return structs.replace(step, reach=1.0) if isinstance(step, Crop) and is_fading else step


# ---- how the network is run ------------------------------------------------------------------------------------------


def _inference(config: Config) -> Windows | Whole:
    found = config.component(config.value("inferer"), "inferer")
    if found is None:
        raise config.refuse("inferer", "is disabled, and there is no other")
    if found.name == "SimpleInferer":
        return Whole()
    if found.name not in _SLIDING_WINDOWS:
        raise found.refuse("is not supported; SlidingWindowInferer and SimpleInferer are")
    taken = found.take(
        _OF_NO_MATTER,
        roi_size=None,
        overlap=0.25,
        mode="constant",
        sigma_scale=0.125,
        padding_mode="constant",
        cval=0.0,
        roi_weight_map=None,
        with_coord=False,
    )
    if taken["padding_mode"] != "constant" or taken["roi_weight_map"] is not None:
        raise found.refuse("has another padding_mode than constant, or a roi_weight_map; these are not supported")
    if flag(found, "with_coord", taken["with_coord"]):
        raise found.refuse("has with_coord, which is not supported")
    if taken["mode"] not in ("constant", "gaussian"):
        raise found.refuse(f"has mode {str(taken['mode'])[:32]!r}; constant and gaussian are supported")
    sizes = numbers(found, "roi_size", taken["roi_size"], 3)
    if any(size < 1 or size != int(size) for size in sizes):
        raise found.refuse(f"needs a roi_size of three lengths; got {taken['roi_size']}")
    a, b, c = (int(size) for size in sizes)
    is_gaussian = taken["mode"] == "gaussian"
    return Windows(
        patch=(a, b, c),
        overlap=_same(found, "overlap", taken["overlap"]),
        spread="fixed",
        blend="gaussian" if is_gaussian else "constant",
        sigma_scale=_same(found, "sigma_scale", taken["sigma_scale"]),
        least_weight=LEAST_WEIGHT if is_gaussian else 0.0,
        pad_value=number(found, "cval", taken["cval"]),
    )


def _same(component: Component, key: str, value: Value) -> float:
    found = numbers(component, key, value, 3)
    if len(set(found)) != 1:
        raise component.refuse(f"has a {key} of its own for each axis, which is not supported")
    return found[0]


def _how_to_export(config: Config, name: str, inference: Windows | Whole, channels: int) -> str:
    network = next((key for key in ("network_def", "network") if key in config.root), "network_def")
    lengths = ", ".join(map(str, (1, channels, *inference.patch))) if isinstance(inference, Windows) else ""
    shape = f' --input_shape "[{lengths}]"' if lengths else ""
    return (
        f"export it once, where MONAI is: python -m monai.bundle onnx_export {network} --filepath {NETWORK} "
        f"--ckpt_file models/model.pt --meta_file {METADATA} --config_file {name}{shape}"
    )


# ---- what the metadata say -------------------------------------------------------------------------------------------


def _text(metadata: Config, key: str) -> str:
    found = metadata.root.get(key)
    return found if isinstance(found, str) else ""


def _license(source: ModelSource, folder: str, metadata: Config) -> str:
    if _text(metadata, "license"):
        return _text(metadata, "license")[:256]
    if source.has(folder + "LICENSE"):
        lines = source.read(folder + "LICENSE", _MAX_CONFIG_BYTES).decode(errors="replace").splitlines()
        return next((line.strip()[:256] for line in lines if line.strip()), "unknown")
    return "unknown"


def _citation(metadata: Config) -> str:
    listed = metadata.root.get("references")
    return "; ".join(part for part in listed if isinstance(part, str))[:1024] if isinstance(listed, list) else ""


def _ports(metadata: Config, key: str) -> dict[str, Value]:
    """The first of the network's inputs or outputs."""
    found = metadata.value(f"network_data_format#{key}")
    first = next(iter(found.values()), None) if isinstance(found, dict) else None
    if not isinstance(first, dict):
        raise metadata.refuse(f"network_data_format#{key}", "describes nothing")
    return first


def _channels(metadata: Config, wanted: str | None) -> tuple[Channel, ...]:
    described = _ports(metadata, "inputs")
    count = described.get("num_channels", 1)
    if not isinstance(count, int) or not 1 <= count <= 16:
        raise metadata.refuse("network_data_format#inputs", f"has num_channels {str(count)[:32]!r}; 1 to 16 are taken")
    said = str(described.get("modality", "")).upper()
    known = wanted or _MODALITIES.get(said)
    modality = (known,) if known else ()
    if count == 1:
        return (Channel(name=said or "image", modality=modality),)
    defined = described.get("channel_def")
    names = [str(defined.get(str(place), "")) if isinstance(defined, dict) else "" for place in range(count)]
    if "" in names or len(set(names)) < count:
        names = [f"channel {place}" for place in range(count)]
    return tuple(Channel(name=name[:256], modality=modality) for name in names)


def _labels(metadata: Config, kind: str) -> tuple[LabelDescription, ...]:
    """Labels by their channels; with softmax the first is the background."""
    found = _ports(metadata, "outputs").get("channel_def")
    if not isinstance(found, dict) or not all(key.isdigit() and isinstance(name, str) for key, name in found.items()):
        raise metadata.refuse("network_data_format#outputs", "has no channel_def with the name of each channel")
    names = {int(key): str(name) for key, name in found.items()}
    where = "network_data_format#outputs#channel_def"
    if sorted(names) != list(range(len(names))) or len(names) < (2 if kind == "softmax" else 1):
        raise metadata.refuse(
            "network_data_format#outputs#channel_def", f"must number its channels 0, 1, ...; got {found}"
        )
    if kind == "softmax":
        return tuple(described_label(channel, names[channel]) for channel in range(1, len(names)))
    if "background" in (name.lower() for name in names.values()):
        raise metadata.refuse(where, "has a background among channels of a sigmoid")
    return tuple(described_label(channel + 1, names[channel]) for channel in range(len(names)))
