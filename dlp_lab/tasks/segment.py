"""Task `segment`: structures found by a network that was registered as a model package."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from dlp_lab.errors import ModelRefused, NoSuchModel
from dlp_lab.geometry import Geometry
from dlp_lab.label_map import Algorithm, SegmentationForm
from dlp_lab.models.description import ModelDescription
from dlp_lab.models.inference import refuse_geometry, segment
from dlp_lab.models.network import load
from dlp_lab.models.package import ModelPackage
from dlp_lab.models.registry import model_names, registered_model
from dlp_lab.tasks.task import JsonObject, LabelResult, Report, Task
from dlp_lab.volume import Volume


class Segment(Task, frozen=True):
    """Finds structures by a neural network, and gives a DICOM Segmentation with the volume of each.

    Networks come as model packages, which `dlp-lab model add` registers on the machine that runs the jobs. They are run
    by ONNX Runtime; no code of a package is ever run.
    """

    name: ClassVar[str] = "segment"
    title: ClassVar[str] = "Segmentation by a network"
    makes: ClassVar[Literal["image", "labels"]] = "labels"

    model: Annotated[
        str,
        Meta(title="Model", max_length=63, description="Name of a registered model; may be left out where one is."),
    ] = ""
    form: Annotated[
        SegmentationForm,
        Meta(
            title="Form",
            description="binary is read by every viewer, labelmap is newer and smaller, fractional tells how surely.",
        ),
    ] = "binary"

    def check(self, geometry: Geometry) -> None:
        refuse_geometry(self._package().description, geometry)

    def depends_on(self) -> dict[str, str]:
        return super().depends_on() | {"model.json SHA-256": self._package().sha256}

    def run(self, volume: Volume, report: Report) -> LabelResult:
        package = self._package()
        report(0.0, "loading the model")
        network = load(package)
        label_map = segment(network, volume, report, with_fractions=self.form == "fractional")
        description = package.description
        return LabelResult(
            label_map=label_map,
            description=description.title,
            algorithm=_algorithm(description, package.sha256, network.provider),
            form=self.form,
        )

    def _package(self) -> ModelPackage:
        if self.model:
            return registered_model(self.model)
        names = model_names()
        if len(names) == 1:
            return registered_model(names[0])
        there = f"choose one of {', '.join(names)}" if names else "none is registered; add one by dlp-lab model add"
        raise NoSuchModel(f"task segment: no model is named; {there}")

    @classmethod
    def json_schema(cls) -> JsonObject:
        """As of any task, the model being one of those that are registered now; among several none is the default."""
        schema = super().json_schema()
        names = model_names()
        if names:
            choices = names if len(names) == 1 else ["", *names]
            schema["properties"]["model"] |= {"enum": choices, "default": choices[0]}
            schema["properties"]["model"]["description"] = f"A registered model: {_titles(names)}"
        return schema


def _titles(names: list[str]) -> str:
    titles = []
    for name in names:
        try:
            titles.append(f"{name} ({registered_model(name).description.title})")
        except ModelRefused:
            titles.append(f"{name} (damaged)")
    return ", ".join(titles)


def _algorithm(description: ModelDescription, sha256: str, provider: str) -> Algorithm:
    parameters = (("model.json SHA-256", sha256), ("provider", provider))
    networks = tuple((f"{name} SHA-256", description.sha256[name]) for name in description.folds)
    return Algorithm(description.name, description.version, description.citation[:64] or None, (*parameters, *networks))
