"""What the tasks share that run a network of a registered model package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, get_args

from msgspec import Meta, field

from dlp_lab.errors import BadParameters, InputUnsuitable, ModelRefused, NoSuchModel
from dlp_lab.label_map import Algorithm
from dlp_lab.models.description import ModelDescription
from dlp_lab.models.package import ModelPackage
from dlp_lab.models.registry import model_names, registered_model
from dlp_lab.models.suitability import refuse_unsuitable
from dlp_lab.tasks.task import ChannelTask, JsonObject, SeriesInfo

ModelName = Annotated[
    str,
    Meta(title="Model", max_length=63, description="Name of a registered model; may be left out where one is."),
]
ChannelSeries = Annotated[
    dict[
        Annotated[str, Meta(title="Channel")],
        Annotated[str, Meta(title="Series or folder", extra_json_schema={"format": "dicom-series"})],
    ],
    Meta(
        title="Other channels",
        max_length=16,
        description="Of a model with several input channels: for each but the first, by its name, the "
        "SeriesInstanceUID of a series in the folder of the job, or another folder, such as study1/flair. They are "
        "resampled to the grid of the job's series.",
    ),
]
Makes = Literal["image", "labels"]


class ModelTask(ChannelTask, frozen=True, kw_only=True):
    """Base of the tasks that run a model; `makes` says which models are theirs."""

    model: ModelName = ""
    channels: ChannelSeries = field(default_factory=dict)

    def package(self) -> ModelPackage:
        """The model that is asked for, or the only one that makes what the task makes.

        Raises:
            NoSuchModel: There is none of that name, or several without a name being given.
            InputUnsuitable: It makes something else.
        """
        if self.model:
            package = registered_model(self.model)
            if _makes(package.description) != self.makes:
                other = {"image": "an image", "labels": "structures"}[_makes(package.description)]
                raise InputUnsuitable(f"task {self.name}: model {self.model} makes {other}, and is for another task")
            return package
        names = _names_of(self.makes)
        if len(names) == 1:
            return registered_model(names[0])
        there = f"choose one of {', '.join(names)}" if names else "none is registered; add one by dlp-lab model add"
        raise NoSuchModel(f"task {self.name}: no model is named; {there}")

    def other_series(self) -> Mapping[str, str]:
        description = self.package().description
        first, *others = (channel.name for channel in description.input.channels)
        if first in self.channels:
            raise BadParameters(
                f"task {self.name}: {first} is the series of the job itself; choose it by the folder, or by series"
            )
        if unknown := sorted(set(self.channels) - set(others)):
            there = f"it takes {', '.join(others)} beside {first}" if others else f"it takes {first} alone"
            raise BadParameters(f"task {self.name}: model {description.name} has no channel {unknown[0]}; {there}")
        if absent := [name for name in others if name not in self.channels]:
            raise BadParameters(
                f"task {self.name}: model {description.name} takes {first} and {', '.join(others)}; name the series of "
                f"{', '.join(absent)} by the parameter channels"
            )
        return {name: self.channels[name] for name in others}

    def depends_on(self) -> dict[str, str]:
        return super().depends_on() | {"model.json SHA-256": self.package().sha256}

    def check_series(self, series: Sequence[SeriesInfo]) -> None:
        refuse_unsuitable(self.package().description, series)

    @classmethod
    def json_schema(cls) -> JsonObject:
        """As of any task, the model being one of those that are registered now; among several none is the default."""
        schema = super().json_schema()
        names = _names_of(cls.makes)
        if names:
            choices = names if len(names) == 1 else ["", *names]
            schema["properties"]["model"] |= {"enum": choices, "default": choices[0]}
            schema["properties"]["model"]["description"] = f"A registered model: {_titles(names)}"
        return schema


def algorithm_of(package: ModelPackage, provider: str) -> Algorithm:
    """A model as the algorithm that a result is of, with the hashes of all that it was made by."""
    description = package.description
    parameters = (("model.json SHA-256", package.sha256), ("provider", provider))
    networks = tuple(
        (f"{name} SHA-256", digest) for name, digest in description.sha256.items() if name in _run(package)
    )
    return Algorithm(description.name, description.version, description.citation[:64] or None, (*parameters, *networks))


def _run(package: ModelPackage) -> tuple[str, ...]:
    """The files of a package that are networks."""
    description = package.description
    return (*description.folds, *(() if description.locator is None else (description.locator.file,)))


def _makes(description: ModelDescription) -> Makes:
    return "image" if description.output.kind == "image" else "labels"


def _names_of(makes: Makes) -> list[str]:
    """The registered models that make this; one that cannot be read may make anything."""
    return [name for name in model_names() if makes in _may_make(name)]


def _may_make(name: str) -> tuple[Makes, ...]:
    try:
        return (_makes(registered_model(name).description),)
    except ModelRefused:
        return get_args(Makes)


def _titles(names: list[str]) -> str:
    titles = []
    for name in names:
        try:
            titles.append(f"{name} ({registered_model(name).description.title})")
        except ModelRefused:
            titles.append(f"{name} (damaged)")
    return ", ".join(titles)
