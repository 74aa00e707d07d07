"""The result of a job that finds structures: a DICOM Segmentation, and the volume of each structure."""

from __future__ import annotations

from pathlib import Path

from dlp_lab.dicom.derived_header import Derivation
from dlp_lab.dicom.series import Series
from dlp_lab.dicom.write_measurements import write_measurements
from dlp_lab.dicom.write_segmentation import write_segmentation
from dlp_lab.label_map import Algorithm, LabelMap
from dlp_lab.store.metadata import write_json
from dlp_lab.store.workspace import LABELS
from dlp_lab.tasks.task import LabelResult

MEASUREMENTS = "measurements.json"


def write_labels(series: Series, result: LabelResult, folder: Path, derivation: Derivation) -> dict[str, object]:
    """Write `segmentation.dcm`, `measurements.dcm`, `measurements.json` and `labels.h5` into `folder`.

    The HDF5 file has the numbers of the labels on the grid of the source, for viewers, and nothing of the patient.

    Returns:
        What the job's record tells of the result.

    Raises:
        DlpError: As `write_segmentation`.
    """
    from dlp_lab.store.hdf5 import write_hdf5  # loads h5py

    written = write_segmentation(series, result.label_map, result.algorithm, result.form, folder, derivation)
    report = write_measurements(written, result.label_map, result.algorithm, derivation)
    measured = measurements(result.label_map)
    write_json(measured, folder / MEASUREMENTS)
    write_hdf5(result.volume, folder / LABELS, compress="gzip")
    return {
        "description": result.description,
        "series_instance_uid": written.series_instance_uid,
        "files": [path.name for path in (written.file, report) if path is not None],
        "form": result.form,
        "algorithm": told_of_algorithm(result.algorithm),
        **measured,
    }


def told_of_algorithm(algorithm: Algorithm) -> dict[str, object]:
    """What a job's record tells of what made the result."""
    return {
        "name": algorithm.name,
        "version": algorithm.version,
        "source": algorithm.source,
        "parameters": dict(algorithm.parameters),
    }


def measurements(label_map: LabelMap) -> dict[str, object]:
    """Voxels and ml of each structure, also of those that were not found; `segment` is its number in the DICOM file."""
    found = []
    for segment, (label, voxels) in enumerate(zip(label_map.labels, label_map.voxel_counts, strict=True), start=1):
        of_label = {"number": label.number, "segment": segment, "name": label.name}
        found.append({**of_label, "voxels": voxels, "ml": voxels * label_map.voxel_ml})
    return {"voxel_ml": label_map.voxel_ml, "labels": found}
