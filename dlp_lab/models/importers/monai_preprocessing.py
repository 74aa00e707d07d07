"""What a MONAI bundle does with an image before its network, in the words of our descriptions and in its own order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from dlp_lab.models.description import Crop, NativeGrid, PercentileScale, Resample, ScaleRange, SpacedGrid, Step, ZScore
from dlp_lab.models.importers.monai_config import Component, Config, Value, flag, number, numbers
from dlp_lab.models.importers.monai_transforms import OF_NO_MATTER, WITHOUT_EFFECT, first, transforms

_DEFAULT_NAMES = [["L", "R"], ["P", "A"], ["I", "S"]]


@dataclass(frozen=True)
class Preprocessing:
    """What is done before the network; `axcodes` tells where its axes grow to, None where the bundle does not."""

    channels: int = 1
    axcodes: str | None = None
    grid: NativeGrid | SpacedGrid = field(default_factory=NativeGrid)
    steps: tuple[Step, ...] = ()


def preprocessing(config: Config, channels: int) -> Preprocessing:
    """What the bundle's preprocessing does to an image of so many channels.

    Raises:
        ModelRefused: A transform of it, or an argument, is not supported; the message names it.
    """
    done = Preprocessing(channels)
    for component in transforms(config, "preprocessing"):
        if component.name in WITHOUT_EFFECT:
            continue
        read = _READERS.get(component.name)
        if read is None:
            known = ", ".join(sorted((*_READERS, *WITHOUT_EFFECT)))
            raise component.refuse(f"is not supported; {known} are")
        done = read(component, done)
    if not any(isinstance(step, Resample) for step in done.steps):
        done = replace(done, steps=(Resample(), *done.steps))
    return done


def _orientation(component: Component, done: Preprocessing) -> Preprocessing:
    taken = component.take(OF_NO_MATTER, axcodes=None, as_closest_canonical=False, labels=None)
    axcodes = taken["axcodes"]
    if flag(component, "as_closest_canonical", taken["as_closest_canonical"]):
        axcodes = "RAS"
    if taken["labels"] not in (None, _DEFAULT_NAMES):
        raise component.refuse("has labels of its own, which are not supported")
    if not isinstance(axcodes, str) or len(axcodes) != 3:
        raise component.refuse(f"needs axcodes such as RAS; got {str(axcodes)[:32]!r}")
    if done.axcodes is not None or not _is_cubic(done.grid):
        raise component.refuse("comes after the voxels have been changed, which is not supported")
    return replace(done, axcodes=axcodes)


def _is_cubic(grid: NativeGrid | SpacedGrid) -> bool:
    return isinstance(grid, NativeGrid) or len(set(grid.spacing_mm)) == 1


def _spacing(component: Component, done: Preprocessing) -> Preprocessing:
    ignored = OF_NO_MATTER | {"align_corners", "recompute_affine", "ensure_same_shape"}
    taken = component.take(
        ignored,
        pixdim=None,
        mode="bilinear",
        padding_mode="border",
        diagonal=False,
        scale_extent=False,
        min_pixdim=None,
        max_pixdim=None,
    )
    if any(isinstance(step, Resample) for step in done.steps):
        raise component.refuse("is there twice, which is not supported")
    if taken["min_pixdim"] is not None or taken["max_pixdim"] is not None:
        raise component.refuse("has min_pixdim or max_pixdim, which are not supported")
    if flag(component, "diagonal", taken["diagonal"]) or flag(component, "scale_extent", taken["scale_extent"]):
        raise component.refuse("has diagonal or scale_extent, which are not supported")
    if first(taken["padding_mode"]) != "border":
        raise component.refuse(f"has padding_mode {str(taken['padding_mode'])[:32]!r}; border is supported")
    mode = first(taken["mode"])
    if mode not in ("bilinear", "nearest"):
        raise component.refuse(f"has mode {str(mode)[:32]!r}; bilinear and nearest are supported")
    pixdim = taken["pixdim"]
    listed: Value = [-1 if part is None else part for part in pixdim] if isinstance(pixdim, list) else pixdim
    a, b, c = (mm if mm > 0 else None for mm in numbers(component, "pixdim", listed, 3))
    grid = SpacedGrid(spacing_mm=(a, b, c), align="monai")
    return replace(done, grid=grid, steps=(*done.steps, Resample(order=1 if mode == "bilinear" else 0)))


def _scale_range(component: Component, done: Preprocessing) -> Preprocessing:
    taken = component.take(OF_NO_MATTER, a_min=None, a_max=None, b_min=None, b_max=None, clip=False)
    low, high = number(component, "a_min", taken["a_min"]), number(component, "a_max", taken["a_max"])
    to_low, to_high = _target(component, taken)
    if low == high:
        raise component.refuse(f"has a_min and a_max of {low:g} both")
    clip = flag(component, "clip", taken["clip"])
    step = ScaleRange(from_low=low, from_high=high, to_low=to_low, to_high=to_high, clip=clip)
    return replace(done, steps=(*done.steps, step))


def _scale_percentiles(component: Component, done: Preprocessing) -> Preprocessing:
    taken = component.take(
        OF_NO_MATTER, lower=None, upper=None, b_min=None, b_max=None, clip=False, relative=False, channel_wise=False
    )
    _refuse_joint(component, taken, done)
    if flag(component, "relative", taken["relative"]):
        raise component.refuse("has relative, which is not supported")
    to_low, to_high = _target(component, taken)
    step = PercentileScale(
        low=number(component, "lower", taken["lower"]),
        high=number(component, "upper", taken["upper"]),
        to_low=to_low,
        to_high=to_high,
        clip=flag(component, "clip", taken["clip"]),
    )
    return replace(done, steps=(*done.steps, step))


def _target(component: Component, taken: dict[str, Value]) -> tuple[float, float]:
    if taken["b_min"] is None and taken["b_max"] is None:
        return 0.0, 1.0
    return number(component, "b_min", taken["b_min"]), number(component, "b_max", taken["b_max"])


def _refuse_joint(component: Component, taken: dict[str, Value], done: Preprocessing) -> None:
    """Steps look at each channel by itself."""
    if done.channels > 1 and not flag(component, "channel_wise", taken["channel_wise"]):
        raise component.refuse(f"looks at {done.channels} channels together; it is supported with channel_wise")


def _scale(component: Component, done: Preprocessing) -> Preprocessing:
    taken = component.take(OF_NO_MATTER, minv=0.0, maxv=1.0, factor=None, channel_wise=False)
    _refuse_joint(component, taken, done)
    if taken["factor"] is not None:
        raise component.refuse("has a factor, which is not supported")
    low, high = number(component, "minv", taken["minv"]), number(component, "maxv", taken["maxv"])
    return replace(done, steps=(*done.steps, PercentileScale(to_low=low, to_high=high)))


def _normalize(component: Component, done: Preprocessing) -> Preprocessing:
    taken = component.take(OF_NO_MATTER, subtrahend=None, divisor=None, nonzero=False, channel_wise=False)
    if taken["subtrahend"] is None or taken["divisor"] is None:
        _refuse_joint(component, taken, done)
    mean, std = (
        None if taken[key] is None else numbers(component, key, taken[key], 1)[0] for key in ("subtrahend", "divisor")
    )
    if std is not None and std <= 0:
        raise component.refuse(f"needs a divisor above 0; got {std:g}")
    step = ZScore(mean=mean, std=std, nonzero=flag(component, "nonzero", taken["nonzero"]))
    return replace(done, steps=(*done.steps, step))


def _crop(component: Component, done: Preprocessing) -> Preprocessing:
    ignored = OF_NO_MATTER | {"start_coord_key", "end_coord_key", "mode", "channel_indices"}
    taken = component.take(ignored, source_key=None, margin=0, allow_smaller=False, k_divisible=1, select_fn=None)
    if taken["select_fn"] is not None:
        raise component.refuse("has a select_fn, which is not supported; values above 0 are selected without")
    if first(taken["source_key"]) not in (None, _image_key(component)):
        raise component.refuse(f"looks at {str(taken['source_key'])[:64]!r}; only the image itself is supported")
    if set(numbers(component, "k_divisible", taken["k_divisible"], 3)) != {1}:
        raise component.refuse("has k_divisible, which is not supported")
    margins = set(numbers(component, "margin", taken["margin"], 3))
    margin = int(max(margins))
    if len(margins) > 1 or margin < 0 or (margin and not flag(component, "allow_smaller", taken["allow_smaller"])):
        raise component.refuse("has a margin that may lie outside the image; it is supported with allow_smaller")
    if any(isinstance(step, Crop) for step in done.steps):
        raise component.refuse("is there twice, which is not supported")
    return replace(done, steps=(*done.steps, Crop(margin_voxels=margin)))


def _image_key(component: Component) -> Value:
    return first(component.config.plain(component.arguments.get("keys"), f"{component.where}#keys"))


_READERS: dict[str, Callable[[Component, Preprocessing], Preprocessing]] = {
    "Orientationd": _orientation,
    "Spacingd": _spacing,
    "ScaleIntensityRanged": _scale_range,
    "ScaleIntensityRangePercentilesd": _scale_percentiles,
    "ScaleIntensityd": _scale,
    "NormalizeIntensityd": _normalize,
    "CropForegroundd": _crop,
}
