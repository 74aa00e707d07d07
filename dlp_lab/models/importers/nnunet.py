"""From a results folder of nnU-Net v2, its networks exported to ONNX, to a package.

What nnU-Net does with an image lies in `plans.json`, what its labels are in `dataset.json`, and what only the
checkpoint knows (the axes to mirror, the folds) in `export.json`, which `export_nnunet.py` wrote beside the networks.
The rules are those of nnU-Net 2.8: transpose, crop to what is not zero, normalise, resample, pad, run windows, blend
logits, resample them, choose labels, and all the way back. What of it we do not do is refused by name.
"""

from __future__ import annotations

from msgspec import structs

from dlp_lab.errors import ModelRefused
from dlp_lab.models.description import Crop, Input, ModelDescription, SelfTest, SpacedGrid, Step, Windows
from dlp_lab.models.importers.imported import ImportedModel, Wishes, hashes, model_name, network_ends
from dlp_lab.models.importers.label_names import notes_on_labels
from dlp_lab.models.importers.nnunet_files import (
    DATASET,
    EXPORT,
    EXPORT_SCHEMA,
    HOW_TO_EXPORT,
    PLANS,
    Configuration,
    Dataset,
    Export,
    Plans,
    chosen_configuration,
    chosen_folder,
    decoded,
)
from dlp_lab.models.importers.nnunet_labels import channel_names, described_channel, described_output
from dlp_lab.models.importers.nnunet_steps import (
    mirrored_axes,
    network_axes,
    network_spacing,
    normalisation,
    patch_of,
    resample_step,
    way_back_ratio,
)
from dlp_lab.models.importers.source import ModelSource
from dlp_lab.models.package import MAX_FILE_BYTES


def is_nnunet(source: ModelSource) -> bool:
    """Whether there is a results folder in it."""
    return bool(source.folders_with(PLANS))


def import_nnunet(source: ModelSource, wishes: Wishes) -> ImportedModel:
    """Make a package of a results folder.

    Args:
        source: A folder or zip that holds one results folder (`Trainer_Plans__configuration`), or several.
        wishes: `configuration` tells which of several.

    Raises:
        ModelRefused: A file is absent or damaged, or says something that is not supported; the message names it.
    """
    folder = chosen_folder(source, wishes.configuration)
    plans = decoded(source, folder, PLANS, Plans)
    dataset = decoded(source, folder, DATASET, Dataset)
    if not source.has(folder + EXPORT):
        raise ModelRefused(f"{source.name} holds a model of nnU-Net whose networks are not exported; {HOW_TO_EXPORT}")
    export = decoded(source, folder, EXPORT, Export)
    if export.schema != EXPORT_SCHEMA:
        raise ModelRefused(f"{EXPORT}: schema is {export.schema[:64]!r}, {EXPORT_SCHEMA!r} is read; {HOW_TO_EXPORT}")
    if wishes.configuration not in (None, export.configuration):
        raise ModelRefused(f"the exported configuration is {export.configuration}, asked for is {wishes.configuration}")
    configuration = chosen_configuration(plans, export.configuration)
    files = {name: source.read(folder + name, MAX_FILE_BYTES) for name in export.networks.values()}
    first = next(iter(files))
    ends = network_ends(files[first], first)
    patch = patch_of(configuration)
    if ends.patch not in (None, patch):
        raise ModelRefused(f"{first} takes {ends.patch} voxels, {PLANS} gives a patch of {patch}; {HOW_TO_EXPORT}")
    if ends.channels not in (None, len(channel_names(dataset))):
        raise ModelRefused(f"{first} takes {ends.channels} channels, {DATASET} names {len(channel_names(dataset))}")
    selftest = None
    if export.selftest is not None:
        files[export.selftest] = source.read(folder + export.selftest, MAX_FILE_BYTES)
        selftest = SelfTest(file=export.selftest, dice_min=0.999)
    orientation, axis_order, notes = network_axes(plans, wishes.orientation)
    channels = channel_names(dataset)
    if not len(channels) == len(configuration.normalization_schemes) == len(configuration.use_mask_for_norm):
        raise ModelRefused(
            f"{PLANS}: normalization_schemes and use_mask_for_norm must be of the {len(channels)} channels of {DATASET}"
        )
    found_name = "-".join(filter(None, (plans.dataset_name or dataset.name, export.configuration)))
    output = described_output(dataset, ends.output, way_back_ratio(configuration))
    description = ModelDescription(
        schema="dlp-lab.model/1",
        name=model_name(wishes.name, found_name),
        version=wishes.version or "1.0",
        title=(wishes.title or found_name)[:64],
        license=wishes.license or dataset.licence[:256] or "unknown",
        citation=dataset.reference[:1024],
        sha256=hashes(files),
        input=Input(name=ends.input, channels=tuple(described_channel(name, wishes.modality) for name in channels)),
        orientation=orientation,
        axis_order=axis_order,
        grid=SpacedGrid(spacing_mm=network_spacing(configuration)),
        steps=(Crop(of="nonzero"), *_normalised(plans, configuration, channels), resample_step(configuration)),
        inference=Windows(patch=patch, peak="behind_middle", mirror_axes=mirrored_axes(export.mirror_axes)),
        output=output,
        folds=tuple(export.networks.values()),
        selftest=selftest,
    )
    return ImportedModel(description, files, (*notes, *notes_on_labels(output)))


def _normalised(plans: Plans, configuration: Configuration, channels: list[str]) -> tuple[Step, ...]:
    """The steps of all channels, each for its own where there are several."""
    steps = [normalisation(plans, configuration, number) for number in range(len(channels))]
    if len(channels) == 1:
        return steps[0]
    return tuple(
        structs.replace(step, only_channels=(name,)) for name, own in zip(channels, steps, strict=True) for step in own
    )
