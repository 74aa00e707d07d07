"""The volume of each structure as a DICOM structured report (PS3.16 TID 1500), beside the segmentation it is of."""

from __future__ import annotations

from pathlib import Path

import pydicom

from dlp_lab import __version__
from dlp_lab.dicom.derived_header import MANUFACTURER, Derivation, derived_uid
from dlp_lab.dicom.quiet import quiet
from dlp_lab.dicom.write_segmentation import WrittenSegmentation
from dlp_lab.label_map import Algorithm, LabelMap

FILE_NAME = "measurements.dcm"
_SERIES_OFFSET = 1
"""Added to the SeriesNumber of the segmentation."""

_PROCEDURE = ("363679005", "SCT", "Imaging procedure")
_VOLUME = ("118565006", "SCT", "Volume")
_MILLILITRE = ("ml", "UCUM", "milliliter")


def write_measurements(
    segmentation: WrittenSegmentation, label_map: LabelMap, algorithm: Algorithm, derivation: Derivation
) -> Path | None:
    """Write `measurements.dcm` beside a segmentation: the volume in ml of each structure that was found.

    Returns:
        The file; None where nothing was found, for a report of no measurement says nothing.
    """
    from highdicom import sr

    found = [
        (number, label, voxels)
        for number, (label, voxels) in enumerate(zip(label_map.labels, label_map.voxel_counts, strict=True), start=1)
        if voxels
    ]
    if not found:
        return None
    with quiet():
        # what is said of each frame stays in the file
        source = pydicom.dcmread(segmentation.file, stop_before_pixels=True, defer_size=2**16)
        series_uid = derived_uid(segmentation.series_instance_uid, "measurements")
        of_series = sr.SourceSeriesForSegmentation(source.ReferencedSeriesSequence[0].SeriesInstanceUID)
        observer = sr.DeviceObserverIdentifyingAttributes(
            uid=derived_uid(MANUFACTURER),
            name=MANUFACTURER,
            manufacturer_name=MANUFACTURER,
            model_name=algorithm.name[:64],
        )
        made_by = sr.AlgorithmIdentification(algorithm.name[:64], algorithm.version[:64])
        groups = [
            sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
                tracking_identifier=sr.TrackingIdentifier(
                    uid=derived_uid(segmentation.series_instance_uid, "segment", str(number)),
                    identifier=f"{algorithm.name} {label.name}"[:64],
                ),
                referenced_segment=sr.ReferencedSegment(
                    source.SOPClassUID, source.SOPInstanceUID, number, source_series=of_series
                ),
                finding_type=sr.CodedConcept(label.type.value, label.type.scheme, label.type.meaning),
                finding_category=sr.CodedConcept(label.category.value, label.category.scheme, label.category.meaning),
                algorithm_id=made_by,
                measurements=[
                    sr.Measurement(
                        name=sr.CodedConcept(*_VOLUME),
                        value=float(f"{voxels * label_map.voxel_ml:.6g}"),
                        unit=sr.CodedConcept(*_MILLILITRE),
                    )
                ],
            )
            for number, label, voxels in found
        ]
        report = sr.MeasurementReport(
            observation_context=sr.ObservationContext(
                observer_device_context=sr.ObserverContext(
                    observer_type=sr.CodedConcept("121007", "DCM", "Device"),
                    observer_identifying_attributes=observer,
                )
            ),
            procedure_reported=sr.CodedConcept(*_PROCEDURE),
            imaging_measurements=groups,
            title=sr.CodedConcept("126000", "DCM", "Imaging Measurement Report"),
        )
        made = sr.EnhancedSR(
            evidence=[source],
            content=report,
            series_instance_uid=series_uid,
            series_number=int(source.SeriesNumber) + _SERIES_OFFSET,
            sop_instance_uid=derived_uid(series_uid, "0"),
            instance_number=1,
            manufacturer=MANUFACTURER,
            manufacturer_model_name=derivation.label[:64],
            software_versions=__version__,
            device_serial_number=algorithm.version[:64],
            is_complete=True,
            is_final=False,
            is_verified=False,
            series_description=f"{derivation.description}: volumes"[:64],
        )
        path = segmentation.file.with_name(FILE_NAME)
        made.save_as(path)
    return path
