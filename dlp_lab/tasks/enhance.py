"""Task `enhance`: an image made of an image by a network, as in denoising, restoration or synthesis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from dlp_lab.tasks.model_task import ModelTask, algorithm_of
from dlp_lab.tasks.task import ImageResult, Report
from dlp_lab.volume import Volume


class Enhance(ModelTask, frozen=True):
    """Makes an image of an image by a neural network, as in denoising or synthesis, and gives a derived series.

    Networks come as model packages, which `dlp-lab model add` registers on the machine that runs the jobs. They are run
    by ONNX Runtime; no code of a package is ever run.
    """

    name: ClassVar[str] = "enhance"
    title: ClassVar[str] = "Image by a network"
    makes: ClassVar[Literal["image", "labels"]] = "image"

    def run_channels(self, volumes: Sequence[Volume], report: Report) -> ImageResult:
        from dlp_lab.models.image_making import make_image, reach_slices  # here, for other tasks start without them
        from dlp_lab.models.network import load

        package = self.package()
        report(0.0, "loading the model")
        network = load(package)
        description = package.description
        code = description.output.derivation
        unit = f", values in {description.output.unit}" if description.output.unit else ""
        return ImageResult(
            volume=make_image(network, volumes, report),
            description=f"{description.title} (model {description.name} {description.version}{unit}, SHA-256 of its "
            f"description {package.sha256})",
            derivation_code=None if code is None else (code.value, code.scheme, code.meaning),
            reach_slices=reach_slices(description, volumes[0]),
            algorithm=algorithm_of(package, network.provider),
        )
