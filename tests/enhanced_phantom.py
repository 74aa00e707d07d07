"""The analytic phantom of `tests/phantom.py` as one enhanced multi-frame file, such that dciodvfy finds no error in it.

Frames are written in an order that has nothing to do with where they lie, unless it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    EnhancedPETImageStorage,
    ExplicitVRLittleEndian,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    LegacyConvertedEnhancedPETImageStorage,
    generate_uid,
)

from tests.phantom import ORIENTATIONS, value_at

ENHANCED = {"CT": EnhancedCTImageStorage, "MR": EnhancedMRImageStorage, "PT": EnhancedPETImageStorage}
LEGACY = {
    "CT": LegacyConvertedEnhancedCTImageStorage,
    "MR": LegacyConvertedEnhancedMRImageStorage,
    "PT": LegacyConvertedEnhancedPETImageStorage,
}
FRAME_TYPES = {"CT": "CTImageFrameType", "MR": "MRImageFrameType", "PT": "PETFrameType"}

Edit = Callable[[Dataset], None]


@dataclass(frozen=True)
class EnhancedPhantom:
    """What was written.

    Attributes:
        file: The file.
        frame_of_slice: For each slice, along the normal, the index of its frame.
        values: `(k, j, i)` real values in slice order.
        affine_kji_to_lps: Of that order.
    """

    file: Path
    frame_of_slice: list[int]
    values: np.ndarray
    affine_kji_to_lps: np.ndarray


def write_enhanced_phantom(
    path: Path,
    *,
    modality: str = "CT",
    legacy: bool = False,
    shape: tuple[int, int, int] = (7, 5, 6),
    spacing_kji_mm: tuple[float, float, float] = (2.5, 0.8, 0.5),
    orientation: str | Sequence[float] = "oblique",
    origin_lps_mm: Sequence[float] = (-61.5, 38.25, -90.125),
    slice_offsets_mm: Sequence[float] | None = None,
    shear_mm_per_slice: float = 0.0,
    in_order: bool = False,
    shared: Sequence[str] | None = None,
    slopes: Sequence[float] | None = None,
    bits: int = 16,
    transfer_syntax: UID = ExplicitVRLittleEndian,
    edit: Edit | None = None,
    before_saving: Edit | None = None,
    seed: int = 0,
) -> EnhancedPhantom:
    """Write one multi-frame file and say what it holds.

    Args:
        path: Of the file; its folder is made if absent.
        modality: CT (intercept -1024), MR (identity) or PT (a slope of its own for every frame).
        legacy: Write the SOP class of images that were converted from single frames.
        shape, spacing_kji_mm, orientation, origin_lps_mm, slice_offsets_mm, shear_mm_per_slice: As of the series.
        in_order: Frames follow the normal.
        shared: Keywords of the groups that stand in the shared item if they are equal in all frames; by default all
            that may.
        slopes: Of each slice.
        bits: Allocated and stored, 8, 16 or 32.
        transfer_syntax: Of the file; pixels are encoded by pydicom.
        edit: Called with the data set before its functional groups are shared.
        before_saving: Called with the finished data set.
        seed: Of UIDs and the order of frames.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    iop = ORIENTATIONS[orientation] if isinstance(orientation, str) else list(orientation)
    row, column = np.array(iop[:3], float), np.array(iop[3:], float)
    normal = np.cross(row, column)
    slices, rows, columns = shape
    offsets = np.arange(slices) * spacing_kji_mm[0] if slice_offsets_mm is None else np.asarray(slice_offsets_mm)
    origins = np.asarray(origin_lps_mm, float) + np.outer(offsets, normal)
    origins = origins + np.outer(np.arange(slices), column) * shear_mm_per_slice
    j, i = np.mgrid[:rows, :columns]
    steps = j[..., None] * spacing_kji_mm[1] * column + i[..., None] * spacing_kji_mm[2] * row
    exact = value_at(origins[:, None, None] + steps)

    intercept = -1024.0 if modality == "CT" else 0.0
    default = [0.5 + 0.125 * (k % 3) for k in range(slices)] if modality == "PT" else [1.0] * slices
    slope_of = list(default if slopes is None else slopes)
    signed = modality != "CT"
    dtype = np.dtype(f"{'i' if signed else 'u'}{bits // 8}")
    stored = np.array([np.rint((exact[k] - intercept) / slope_of[k]) for k in range(slices)])
    limits = np.iinfo(dtype)
    stored = np.clip(stored, limits.min, limits.max).astype(dtype)
    values = np.array([stored[k] * slope_of[k] + intercept for k in range(slices)])

    frame_of_slice = list(range(slices)) if in_order else np.random.default_rng(seed).permutation(slices).tolist()
    slice_of_frame = np.argsort(frame_of_slice)
    ds = _top_level(path, modality, legacy, seed)
    ds.Rows, ds.Columns, ds.NumberOfFrames = rows, columns, slices
    ds.BitsAllocated = ds.BitsStored = bits
    ds.HighBit, ds.PixelRepresentation = bits - 1, int(signed)
    ds.PerFrameFunctionalGroupsSequence = [
        _frame_item(modality, legacy, iop, origins[k], spacing_kji_mm, slope_of[k], intercept, int(k), number)
        for number, k in enumerate(slice_of_frame)
    ]
    ds.PixelData = stored[slice_of_frame].astype(dtype.newbyteorder("<")).tobytes()
    if edit is not None:
        edit(ds)
    _share(ds, shared)
    if before_saving is not None:
        before_saving(ds)
    save(ds, path, transfer_syntax)

    affine = np.eye(4)
    affine[:3, 0] = (origins[-1] - origins[0]) / max(1, slices - 1) if slices > 1 else normal * spacing_kji_mm[0]
    affine[:3, 1], affine[:3, 2] = column * spacing_kji_mm[1], row * spacing_kji_mm[2]
    affine[:3, 3] = origins[0]
    return EnhancedPhantom(path, frame_of_slice, values, affine)


def _share(ds: Dataset, only: Sequence[str] | None) -> None:
    """Move what is equal in all frames into the shared item."""
    frames = ds.PerFrameFunctionalGroupsSequence
    shared = Dataset()
    for element in list(frames[0]):
        may = element.keyword != "FrameContentSequence" if only is None else element.keyword in only
        if may and all(element.tag in frame and frame[element.tag] == element for frame in frames):
            shared.add(element)
            for frame in frames:
                del frame[element.tag]
    ds.SharedFunctionalGroupsSequence = [shared]


def _frame_item(
    modality: str,
    legacy: bool,
    iop: Sequence[float],
    origin: np.ndarray,
    spacing_kji_mm: tuple[float, float, float],
    slope: float,
    intercept: float,
    k: int,
    number: int,
) -> Dataset:
    item = Dataset()
    content = _group(item, "FrameContentSequence")
    content.StackID, content.InStackPositionNumber, content.DimensionIndexValues = "1", k + 1, [1, k + 1]
    if not legacy:
        moment = f"2024010210{number // 60:02d}{number % 60:02d}"
        content.FrameAcquisitionDateTime = content.FrameReferenceDateTime = moment
        content.FrameAcquisitionDuration = 500.0
    if modality == "PT" and not legacy:
        content.TemporalPositionIndex = 1
    _group(item, "PlanePositionSequence").ImagePositionPatient = [f"{v:.10g}" for v in origin]
    _group(item, "PlaneOrientationSequence").ImageOrientationPatient = [f"{v:.12g}" for v in iop]
    measures = _group(item, "PixelMeasuresSequence")
    measures.PixelSpacing = [f"{spacing_kji_mm[1]:g}", f"{spacing_kji_mm[2]:g}"]
    measures.SliceThickness = f"{spacing_kji_mm[0]:g}"
    rescale = _group(item, "PixelValueTransformationSequence")
    rescale.RescaleIntercept, rescale.RescaleSlope = f"{intercept:g}", f"{slope:g}"
    rescale.RescaleType = {"CT": "HU", "MR": "US", "PT": "US"}[modality]
    window = _group(item, "FrameVOILUTSequence")
    window.WindowCenter, window.WindowWidth = "40", "400"
    anatomy = _group(item, "FrameAnatomySequence")
    anatomy.FrameLaterality = "U"
    anatomy.AnatomicRegionSequence = [_code("69536005", "SCT", "Head")]
    kind = _group(item, f"{FRAME_TYPES[modality]}Sequence")
    kind.FrameType = _image_type(modality)
    kind.PixelPresentation, kind.VolumetricProperties, kind.VolumeBasedCalculationTechnique = _COMMON_TYPE
    if modality == "MR":
        kind.ComplexImageComponent, kind.AcquisitionContrast = "MAGNITUDE", "T1"
    if legacy:
        unassigned = _group(item, "UnassignedPerFrameConvertedAttributesSequence")
        unassigned.InstanceNumber = number + 1
        if modality == "PT":
            _group(item, "UnassignedSharedConvertedAttributesSequence").Units = "BQML"
        return item
    _ADD_GROUPS[modality](item)
    return item


_COMMON_TYPE = ("MONOCHROME", "VOLUME", "NONE")


def _image_type(modality: str) -> list[str]:
    return ["ORIGINAL", "PRIMARY", {"CT": "VOLUME", "MR": "T1", "PT": "WHOLE_BODY"}[modality], "NONE"]


def _group(item: Dataset, keyword: str) -> Dataset:
    group = Dataset()
    setattr(item, keyword, [group])
    return group


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _top_level(path: Path, modality: str, legacy: bool, seed: int) -> Dataset:
    """What PS3.3 asks of the IOD, so that a checker finds no fault in the source."""
    uids = {name: generate_uid(entropy_srcs=[str(path.parent), name, str(seed)]) for name in ("study", "series", "of")}
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ImageType = _image_type(modality)
    ds.SOPClassUID = (LEGACY if legacy else ENHANCED)[modality]
    ds.SOPInstanceUID = generate_uid(entropy_srcs=[str(path), str(seed)])
    ds.StudyDate = ds.SeriesDate = ds.ContentDate = "20240102"
    ds.StudyTime = ds.SeriesTime = ds.ContentTime = "101500"
    ds.AcquisitionDateTime = "20240102101500"
    ds.AccessionNumber = "A1"
    ds.Modality = modality
    ds.Manufacturer, ds.ManufacturerModelName = "Phantom Works", "Analytic"
    ds.DeviceSerialNumber, ds.SoftwareVersions = "0007", "1.0"
    ds.InstitutionName = "Example Hospital"
    ds.ReferringPhysicianName = ""
    ds.StudyDescription, ds.SeriesDescription = "Phantom study", "Analytic phantom"
    ds.PixelPresentation, ds.VolumetricProperties, ds.VolumeBasedCalculationTechnique = _COMMON_TYPE
    ds.PatientName, ds.PatientID = "Phantom^Änne", "PHANTOM-1"
    ds.PatientBirthDate, ds.PatientSex = "19700101", "O"
    ds.BodyPartExamined = "HEAD"
    ds.PatientPosition = "HFS"
    ds.ContentQualification = "RESEARCH"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = uids["study"], uids["series"]
    ds.FrameOfReferenceUID = uids["of"]
    ds.StudyID, ds.SeriesNumber, ds.AcquisitionNumber, ds.InstanceNumber = "1", 3, 1, 1
    ds.PositionReferenceIndicator = ""
    _set_dimensions(ds, uids["of"])
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BurnedInAnnotation, ds.LossyImageCompression = "NO", "00"
    ds.PresentationLUTShape = "IDENTITY"
    ds.AcquisitionContextSequence = []
    block = ds.private_block(0x0019, "PHANTOM WORKS", create=True)
    block.add_new(0x01, "LO", "private and stale after processing")
    if not legacy:
        _ADD_TOP[modality](ds)
    return ds


def _set_dimensions(ds: Dataset, seed: str) -> None:
    organization = generate_uid(entropy_srcs=[seed, "dimensions"])
    item = Dataset()
    item.DimensionOrganizationUID = organization
    ds.DimensionOrganizationSequence = [item]
    indices = []
    for keyword in ("StackID", "InStackPositionNumber"):
        index = Dataset()
        index.DimensionOrganizationUID = organization
        index.DimensionIndexPointer = pydicom.tag.Tag(keyword)
        index.FunctionalGroupPointer = pydicom.tag.Tag("FrameContentSequence")
        indices.append(index)
    ds.DimensionIndexSequence = indices


def _add_ct_groups(item: Dataset) -> None:
    acquisition = _group(item, "CTAcquisitionTypeSequence")
    acquisition.AcquisitionType = "SPIRAL"
    acquisition.ConstantVolumeFlag, acquisition.FluoroscopyFlag = "NO", "NO"
    details = _group(item, "CTAcquisitionDetailsSequence")
    details.RotationDirection, details.RevolutionTime = "CW", 0.5
    details.SingleCollimationWidth, details.TotalCollimationWidth = 0.6, 38.4
    details.TableHeight, details.GantryDetectorTilt, details.DataCollectionDiameter = "150", "0", "500"
    table = _group(item, "CTTableDynamicsSequence")
    table.TableSpeed, table.TableFeedPerRotation, table.SpiralPitchFactor = 46.0, 23.0, 0.6
    position = _group(item, "CTPositionSequence")
    position.TablePosition = 0.0
    position.ReconstructionTargetCenterPatient = position.DataCollectionCenterPatient = [0.0, 0.0, 0.0]
    geometry = _group(item, "CTGeometrySequence")
    geometry.DistanceSourceToDetector, geometry.DistanceSourceToDataCollectionCenter = "1085.6", 595.0
    reconstruction = _group(item, "CTReconstructionSequence")
    reconstruction.ReconstructionAlgorithm, reconstruction.ConvolutionKernel = "FILTER_BACK_PROJ", "B30"
    reconstruction.ConvolutionKernelGroup, reconstruction.ReconstructionAngle = "SOFT_TISSUE", 360.0
    reconstruction.ReconstructionFieldOfView, reconstruction.ImageFilter = [250.0, 250.0], "NONE"
    reconstruction.ReconstructionPixelSpacing = [0.8, 0.5]
    exposure = _group(item, "CTExposureSequence")
    exposure.ExposureTimeInms, exposure.XRayTubeCurrentInmA = 500.0, 200.0
    exposure.ExposureInmAs, exposure.ExposureModulationType = 100.0, ["NONE"]
    exposure.CTDIvol = 8.0
    exposure.CTDIPhantomTypeCodeSequence = [_code("113690", "DCM", "IEC Head Dosimetry Phantom")]
    tube = _group(item, "CTXRayDetailsSequence")
    tube.KVP, tube.FocalSpots, tube.FilterType, tube.FilterMaterial = "120", ["1.2"], "WEDGE", "ALUMINUM"
    _group(item, "IrradiationEventIdentificationSequence").IrradiationEventUID = "2.25.1"


def _add_mr_groups(item: Dataset) -> None:
    timing = _group(item, "MRTimingAndRelatedParametersSequence")
    timing.RepetitionTime, timing.FlipAngle, timing.EchoTrainLength = "500", "90", "1"
    timing.RFEchoTrainLength, timing.GradientEchoTrainLength = 1, 0
    timing.SpecificAbsorptionRateSequence = []
    timing.GradientOutputType, timing.GradientOutput = "DB_DT", 1.0
    timing.OperatingModeSequence = [Dataset()]
    timing.OperatingModeSequence[0].OperatingModeType = "STATIC FIELD"
    timing.OperatingModeSequence[0].OperatingMode = "IEC_NORMAL"
    rate = Dataset()
    rate.SpecificAbsorptionRateDefinition, rate.SpecificAbsorptionRateValue = "IEC_HEAD", 0.1
    timing.SpecificAbsorptionRateSequence = [rate]
    field = _group(item, "MRFOVGeometrySequence")
    field.InPlanePhaseEncodingDirection = "ROW"
    field.MRAcquisitionFrequencyEncodingSteps = field.MRAcquisitionPhaseEncodingStepsInPlane = 256
    field.PercentSampling = field.PercentPhaseFieldOfView = "100"
    echo = _group(item, "MREchoSequence")
    echo.EffectiveEchoTime = 12.0
    modifier = _group(item, "MRModifierSequence")
    modifier.InversionRecovery, modifier.FlowCompensation, modifier.Spoiling = "NO", "NONE", "RF"
    modifier.T2Preparation, modifier.SpectrallySelectedExcitation = "NO", "NONE"
    modifier.SpatialPresaturation, modifier.PartialFourier, modifier.ParallelAcquisition = "NONE", "NO", "NO"
    imaging = _group(item, "MRImagingModifierSequence")
    imaging.MagnetizationTransfer, imaging.BloodSignalNulling, imaging.Tagging = "NONE", "NO", "NONE"
    imaging.TransmitterFrequency, imaging.PixelBandwidth = 127.78, "241"
    receive = _group(item, "MRReceiveCoilSequence")
    receive.ReceiveCoilName, receive.ReceiveCoilManufacturerName = "HEAD", ""
    receive.ReceiveCoilType, receive.QuadratureReceiveCoil = "VOLUME", "YES"
    transmit = _group(item, "MRTransmitCoilSequence")
    transmit.TransmitCoilName, transmit.TransmitCoilManufacturerName = "BODY", ""
    transmit.TransmitCoilType = "BODY"
    _group(item, "MRAveragesSequence").NumberOfAverages = "1"


def _add_pt_groups(item: Dataset) -> None:
    acquisition = _group(item, "PETFrameAcquisitionSequence")
    acquisition.TableHeight, acquisition.GantryDetectorTilt = "150", "0"
    acquisition.GantryDetectorSlew, acquisition.DataCollectionDiameter = "0", "700"
    position = _group(item, "PETPositionSequence")
    position.TablePosition = 0.0
    position.ReconstructionTargetCenterPatient = position.DataCollectionCenterPatient = [0.0, 0.0, 0.0]
    detector = _group(item, "PETDetectorMotionDetailsSequence")
    detector.RotationDirection, detector.RevolutionTime = "CW", 1.0
    reconstruction = _group(item, "PETReconstructionSequence")
    reconstruction.ReconstructionType, reconstruction.ReconstructionAlgorithm = "3D", "ITERATIVE"
    reconstruction.IterativeReconstructionMethod = "YES"
    reconstruction.NumberOfIterations, reconstruction.NumberOfSubsets = 3, 21
    reconstruction.ReconstructionDiameter = "700"
    _group(item, "RadiopharmaceuticalUsageSequence").RadiopharmaceuticalAgentNumber = 1
    correction = _group(item, "PETFrameCorrectionFactorsSequence")
    correction.PrimaryPromptsCountsAccumulated, correction.SliceSensitivityFactor = 1, 1.0
    correction.DecayFactor, correction.ScatterFractionFactor, correction.DeadTimeFactor = "1", 0.3, 1.0


def _add_ct(ds: Dataset) -> None:
    ds.AcquisitionDuration = 10.0


def _add_mr(ds: Dataset) -> None:
    ds.ComplexImageComponent, ds.AcquisitionContrast = "MAGNITUDE", "T1"
    ds.AcquisitionDuration = 10.0
    ds.ResonantNucleus, ds.KSpaceFiltering, ds.MagneticFieldStrength = "1H", "NONE", "3"
    ds.ApplicableSafetyStandardAgency = "IEC"
    ds.MRAcquisitionType, ds.PulseSequenceName, ds.EchoPulseSequence = "2D", "SE", "SPIN"
    ds.MultipleSpinEcho, ds.MultiPlanarExcitation, ds.PhaseContrast = "NO", "NO", "NO"
    ds.TimeOfFlightContrast, ds.SteadyStatePulseSequence, ds.EchoPlanarPulseSequence = "NO", "NONE", "NO"
    ds.SaturationRecovery, ds.SpectrallySelectedSuppression, ds.OversamplingPhase = "NO", "NONE", "NONE"
    ds.GeometryOfKSpaceTraversal, ds.RectilinearPhaseEncodeReordering = "RECTILINEAR", "LINEAR"
    ds.SegmentedKSpaceTraversal, ds.NumberOfKSpaceTrajectories = "SINGLE", 1


def _add_pt(ds: Dataset) -> None:
    ds.AcquisitionDuration = 10.0
    ds.CountsSource = "EMISSION"
    ds.DecayCorrected, ds.AttenuationCorrected, ds.ScatterCorrected = "YES", "NO", "NO"
    ds.DeadTimeCorrected, ds.GantryMotionCorrected, ds.PatientMotionCorrected = "NO", "NO", "NO"
    ds.CountLossNormalizationCorrected, ds.RandomsCorrected = "NO", "NO"
    ds.NonUniformRadialSamplingCorrected, ds.SensitivityCalibrated = "NO", "NO"
    ds.DetectorNormalizationCorrection, ds.DecayCorrectionDateTime = "NO", "20240102101500"
    ds.TableMotion, ds.TimeOfFlightInformationUsed = "STATIC", "FALSE"
    ds.CoincidenceWindowWidth, ds.TransverseDetectorSeparation, ds.AxialDetectorDimension = 4.0, 4.0, 4.0
    energies = Dataset()
    energies.EnergyWindowLowerLimit, energies.EnergyWindowUpperLimit = "435", "650"
    ds.EnergyWindowRangeSequence = [energies]
    ds.ViewCodeSequence = [_code("24422004", "SCT", "Axial")]
    ds.DetectorGeometry = "CYLINDRICAL_RING"
    ds.TypeOfDetectorMotion = "STATIONARY"
    ds.CollimatorType = "NONE"
    ds.AcquisitionStartCondition, ds.AcquisitionTerminationCondition = "MANU", "MANU"
    drug = Dataset()
    drug.RadionuclideCodeSequence = [_code("77004003", "SCT", "^18^Fluorine")]
    drug.RadiopharmaceuticalCodeSequence = [_code("35321007", "SCT", "Fluorodeoxyglucose F^18^")]
    drug.AdministrationRouteCodeSequence = [_code("47625008", "SCT", "Intravenous route")]
    drug.RadiopharmaceuticalAgentNumber = 1
    drug.Radiopharmaceutical = "FDG"
    drug.RadiopharmaceuticalStartDateTime = "20240102091500"
    drug.RadionuclideTotalDose, drug.RadionuclideHalfLife = "350", "6586.2"
    drug.RadionuclidePositronFraction = "0.97"
    ds.RadiopharmaceuticalInformationSequence = [drug]


_ADD_GROUPS: dict[str, Callable[[Dataset], Any]] = {"CT": _add_ct_groups, "MR": _add_mr_groups, "PT": _add_pt_groups}
_ADD_TOP: dict[str, Callable[[Dataset], Any]] = {"CT": _add_ct, "MR": _add_mr, "PT": _add_pt}


def save(ds: Dataset, path: Path, transfer_syntax: UID = ExplicitVRLittleEndian) -> None:
    """Write a data set whose pixels are native little endian in a transfer syntax."""
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if transfer_syntax.is_encapsulated:
        ds.compress(transfer_syntax, generate_instance_uid=False)
    elif "PixelData" in ds:
        if not transfer_syntax.is_little_endian and ds.BitsAllocated > 8:
            pixels = np.frombuffer(ds.PixelData, f"<u{ds.BitsAllocated // 8}")
            ds.PixelData = pixels.byteswap().tobytes()
        ds["PixelData"].VR = "OW" if ds.BitsAllocated > 8 else "OB"
    ds.file_meta.TransferSyntaxUID = transfer_syntax
    pydicom.dcmwrite(
        path,
        ds,
        enforce_file_format=True,
        implicit_vr=transfer_syntax.is_implicit_VR,
        little_endian=transfer_syntax.is_little_endian,
    )
