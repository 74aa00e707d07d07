"""Import a model of another program: recognise it, make a package of it, and register that."""

from __future__ import annotations

import tempfile
from pathlib import Path

from dlp_lab.errors import ModelRefused
from dlp_lab.models.importers.imported import ImportedModel, Wishes
from dlp_lab.models.importers.monai_bundle import import_monai_bundle, is_monai_bundle
from dlp_lab.models.importers.nnunet import import_nnunet, is_nnunet
from dlp_lab.models.importers.source import open_source
from dlp_lab.models.package import ModelPackage
from dlp_lab.models.registry import add_model

__all__ = ["Wishes", "import_model", "imported_model"]


def imported_model(path: Path, wishes: Wishes) -> ImportedModel:
    """Read a model of another program.

    Args:
        path: A folder or a zip that holds a MONAI bundle or results of nnU-Net.
        wishes: What the caller says of it.

    Raises:
        ModelRefused: It is neither, or of a kind that is not supported; the message names what of it.
        ModelsMissing: ONNX Runtime is not installed.
    """
    source = open_source(path)
    if is_monai_bundle(source):
        return import_monai_bundle(source, wishes)
    if is_nnunet(source):
        return import_nnunet(source, wishes)
    raise ModelRefused(
        f"{source.name} is neither a MONAI bundle (configs/metadata.json) nor results of nnU-Net v2 (plans.json); "
        "a package with model.json is registered by dlp-lab model add"
    )


def import_model(path: Path, wishes: Wishes) -> tuple[ModelPackage, tuple[str, ...]]:
    """As `imported_model`, and register it.

    Returns:
        The registered package, and what the caller should know of it.

    Raises:
        ModelRefused: Also when the package that is made is not what it must be.
        OutputExists: A model of that name is registered.
    """
    imported = imported_model(path, wishes)
    with tempfile.TemporaryDirectory(prefix="dlp-lab-import-") as folder:
        imported.write(Path(folder))
        return add_model(Path(folder)), imported.notes
