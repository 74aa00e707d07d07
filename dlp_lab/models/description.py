"""What `model.json` says of a network. `docs/models.md` explains every key.

Axes are those of the network's input, in the order of its array; `orientation` says where each grows to.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

SCHEMA = "dlp-lab.model/1"

_Positive = Annotated[float, Meta(gt=0, le=1e4)]
_Length = Annotated[int, Meta(ge=1, le=4096)]
_Share = Annotated[float, Meta(ge=0, le=1)]
_Percent = Annotated[float, Meta(ge=0, le=100)]
_Text = Annotated[str, Meta(min_length=1, max_length=256)]
_Modality = Annotated[str, Meta(pattern="^[A-Z]{2}$")]
_Patch = tuple[_Length, _Length, _Length]

AxisNumber = Literal[0, 1, 2]
"""Of an array's three axes."""

FileName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
"""Of a file in the package's own folder, never a path."""


class _Part(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class CodedConcept(_Part, frozen=True):
    """A code value, its scheme ("SCT" for SNOMED CT) and its meaning."""

    value: Annotated[str, Meta(min_length=1, max_length=16)]
    scheme: Annotated[str, Meta(min_length=1, max_length=16)]
    meaning: Annotated[str, Meta(min_length=1, max_length=64)]


class LabelDescription(_Part, frozen=True):
    """A structure that the network finds; `number` is its channel, or its value where the output is labels."""

    number: Annotated[int, Meta(ge=1, le=65535)]
    name: Annotated[str, Meta(min_length=1, max_length=64)]
    category: CodedConcept
    type: CodedConcept
    laterality: Literal["left", "right"] | None = None
    colour_rgb: tuple[int, int, int] | None = None


class Channel(_Part, frozen=True):
    """An input channel and the modalities it was trained on; none means any."""

    name: _Text
    modality: tuple[_Modality, ...] = ()


class Input(_Part, frozen=True):
    name: _Text
    channels: Annotated[tuple[Channel, ...], Meta(min_length=1, max_length=16)]


# ---- the grid that the network works on ------------------------------------------------------------------------------


class NativeGrid(_Part, frozen=True, tag_field="kind", tag="native"):
    """The source's voxels as they are."""


class SpacedGrid(_Part, frozen=True, tag_field="kind", tag="spacing"):
    """The source's extent in voxels of another size; None leaves an axis as it is.

    Either the outer edges stay where they are, and the voxels are a little larger or smaller for it, or they have just
    that size, and lie as MONAI lays them when it reads NIfTI files: the centre of the first voxel stays where the
    source's axes are the patient's, half of each length otherwise.
    """

    spacing_mm: tuple[_Positive | None, _Positive | None, _Positive | None]
    align: Literal["edges", "monai"] = "edges"


class CentredGrid(_Part, frozen=True, tag_field="kind", tag="centred"):
    """A grid of fixed size along the patient's axes, its centre that of the source: FreeSurfer's "conform"."""

    spacing_mm: tuple[_Positive, _Positive, _Positive]
    size: _Patch


class StretchedGrid(_Part, frozen=True, tag_field="kind", tag="stretched"):
    """The source's extent, or that of the part that is looked at, in a fixed number of voxels, whatever their size."""

    size: _Patch


Grid = NativeGrid | SpacedGrid | CentredGrid | StretchedGrid


class Locator(_Part, frozen=True):
    """A coarse look first: another network finds the box that the model then looks at.

    It sees the whole source in `size` voxels, after the same steps, and has the input and the output of the model. The
    box holds the planes of which more than `least_share` belongs to the largest connected structure that it finds, and
    is widened by `margin` of its length to either side.
    """

    file: FileName
    size: _Patch
    least_share: _Share = 0.0
    margin: _Share = 0.1


# ---- what is done to the values --------------------------------------------------------------------------------------


class Resample(_Part, frozen=True, tag_field="do", tag="resample"):
    """From the source's grid to the network's. Exactly once; the steps before see the source's voxels.

    `method` "resize" is that of `skimage.transform.resize`: nothing beyond the edges is seen but their own values, and
    what splines make lies within the least and the greatest value. Where one axis is more than `coarse_ratio` times as
    coarse as the finest, in the source or else in the network's grid, planes across it are resized each by itself, and
    then along it by nearest neighbours.
    """

    order: Literal[0, 1, 3] = 1
    method: Literal["spline", "resize"] = "spline"
    coarse_ratio: Annotated[float, Meta(ge=1, le=1000)] | None = None


class Crop(_Part, frozen=True, tag_field="do", tag="crop"):
    """Only a box is looked at from here on; what lies outside is background.

    The box holds all values above `threshold`, or all that are not zero, and a margin around them. Where there are no
    such values it is everything. Labels reach `reach` voxels beyond the outermost centres where something is cut off.
    """

    of: Literal["above", "nonzero"] = "above"
    threshold: float = 0.0
    margin_mm: Annotated[float, Meta(ge=0, le=1000)] = 0.0
    margin_voxels: Annotated[int, Meta(ge=0, le=512)] = 0
    reach: Annotated[float, Meta(ge=0.5, le=1)] = 0.5


class _ValueStep(_Part, frozen=True, kw_only=True):
    """A change of values, of all channels or of some."""

    only_channels: tuple[_Text, ...] = ()


class Clip(_ValueStep, frozen=True, tag_field="do", tag="clip"):
    low: float
    high: float


class ScaleRange(_ValueStep, frozen=True, tag_field="do", tag="scale_range"):
    """`from_low` becomes `to_low` and `from_high` becomes `to_high`, all between and beyond in proportion."""

    from_low: float
    from_high: float
    to_low: float = 0.0
    to_high: float = 1.0
    clip: bool = False


class PercentileScale(_ValueStep, frozen=True, tag_field="do", tag="percentile_scale"):
    """As `scale_range`, from percentiles of the image's own values; None for its least or greatest value.

    `epsilon` is added to the span that is divided by.
    """

    low: _Percent | None = None
    high: _Percent | None = None
    of: Literal["all", "positive"] = "all"
    to_low: float = 0.0
    to_high: float = 1.0
    clip: bool = False
    epsilon: Annotated[float, Meta(ge=0)] = 0.0


class ZScore(_ValueStep, frozen=True, tag_field="do", tag="zscore"):
    """Less `mean`, over `std`; those of the image itself where they are not given.

    With `nonzero` zeros are neither looked at nor changed; with `fill_holes` those that others enclose are, and, of
    several channels after a crop to what is not zero, those where another channel was not zero.
    """

    mean: float | None = None
    std: _Positive | None = None
    nonzero: bool = False
    fill_holes: bool = False


class PiecewiseLinear(_ValueStep, frozen=True, tag_field="do", tag="piecewise_linear"):
    """Each value of `from_values` becomes the one of `to_values`, linear between them, constant beyond."""

    from_values: Annotated[tuple[float, ...], Meta(min_length=2, max_length=64)]
    to_values: Annotated[tuple[float, ...], Meta(min_length=2, max_length=64)]
    only_modality: tuple[_Modality, ...] = ()


Step = Resample | Crop | Clip | ScaleRange | PercentileScale | ZScore | PiecewiseLinear


# ---- how the network is run ------------------------------------------------------------------------------------------


class Whole(_Part, frozen=True, tag_field="kind", tag="whole"):
    """All at once, for networks that look at the whole volume, as instance normalisation does."""

    divisible_by: Annotated[int, Meta(ge=1, le=512)] = 1
    pad_value: float = 0.0


class Tiles(_Part, frozen=True, tag_field="kind", tag="tiles"):
    """As large as memory allows, each with a halo that holds all a voxel's result depends on: exact.

    For networks of convolutions alone. `halo` is the radius of the receptive field, `bytes_per_voxel` what a pass
    takes.
    """

    halo: tuple[Annotated[int, Meta(ge=0, le=512)], Annotated[int, Meta(ge=0, le=512)], Annotated[int, Meta(ge=0)]]
    bytes_per_voxel: Annotated[int, Meta(ge=1, le=1_000_000)]


class Windows(_Part, frozen=True, tag_field="kind", tag="windows"):
    """Overlapping windows of one size, the mean of their results weighted by `blend`.

    They are spread evenly, or in steps of one length, the last moved back into the volume. The weight is greatest in
    the middle, or at the voxel behind it where the size is even; `least_weight` is a share of the greatest.
    """

    patch: _Patch
    overlap: Annotated[float, Meta(ge=0, lt=1)] = 0.5
    spread: Literal["even", "fixed"] = "even"
    blend: Literal["constant", "gaussian"] = "gaussian"
    sigma_scale: Annotated[float, Meta(gt=0, le=10)] = 0.125
    peak: Literal["middle", "behind_middle"] = "middle"
    least_weight: Annotated[float, Meta(ge=0, le=1)] = 0.0
    pad_value: float = 0.0
    mirror_axes: tuple[AxisNumber, ...] = ()


class Output(_Part, frozen=True):
    """What comes out.

    `kind` is "softmax" (a channel for the background and for each label, the greatest wins), "sigmoid_regions" (a
    channel for each label in their order; where one is above 0, later ones over earlier ones), "labels" (one channel
    of numbers) or "image" (one channel of values). `regions_order` has the number that each channel of regions paints,
    where it is not that order.
    `back_to_source` says what is interpolated: the network's values, the probabilities made of them, or its labels
    (nearest). Along an axis that is more than `coarse_ratio` times as coarse as the finest it is always the nearest.
    `largest_component` keeps of each label the largest connected part alone (neighbours by faces, edges and corners),
    `fill_holes` then gives it the background that it encloses.

    Of an image: `undo_scaling` says that its values are on the scale of the first channel's after the steps, and come
    back to that of the source. `unit` is theirs if not the source's, by its name in DICOM, such as "HU". `derivation`
    is what was done, of CID 7203 (PS3.16).
    """

    name: _Text
    kind: Literal["softmax", "sigmoid_regions", "labels", "image"]
    labels: Annotated[tuple[LabelDescription, ...], Meta(max_length=1024)] = ()
    back_to_source: Literal["values", "probabilities", "labels"] = "values"
    coarse_ratio: Annotated[float, Meta(ge=1, le=1000)] | None = None
    regions_order: Annotated[tuple[Annotated[int, Meta(ge=1, le=65535)], ...], Meta(max_length=1024)] = ()
    largest_component: bool = False
    fill_holes: bool = False
    undo_scaling: bool = False
    unit: Annotated[str, Meta(pattern="^[A-Z0-9]{1,16}$")] | None = None
    derivation: CodedConcept | None = None

    @property
    def channels(self) -> int:
        """How many the network makes."""
        return {
            "softmax": self.labels[-1].number + 1 if self.labels else 1,
            "sigmoid_regions": len(self.labels),
            "labels": 1,
            "image": 1,
        }[self.kind]


class Constraints(_Part, frozen=True):
    """Of the source; refused otherwise, before the network is run."""

    spacing_min_mm: _Positive | None = None
    spacing_max_mm: _Positive | None = None
    min_extent_mm: tuple[_Positive, _Positive, _Positive] | None = None


class SelfTest(_Part, frozen=True):
    """A file of numpy's npz: `image` `(k, j, i)` or `(channel, k, j, i)`, `affine_kji_to_lps`, and what it becomes.

    That is `labels` `(k, j, i)`, found again with a Dice coefficient of at least `dice_min`; of models that make images
    `result`, met within `tolerance` of its span.
    """

    file: FileName
    dice_min: _Share = 0.99
    tolerance: _Share = 1e-3


class ModelDescription(_Part, frozen=True):
    """All of `model.json`."""

    schema: Literal["dlp-lab.model/1"]
    name: Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]{0,62}$")]
    version: Annotated[str, Meta(min_length=1, max_length=32)]
    title: Annotated[str, Meta(min_length=1, max_length=64)]
    license: _Text
    sha256: dict[FileName, Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]]
    input: Input
    orientation: Annotated[str, Meta(pattern="^[LRPASI]{3}$")] | None
    grid: Grid
    steps: Annotated[tuple[Step, ...], Meta(min_length=1, max_length=32)]
    inference: Whole | Tiles | Windows
    output: Output
    folds: Annotated[tuple[FileName, ...], Meta(min_length=1, max_length=16)] = ("model.onnx",)
    citation: Annotated[str, Meta(max_length=1024)] = ""
    locator: Locator | None = None
    axis_order: tuple[AxisNumber, AxisNumber, AxisNumber] = (0, 1, 2)
    constraints: Constraints = Constraints()
    selftest: SelfTest | None = None
