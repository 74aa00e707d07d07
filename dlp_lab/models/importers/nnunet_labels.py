"""What `dataset.json` of nnU-Net says of channels and labels."""

from __future__ import annotations

from dlp_lab.errors import ModelRefused
from dlp_lab.models.description import Channel, LabelDescription, Output
from dlp_lab.models.importers.label_names import described_label
from dlp_lab.models.importers.nnunet_files import DATASET, Dataset

_MODALITIES = {
    "ct": "CT",
    "mr": "MR",
    "mri": "MR",
    "t1": "MR",
    "t1w": "MR",
    "t1c": "MR",
    "t1ce": "MR",
    "t1gd": "MR",
    "t2": "MR",
    "t2w": "MR",
    "flair": "MR",
    "adc": "MR",
    "dwi": "MR",
    "pet": "PT",
    "pt": "PT",
}


def channel_names(dataset: Dataset) -> list[str]:
    """Names of the input's channels, in their order, no two alike."""
    if not dataset.channel_names:
        raise ModelRefused(f"{DATASET}: there are no channel_names; a dataset.json of nnU-Net v2 has them")
    names: list[str] = []
    for key in sorted(dataset.channel_names, key=lambda key: (len(key), key)):
        name = dataset.channel_names[key][:240] or "image"
        names.append(f"{name} {key}" if name in names else name)
    return names


def described_channel(name: str, modality: str | None) -> Channel:
    """A channel, made for that modality, or for the one that its name tells."""
    known = modality or _MODALITIES.get(name.lower().replace("-", "").replace("_", ""))
    return Channel(name=name, modality=(known,) if known else ())


def described_output(dataset: Dataset, name: str, ratio: float | None) -> Output:
    """The network's output of that name: a channel for each label, or for each region where labels overlap."""
    is_regions = any(isinstance(value, list) and len(value) > 1 for value in dataset.labels.values())
    labels, regions_order = _regions(dataset) if is_regions else (_labels(dataset), ())
    return Output(
        name=name,
        kind="sigmoid_regions" if is_regions else "softmax",
        labels=tuple(labels),
        coarse_ratio=ratio,
        regions_order=regions_order,
    )


def _labels(dataset: Dataset) -> list[LabelDescription]:
    numbers: dict[int, str] = {}
    for name, value in dataset.labels.items():
        number = value[0] if isinstance(value, list) and len(value) == 1 else value
        if not isinstance(number, int) or number in numbers:
            raise ModelRefused(f"{DATASET}: label {name[:64]!r} must have a number of its own; got {value}")
        numbers[number] = name
    numbers = {number: name for number, name in numbers.items() if name != "ignore"}
    if sorted(numbers) != list(range(len(numbers))) or len(numbers) < 2:
        raise ModelRefused(f"{DATASET}: labels must be 0, the background, and 1, 2, ...; got {sorted(numbers)}")
    return [described_label(number, numbers[number]) for number in sorted(numbers) if number > 0]


def _regions(dataset: Dataset) -> tuple[list[LabelDescription], tuple[int, ...]]:
    """Regions are channels in the order of `labels`; each paints the number that regions_class_order gives it."""
    names = []
    for name, value in dataset.labels.items():
        numbers = value if isinstance(value, list) else [value]
        if name != "ignore" and any(numbers):
            names.append(name)
    order = dataset.regions_class_order
    if order is None or len(order) != len(names) or len(set(order)) != len(order) or min(order) < 1:
        raise ModelRefused(
            f"{DATASET}: regions_class_order must give each of the {len(names)} regions a number of its own; "
            f"got {order}"
        )
    described = sorted(zip(order, names, strict=True))
    return [described_label(number, name) for number, name in described], tuple(order)
