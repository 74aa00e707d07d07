"""A CT series as a scanner writes it: about 200 elements and 5 kB of header a file, private blocks, nested sequences.

The phantom of the tests has the elements that its checks need. What a reader spends on a header depends on how many
there are, so that speed is measured on as many as a hospital's files have.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from scipy import ndimage

from tests.phantom import Phantom, write_phantom_series

ROWS = COLUMNS = 512
_PRIVATE_BLOCKS = {
    0x0009: ("GEMS_IDEN_01", 8),
    0x0019: ("GEMS_ACQU_01", 16),
    0x0021: ("GEMS_RELA_01", 8),
    0x0023: ("GEMS_STDY_01", 4),
    0x0027: ("GEMS_IMAG_01", 10),
    0x0043: ("GEMS_PARM_01", 14),
    0x0045: ("GEMS_HELIOS_01", 10),
}
_SAME_IN_ALL_SLICES = {
    "InstitutionAddress": "1 Example Way, Exampletown",
    "StationName": "CT99",
    "InstitutionalDepartmentName": "Radiology",
    "PhysiciansOfRecord": "Roe^Richard",
    "PerformingPhysicianName": "Poe^Paul",
    "OperatorsName": "OP",
    "DerivationDescription": "",
    "PatientAge": "054Y",
    "PatientSize": "1.68",
    "PatientWeight": "71.5",
    "EthnicGroup": "",
    "AdditionalPatientHistory": "follow up",
    "PatientComments": "",
    "ContrastBolusAgent": "IOHEXOL",
    "ScanOptions": "HELICAL MODE",
    "SpacingBetweenSlices": "1.000000",
    "DataCollectionDiameter": "500.000000",
    "ProtocolName": "5.1 CAP ROUTINE",
    "ContrastBolusRoute": "Oral & IV",
    "ContrastBolusVolume": "100",
    "ReconstructionDiameter": "360.000000",
    "DistanceSourceToDetector": "949.075",
    "DistanceSourceToPatient": "541.0",
    "GantryDetectorTilt": "0.000000",
    "TableHeight": "152.5",
    "RotationDirection": "CW",
    "ExposureTime": "500",
    "FilterType": "BODY FILTER",
    "GeneratorPower": "36000",
    "FocalSpots": ["1.2", "1.2"],
    "ConvolutionKernel": "STANDARD",
    "RevolutionTime": 0.5,
    "SingleCollimationWidth": 0.625,
    "TotalCollimationWidth": 40.0,
    "TableSpeed": 78.75,
    "TableFeedPerRotation": 39.375,
    "SpiralPitchFactor": 0.984375,
    "ExposureModulationType": "XYZ_EC",
    "EstimatedDoseSaving": 20.0,
    "CTDIvol": 10.25,
    "Laterality": "",
    "ImagesInAcquisition": "400",
    "ImageComments": "",
    "TemporalPositionIdentifier": "1",
    "NumberOfTemporalPositions": "1",
    "BurnedInAnnotation": "NO",
    "LossyImageCompression": "00",
    "RequestedProcedureDescription": "CT chest abdomen pelvis",
    "RequestedProcedureID": "RP1",
    "PerformedProcedureStepStartDate": "20240102",
    "PerformedProcedureStepStartTime": "100000",
    "PerformedProcedureStepID": "PPS1",
    "PerformedProcedureStepDescription": "CT chest abdomen pelvis",
}


def write_scanner_series(folder: Path, slices: int) -> Phantom:
    """Write `slices` x 512 x 512 int16, axial, 1 mm apart, of shapes and noise instead of the phantom's values."""
    shape, spacing_kji_mm = (slices, 4, 4), (1.0, 0.7, 0.7)
    return write_phantom_series(
        folder, shape=shape, spacing_kji_mm=spacing_kji_mm, orientation="axial", edit=as_scanned
    )


def as_scanned(k: int, ds: Dataset) -> None:
    """Add to slice `k` of the phantom what a scanner adds, and give it 512 x 512 pixels."""
    for keyword, value in _SAME_IN_ALL_SLICES.items():
        setattr(ds, keyword, value)
    ds.InstanceCreationDate, ds.InstanceCreationTime = "20240102", f"1015{k % 60:02d}.{k:06d}"
    ds.AcquisitionTime = f"1012{k % 60:02d}.{k:06d}"
    ds.ContentTime = f"1015{k % 60:02d}.{k:06d}"
    ds.XRayTubeCurrent, ds.Exposure = str(300 + k % 97), str(15 + k % 11)
    ds.SliceLocation = f"{k:.6f}"
    ds.ProcedureCodeSequence = [_code("CTCAP", "CT chest abdomen pelvis")]
    ds.ReferencedPerformedProcedureStepSequence = [_reference("1.2.840.10008.3.1.2.3.3", "1.2.3.4.9.1")]
    ds.ReferencedImageSequence = [_reference(ds.SOPClassUID, "1.2.3.4.9.2")]
    request = Dataset()
    request.ScheduledProcedureStepDescription, request.ScheduledProcedureStepID = "CAP", "SPS1"
    request.ScheduledProtocolCodeSequence = [_code("P1", "Protocol 1"), _code("P2", "Protocol 2")]
    ds.RequestAttributesSequence = [request]
    for group, (creator, elements) in _PRIVATE_BLOCKS.items():
        _add_private_block(ds, k, group, creator, elements)
    ds.Rows, ds.Columns = ROWS, COLUMNS
    ds.PixelData = np.roll(_image(), k, axis=0).tobytes()


def _add_private_block(ds: Dataset, k: int, group: int, creator: str, elements: int) -> None:
    block = ds.private_block(group, creator, create=True)
    for number in range(elements):
        vr, value = [
            ("DS", f"{(7 * k + number) * 1.25:.4f}"),
            ("SL", k * number),
            ("SH", f"P{number}X"),
            ("FL", k * 0.5 + number),
            ("LO", "some private text value"),
            ("US", [1, 2, number]),
        ][number % 6]
        block.add_new(number + 1, vr, value)
    if group == 0x0043:
        block.add_new(0x40, "OB", bytes(range(256)) * 4)


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "99LOCAL", meaning
    return code


def _reference(sop_class: str, sop_instance: str) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = sop_class, sop_instance
    return reference


@cache
def _image() -> NDArray[np.int16]:
    """Stored values of a round body with the noise of a reconstruction, intercept -1024."""
    j, i = np.mgrid[:ROWS, :COLUMNS] - 256.0
    noise = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal((ROWS, COLUMNS)), 0.75)
    body = np.where(np.hypot(j / 150, i / 200) < 1, 1064.0, 24.0)
    return np.asarray(np.rint(body + noise * 22 / noise.std()), np.int16)
