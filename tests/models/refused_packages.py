"""Packages and models of other programs that must be refused, each with what the message must say.

`python -m tools.refused_packages` prints them with the whole messages, for docs/models.md.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from dlp_lab.models.importers.importing import Wishes, import_model
from dlp_lab.models.registry import add_model
from tests.models.networks import description, model, threshold_network, write_package

GOLDEN = Path(__file__).parents[1] / "golden" / "models"
INFERENCE, METADATA = "configs/inference.json", "configs/metadata.json"
PYTHON = "$__import__('os').system('id')"


@dataclass(frozen=True)
class Refused:
    """A package, made in an empty folder, and a part of the message."""

    what: str
    make: Callable[[Path], Path]
    message: str
    is_imported: bool = True

    def take(self, folder: Path) -> None:
        """Make it, and add or import it."""
        made = self.make(folder)
        if self.is_imported:
            import_model(made, Wishes(name="refused"))
        else:
            add_model(made)


# ---- packages of ours ------------------------------------------------------------------------------------------------


def external_data() -> onnx.ModelProto:
    """Weights in a file outside the package."""
    made = threshold_network(10)
    weight = made.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../../etc/passwd")
    return made


def declared_bomb() -> onnx.ModelProto:
    """A tensor of 32 GiB that holds 8 bytes."""
    made = threshold_network(10)
    made.graph.initializer[0].dims[:] = [2**33, 1, 1, 1, 1]
    return made


def made_bomb() -> onnx.ModelProto:
    """A constant of 64 GiB that the network makes."""
    shape = numpy_helper.from_array(np.array([1, 2, 2**10, 2**10, 2**13]), "shape")
    return model([helper.make_node("ConstantOfShape", ["shape"], ["scores"])], [shape], 2)


def other_operators() -> onnx.ModelProto:
    """An operator that needs code of its own."""
    made = model([helper.make_node("Evil", ["image"], ["scores"], domain="com.example")], [], 2)
    made.opset_import.append(helper.make_opsetid("com.example", 1))
    return made


def _package(network: Callable[[], onnx.ModelProto], **changes: Any) -> Callable[[Path], Path]:
    return lambda folder: write_package(folder / "package", network(), description(**changes))


def _small() -> onnx.ModelProto:
    return threshold_network(10)


def _zip_of(name: str, mode: int = 0o100644) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "package.zip", "w") as archive:
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            archive.writestr(member, b"{}")
        return folder / "package.zip"

    return make


# ---- models of other programs, changed from golden ones --------------------------------------------------------------

Files = dict[str, bytes]


def golden_files(name: str) -> Files:
    """The files of a golden model by their paths below its folder."""
    with zipfile.ZipFile(GOLDEN / f"{name}.zip") as archive:
        return {path.partition("/")[2]: archive.read(path) for path in archive.namelist()}


def write_files(folder: Path, files: Files) -> Path:
    """Write them below a folder."""
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return folder


def _changed(golden: str, file: str, change: Callable[[dict[str, Any]], None]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        files = golden_files(golden)
        content = json.loads(files[file])
        change(content)
        files[file] = json.dumps(content).encode()
        return write_files(folder / "model", files)

    return make


def _bundle(change: Callable[[dict[str, Any]], None], file: str = INFERENCE) -> Callable[[Path], Path]:
    return _changed("monai-foreground", file, change)


def _before(transform: dict[str, Any], place: int = 3) -> Callable[[Path], Path]:
    return _bundle(lambda config: config["preprocessing"]["transforms"].insert(place, transform))


def _behind(transform: dict[str, Any], place: int) -> Callable[[Path], Path]:
    return _bundle(lambda config: config["postprocessing"]["transforms"].insert(place, transform))


def _set(*path: Any, to: Any, file: str = INFERENCE) -> Callable[[Path], Path]:
    return _bundle(lambda config: _put(config, path, to), file)


def _put(content: Any, path: tuple[Any, ...], value: Any) -> None:
    for key in path[:-1]:
        content = content[key]
    content[path[-1]] = value


def _results(file: str, *path: Any, to: Any) -> Callable[[Path], Path]:
    return _changed("nnunet-regions", file, lambda content: _put(content, path, to))


def _planned(key: str, to: Any) -> Callable[[Path], Path]:
    return _results("plans.json", "configurations", "3d_fullres", key, to=to)


def _without(golden: str, file: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        files = golden_files(golden)
        del files[file]
        return write_files(folder / "model", files)

    return make


def _yaml(text: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        files = golden_files("monai-foreground")
        del files[INFERENCE]
        files["configs/inference.yaml"] = text.encode()
        return write_files(folder / "model", files)

    return make


_ALIASES = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)
_PREPROCESSING = ("preprocessing", "transforms")
_SPACING_PLACE = 3


def _point_to_python(config: dict[str, Any]) -> None:
    config["harmless"] = PYTHON
    _put(config, (*_PREPROCESSING, _SPACING_PLACE, "pixdim"), "@harmless")


def _choose_before_the_way_back(config: dict[str, Any]) -> None:
    transforms = config["postprocessing"]["transforms"]
    transforms.insert(1, transforms.pop(2))


def _forget_orientation(config: dict[str, Any]) -> None:
    config["preprocessing"]["transforms"].pop(2)


REFUSED = [
    Refused("a network with its weights in a file outside", _package(external_data), "external data", False),
    Refused("a tensor of 32 GiB that holds 8 bytes", _package(declared_bomb), "declares 32 GiB", False),
    Refused("a constant of 64 GiB that the network makes", _package(made_bomb), "2 GiB out of nothing", False),
    Refused("an operator with code of its own", _package(other_operators), "domain 'com.example'", False),
    Refused(
        "a file with another SHA-256",
        _package(_small, sha256={"model.onnx": "0" * 64}),
        "was changed or damaged",
        False,
    ),
    Refused("an unknown key", _package(_small, python="import os"), "unknown field `python`", False),
    Refused("a zip that leads out of its folder", _zip_of("../model.json"), "no plain name", False),
    Refused("the same, to be imported", _zip_of("../configs/metadata.json"), "leads out of it"),
    Refused("a zip with a link", _zip_of("configs/metadata.json", 0o120777), "which is a link"),
    Refused("a folder of something else", lambda folder: folder, "neither a MONAI bundle"),
    Refused("Python as an argument", _set(*_PREPROCESSING, _SPACING_PLACE, "pixdim", to=PYTHON), "never run here"),
    Refused(
        "Python behind a reference",
        _bundle(_point_to_python),
        "never run here",
    ),
    Refused("Python as the whole preprocessing", _set("preprocessing", to="$Compose([])"), "never run here"),
    Refused("Python in the inferer", _set("inferer", "overlap", to="$1/2"), "inferer#overlap is '$1/2'"),
    Refused("a macro", _set("inferer", "overlap", to="%other.json#overlap"), "a macro"),
    Refused("references in a circle", _set("inferer", "overlap", to="@inferer#overlap"), "points to itself"),
    Refused("a reference to nothing", _set("inferer", "overlap", to="@absent"), "is not there"),
    Refused("tags of Python in YAML", _yaml("preprocessing: !!python/object/apply:os.system [id]\n"), "cannot be read"),
    Refused(
        "YAML that grows a billionfold",
        _yaml(_ALIASES + "preprocessing: *a8\ninferer: {}\npostprocessing: []\n"),
        "more than 100000 values",
    ),
    Refused("Lambdad", _before({"_target_": "Lambdad", "keys": "image", "func": "@f"}), "(Lambdad) is not supported"),
    Refused("a transform of the bundle's own", _before({"_target_": "scripts.own.Turnd"}), "scripts.own.Turnd"),
    Refused("Resized", _before({"_target_": "Resized", "keys": "image", "spatial_size": [96] * 3}), "(Resized)"),
    Refused("an unknown argument", _set(*_PREPROCESSING, 3, "min_pixdim", to=[1, 1, 1]), "min_pixdim"),
    Refused(
        "KeepLargestConnectedComponentd before there are labels",
        _behind({"_target_": "KeepLargestConnectedComponentd", "keys": "pred"}, 1),
        "(KeepLargestConnectedComponentd) is not supported",
    ),
    Refused(
        "numbers of labels interpolated",
        _bundle(_choose_before_the_way_back),
        "between numbers of labels",
    ),
    Refused("SliceInferer", _set("inferer", "_target_", to="SliceInferer"), "(SliceInferer) is not supported"),
    Refused(
        "no orientation",
        _bundle(_forget_orientation),
        "--orientation",
    ),
    Refused(
        "a bundle of other channels than its network's",
        _set("network_data_format", "inputs", "image", "num_channels", to=2, file=METADATA),
        "takes 1 channels",
    ),
    Refused("a bundle without ONNX weights", _without("monai-foreground", "models/model.onnx"), "onnx_export"),
    Refused("results that are not exported", _without("nnunet-regions", "export.json"), "model exporter nnunet"),
    Refused("a cascade", _planned("previous_stage", "3d_lowres"), "is a cascade (previous_stage 3d_lowres)"),
    Refused("a configuration of slices (2d)", _planned("patch_size", [64, 64]), "of single slices (2d)"),
    Refused("an unknown normalisation", _planned("normalization_schemes", ["OwnNormalization"]), "'OwnNormalization'"),
    Refused("an unknown resampling", _planned("resampling_fn_data", "own_resampling"), "'own_resampling'"),
    Refused(
        "an unknown way back",
        _planned("resampling_fn_probabilities", "no_resampling_hack"),
        "resampling_fn_probabilities 'no_resampling_hack'",
    ),
    Refused("a preprocessor of its own", _planned("preprocessor_name", "OwnPreprocessor"), "'OwnPreprocessor'"),
    Refused("an unknown reader", _results("plans.json", "image_reader_writer", to="Tiff3DIO"), "'Tiff3DIO'"),
    Refused("a label manager of its own", _results("plans.json", "label_manager", to="Own"), "label manager 'Own'"),
    Refused("inheritance in a circle", _planned("inherits_from", "3d_fullres"), "inherits from itself"),
    Refused("regions without an order", _results("dataset.json", "regions_class_order", to=None), "class_order"),
    Refused(
        "labels with a gap",
        _results("dataset.json", "labels", to={"background": 0, "liver": 1, "spleen": 3}),
        "must be 0, the background, and 1, 2, ...",
    ),
    Refused(
        "results of other channels than their network's",
        _changed(
            "nnunet-regions",
            "dataset.json",
            lambda content: content["channel_names"].update({"1": "PET"}),
        ),
        "takes 1 channels, dataset.json names 2",
    ),
    Refused(
        "an exported network in another folder",
        _results("export.json", "networks", to={"0": "../model_fold0.onnx"}),
        "regex",
    ),
]
