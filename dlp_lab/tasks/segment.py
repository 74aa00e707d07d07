"""Task `segment`: structures found by a network that was registered as a model package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from dlp_lab.label_map import SegmentationForm
from dlp_lab.tasks.model_task import ModelTask, algorithm_of
from dlp_lab.tasks.task import LabelResult, Report
from dlp_lab.volume import Volume


class Segment(ModelTask, frozen=True):
    """Finds structures by a neural network, and gives a DICOM Segmentation with the volume of each.

    Networks come as model packages, which `dlp-lab model add` registers on the machine that runs the jobs. They are run
    by ONNX Runtime; no code of a package is ever run.
    """

    name: ClassVar[str] = "segment"
    title: ClassVar[str] = "Segmentation by a network"
    makes: ClassVar[Literal["image", "labels"]] = "labels"

    form: Annotated[
        SegmentationForm,
        Meta(
            title="Form",
            description="binary is read by every viewer, labelmap is newer and smaller, fractional tells how surely.",
        ),
    ] = "binary"

    def run_channels(self, volumes: Sequence[Volume], report: Report) -> LabelResult:
        from dlp_lab.models.inference import segment  # here, for other tasks start without them
        from dlp_lab.models.network import load

        package = self.package()
        report(0.0, "loading the model")
        network = load(package)
        label_map = segment(network, volumes, report, with_fractions=self.form == "fractional")
        return LabelResult(
            label_map=label_map,
            description=package.description.title,
            algorithm=algorithm_of(package, network.provider),
            form=self.form,
        )
