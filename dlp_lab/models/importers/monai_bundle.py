"""MONAI bundles."""

from dlp_lab.models.importers.imported import ImportedModel, Wishes
from dlp_lab.models.importers.source import ModelSource


def is_monai_bundle(source: ModelSource) -> bool:
    return False


def import_monai_bundle(source: ModelSource, wishes: Wishes) -> ImportedModel:
    raise NotImplementedError
