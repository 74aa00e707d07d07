"""What a task is.

A task is a frozen struct: its fields are its parameters, with unit, range and description, and give the JSON Schema
that the REST validation, the command line flags and the forms are made from. It sees a `Volume` and knows nothing of
DICOM, files, queues or servers.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import packages_distributions, version
from typing import Any, ClassVar, Literal, Protocol

import msgspec

from dlp_lab import __version__
from dlp_lab.errors import BadParameters, ErrorDetail, detail_of_validation
from dlp_lab.geometry import Geometry
from dlp_lab.label_map import Algorithm, LabelMap, SegmentationForm
from dlp_lab.volume import Volume

JsonObject = dict[str, Any]

_RANGE = {"minimum": "minimum", "maximum": "maximum", "exclusiveMinimum": "above", "exclusiveMaximum": "below"}

RESERVED_PARAMETERS = frozenset(
    (
        *("task", "input_dir", "volume", "root", "read", "keep_hdf5", "priority", "output_form", "help"),
        *("series", "select", "gaps", "irregular", "tilt"),  # how a folder is read
    )
)
"""Names that mean something else where parameters are given: a flag, or an argument of `run` and `submit`."""


class Report(Protocol):
    """Called by a task to say how far it is.

    * `fraction` grows from 0 to 1 over the task's own work.
    * `message` names the step, in a few words without patient data.
    * Raises `JobCancelled` when the user has cancelled; a task lets it pass.
    """

    def __call__(self, fraction: float, message: str, /) -> None: ...


def no_report(fraction: float, message: str) -> None:
    """A `Report` for nobody."""


@dataclass(frozen=True)
class ImageResult:
    """A derived image on the grid of its source.

    Attributes:
        volume: The new values, in the source's unit.
        description: What was done, for DerivationDescription and SeriesDescription.
        derivation_code: (value, scheme, meaning) of CID 7203 "Image Derivation" (PS3.16), or None if none fits.
        reach_slices: How many slices to either side contribute to a slice; None when all do.
        algorithm: What did it, where that is a model.
    """

    volume: Volume
    description: str
    derivation_code: tuple[str, str, str] | None = None
    reach_slices: int | None = None
    algorithm: Algorithm | None = None


@dataclass(frozen=True)
class LabelResult:
    """Labels on the grid of their source.

    Attributes:
        label_map: The labels.
        description: What was done, for SeriesDescription.
        algorithm: What did it.
        form: How it is to be written.
    """

    label_map: LabelMap
    description: str
    algorithm: Algorithm
    form: SegmentationForm = "binary"

    @property
    def volume(self) -> Volume:
        """The labels as numbers."""
        return Volume(self.label_map.voxels, self.label_map.geometry)


TaskResult = ImageResult | LabelResult


class SlabRun(Protocol):
    """A task at work on a volume whose slices come slab by slab, in order, and each of them once.

    * The first slab has `reach_slices` slices more than are made of it. Of any other as many are made as it has, and of
      the last all that are left.
    * They are those of `Task.run`, bit for bit, where a multiple of 16 is made of each slab but the last.
    * A slab is not needed any more when `go_on` has returned.

    Attributes:
        reach_slices: How many slices after those that are made must have come.
    """

    reach_slices: int

    def go_on(self, slab: Volume, report: Report) -> ImageResult:
        """Compute the slices that can be made with the next ones of the source, as a volume of their own."""


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all tasks; subclass it, give fields, `name`, `title` and `run`.

    Attributes:
        name: How it is called at all doors.
        title: How it is called in a menu.
        resources: What a job of it takes of a cluster's worker beside a thread, by the names that the cluster gives,
            such as `{"GPU": 1}`. On this machine it does not count.
        makes: Which kind of result `run` gives.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    resources: ClassVar[Mapping[str, float]] = {}
    makes: ClassVar[Literal["image", "labels"]] = "image"

    def run(self, volume: Volume, report: Report) -> TaskResult:
        """Compute the result. The input volume stays untouched."""
        raise NotImplementedError

    def check(self, geometry: Geometry) -> None:
        """Refuse a grid that the task cannot work on. Called before anything is read; by default any will do.

        Raises:
            DlpError: It cannot; the message says what to do.
        """

    def depends_on(self) -> dict[str, str]:
        """What the result depends on beside input and parameters: versions of programs, digests of models."""
        return {"dlp-lab": __version__} | _version_of_package(type(self).__module__.partition(".")[0])

    def halo_slices(self, geometry: Geometry) -> int | None:
        """How many slices to either side of a slab `run` must see beside it, for the slab's own to come out right.

        With it, a volume that is too large for the memory is computed slab by slab: `run` is given a part of the slices
        as a volume of its own, and what it makes of the outermost ones, this many at each end that is not the volume's
        own, is dropped. It must make the same of the others, bit for bit. Slabs are a multiple of 16 slices thick, so
        that one begins such a number less the halo from the volume's first slice.

        Args:
            geometry: Grid of the whole volume.

        Returns:
            None if the volume is needed whole, as by default.
        """
        return None

    def in_slabs(self, geometry: Geometry) -> SlabRun | None:
        """What goes on from one slab to the next with what it knows, for a task that would compute a halo twice.

        Args:
            geometry: Grid of the whole volume, for which `halo_slices` is not None.

        Returns:
            None if slabs are computed with their halo, as by default.
        """
        return None

    @classmethod
    def from_params(cls, params: JsonObject) -> Task:
        """The task with these parameters; defaults fill what is absent.

        Raises:
            BadParameters: A parameter is unknown, of the wrong type or out of its range; the message names it.
        """
        try:
            return msgspec.convert(params, cls)
        except msgspec.ValidationError as error:
            known = ", ".join(cls.__struct_fields__)
            message = f"task {cls.name}: {error}. Its parameters: {known}."
            raise BadParameters(message, cls._detail(str(error))) from None

    @classmethod
    def _detail(cls, message: str) -> ErrorDetail | None:
        """Which parameter a message of msgspec is about, and its range if it has one."""
        detail = detail_of_validation(message)
        if detail is None or detail.parameter is None:
            return detail
        rule = cls.json_schema()["properties"].get(re.split(r"\W", detail.parameter)[0], {})
        for one in (rule, *rule.get("anyOf", ()), rule.get("items", {})):
            if found := {field: one[keyword] for keyword, field in _RANGE.items() if keyword in one}:
                return replace(detail, **found)
        return detail

    def params(self) -> JsonObject:
        """All parameters as JSON values, defaults included."""
        values: JsonObject = msgspec.to_builtins(self)
        return values

    @classmethod
    def json_schema(cls) -> JsonObject:
        """JSON Schema (2020-12) of the parameters, one flat object without references.

        Raises:
            TypeError: A parameter's type contains itself, so that it cannot be written without references.
        """
        schema = msgspec.json.schema(cls)
        own: JsonObject = _without_references({"$ref": schema["$ref"]}, schema["$defs"], ())
        own["title"] = cls.title
        own["description"] = cls.summary()
        return own

    @classmethod
    def summary(cls) -> str:
        """What the task is for: the first paragraph of its docstring, in one line."""
        return " ".join(inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].split())


@functools.cache  # for it takes a tenth of a second
def _version_of_package(module: str) -> dict[str, str]:
    """Versions of the distributions that a package of Python belongs to."""
    return {name: version(name) for name in packages_distributions().get(module, ())}


@dataclass(frozen=True)
class SeriesInfo:
    """What the headers of a series tell before its pixels are read.

    Attributes:
        geometry: Grid of its volume.
        modality: DICOM Modality ("CT", "MR", "PT"), or None if unknown.
        unit: Of its values; None where the modality has none.
    """

    geometry: Geometry
    modality: str | None
    unit: str | None


class ChannelTask(Task, frozen=True):
    """A task that may look at several series of a study at once; subclass it and give `run_channels`.

    The first is the job's own, on whose grid the result lies. The others are resampled to that grid before the task
    sees them.
    """

    def other_series(self) -> Mapping[str, str]:
        """Which series it needs beside the job's own, in the order in which it wants them.

        Returns:
            By a name for people a SeriesInstanceUID in the job's folder, or a folder relative to the root.

        Raises:
            DlpError: One is not named that is needed.
        """
        return {}

    def check_series(self, series: Sequence[SeriesInfo]) -> None:
        """Refuse series that the task cannot work on. Called before pixels are read; by default any will do.

        Raises:
            DlpError: It cannot; the message says what to do.
        """

    def run_channels(self, volumes: Sequence[Volume], report: Report) -> TaskResult:
        """Compute the result from the job's own volume and those of `other_series`, all on one grid and untouched."""
        raise NotImplementedError

    def run(self, volume: Volume, report: Report) -> TaskResult:
        """Compute the result of one volume alone."""
        return self.run_channels([volume], report)


def _without_references(schema: Any, definitions: JsonObject, inside: tuple[str, ...]) -> Any:
    """`schema` with each reference replaced by what it refers to; `inside` are the definitions it is a part of."""
    if isinstance(schema, list):
        return [_without_references(part, definitions, inside) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name in inside:
            raise TypeError(f"the type {name} of a parameter contains itself; use one that does not")
        others = {key: value for key, value in schema.items() if key != "$ref"}
        return {**_without_references(definitions[name], definitions, (*inside, name)), **others}
    return {key: _without_references(value, definitions, inside) for key, value in schema.items()}
