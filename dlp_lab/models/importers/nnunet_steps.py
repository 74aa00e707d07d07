"""What nnU-Net does with an image before and after its network, in the words of our descriptions."""

from __future__ import annotations

import msgspec

from dlp_lab.errors import ModelRefused
from dlp_lab.models.description import AxisNumber, Clip, PercentileScale, Resample, ScaleRange, ZScore
from dlp_lab.models.importers.nnunet_files import (
    EXPORT,
    PLANS,
    Configuration,
    Intensities,
    Plans,
    ResamplingArguments,
    Triple,
)

NormalisationStep = Clip | ScaleRange | PercentileScale | ZScore
AxisOrder = tuple[AxisNumber, AxisNumber, AxisNumber]

_SCHEMES = (
    "CTNormalization",
    "ZScoreNormalization",
    "RescaleTo01Normalization",
    "RGBTo01Normalization",
    "NoNormalization",
)
_READERS = ("NibabelIOWithReorient", "SimpleITKIO", "NibabelIO")
_AXES: tuple[AxisNumber, ...] = (0, 1, 2)


def network_axes(plans: Plans, wanted: str | None) -> tuple[str | None, AxisOrder, list[str]]:
    """Orientation, order of axes where there is none, and what to say of it.

    nnU-Net holds images as (z, y, x); its readers differ in where these grow to.
    """
    order = plans.transpose_forward
    if sorted(order) != [0, 1, 2]:
        raise ModelRefused(f"{PLANS}: transpose_forward must name 0, 1 and 2 once each; got {list(order)}")
    reader = plans.image_reader_writer
    if reader not in _READERS:
        raise ModelRefused(f"{PLANS}: image_reader_writer {reader[:64]!r} is not supported; {', '.join(_READERS)} are")
    if wanted is None and reader == "NibabelIOWithReorient":
        wanted = "SAR"
    if wanted is not None:
        return "".join(wanted[axis] for axis in order), (0, 1, 2), []
    note = (
        f"{reader} takes slices, rows and columns as the files have them, and so does the package; where the files of "
        "the training were turned otherwise than DICOM (dcm2niix turns rows), say how by --orientation"
    )
    return None, (_AXES[order[0]], _AXES[order[1]], _AXES[order[2]]), [note]


def network_spacing(configuration: Configuration) -> tuple[float, float, float]:
    """In mm, in the network's order of axes."""
    if len(configuration.spacing) != 3:
        raise ModelRefused(f"{PLANS}: spacing must be of three axes; got {configuration.spacing}")
    a, b, c = configuration.spacing
    return a, b, c


def normalisation(plans: Plans, configuration: Configuration, channel: int) -> tuple[NormalisationStep, ...]:
    """The steps for one channel; `use_mask_for_norm` matters to the z-score alone, as in nnU-Net."""
    scheme, within_mask = configuration.normalization_schemes[channel], configuration.use_mask_for_norm[channel]
    if scheme == "CTNormalization":
        properties = plans.foreground_intensity_properties_per_channel.get(str(channel))
        if properties is None:
            raise ModelRefused(f"{PLANS}: foreground_intensity_properties_per_channel has no channel {channel}")
        try:
            of_training = msgspec.json.decode(properties, type=Intensities)
        except msgspec.DecodeError as error:
            raise ModelRefused(f"{PLANS}: foreground_intensity_properties_per_channel: {error}") from None
        return (
            Clip(low=of_training.percentile_00_5, high=of_training.percentile_99_5),
            ZScore(mean=of_training.mean, std=max(of_training.std, 1e-8)),
        )
    if scheme == "ZScoreNormalization":
        return (ZScore(nonzero=within_mask, fill_holes=within_mask),)
    if scheme == "RescaleTo01Normalization":
        return (PercentileScale(),)
    if scheme == "RGBTo01Normalization":
        return (ScaleRange(from_low=0, from_high=255),)
    if scheme == "NoNormalization":
        return ()
    raise ModelRefused(f"{PLANS}: normalisation {scheme[:64]!r} is not supported; {', '.join(_SCHEMES)} are")


def resample_step(configuration: Configuration) -> Resample:
    """How the image is resampled."""
    key, arguments = "resampling_fn_data", configuration.resampling_fn_data_kwargs
    order = interpolation_order(key, configuration.resampling_fn_data, arguments)
    ratio = coarse_ratio(arguments)
    if order == 0:
        return Resample(order=0, method="resize", coarse_ratio=ratio)
    return Resample(order=1 if order == 1 else 3, method="resize", coarse_ratio=ratio)


def way_back_ratio(configuration: Configuration) -> float | None:
    """`coarse_ratio` of the way back, which is linear in all that is supported."""
    key, arguments = "resampling_fn_probabilities", configuration.resampling_fn_probabilities_kwargs
    order = interpolation_order(key, configuration.resampling_fn_probabilities, arguments)
    if order != 1:
        raise ModelRefused(f"{PLANS}: {key}_kwargs order {order} is not supported; 1 is")
    return coarse_ratio(arguments)


def interpolation_order(key: str, function: str, arguments: ResamplingArguments) -> int:
    """0 nearest, 1 linear, 3 cubic splines, of one of nnU-Net's two resampling functions."""
    if arguments.is_seg or arguments.order_z != 0:
        raise ModelRefused(f"{PLANS}: {key}_kwargs with is_seg or an order_z other than 0 are not supported")
    if function == "resample_torch_fornnunet":
        if (arguments.mode, arguments.aniso_axis_mode) != ("linear", "nearest-exact"):
            raise ModelRefused(
                f"{PLANS}: {key}_kwargs mode {arguments.mode[:32]!r}, aniso_axis_mode "
                f"{arguments.aniso_axis_mode[:32]!r} are not supported; linear and nearest-exact are"
            )
        return 1
    if function != "resample_data_or_seg_to_shape":
        raise ModelRefused(f"{PLANS}: {key} {function[:64]!r} is not supported")
    if arguments.order not in (0, 1, 3):
        raise ModelRefused(f"{PLANS}: {key}_kwargs order {arguments.order} is not supported; 0, 1 and 3 are")
    return arguments.order


def coarse_ratio(arguments: ResamplingArguments) -> float | None:
    """From what ratio of spacings on the coarsest axis is resampled by itself; None for never."""
    if arguments.force_separate_z:
        return 1.0 + 1e-6
    return None if arguments.force_separate_z is False else arguments.separate_z_anisotropy_threshold


def patch_of(configuration: Configuration) -> Triple:
    """The size of windows, in the network's order of axes."""
    if len(configuration.patch_size) != 3:
        raise ModelRefused(f"{PLANS}: patch_size must be of three axes; got {configuration.patch_size}")
    a, b, c = configuration.patch_size
    return a, b, c


def mirrored_axes(found: list[int]) -> tuple[AxisNumber, ...]:
    """Along which the network may be mirrored, as the checkpoint says."""
    if not set(found) <= {0, 1, 2}:
        raise ModelRefused(f"{EXPORT}: mirror_axes must be of 0, 1 and 2; got {found}")
    return tuple(axis for axis in _AXES if axis in found)
