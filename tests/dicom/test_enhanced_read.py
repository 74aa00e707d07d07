"""Enhanced multi-frame files are read frame by frame: each where it is and with the values it has."""

from __future__ import annotations

import warnings
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

import dlp_lab as dlp
from dlp_lab import errors
from dlp_lab.cli import main
from dlp_lab.conformance.independent_reading import read_with_dcm2niix
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import one_series
from dlp_lab.jobs.convert import list_series
from tests.dicom.quirks.frames import FRAMES, halves, in_frames, two_echoes, two_stacks
from tests.enhanced_phantom import EnhancedPhantom, save, write_enhanced_phantom
from tests.phantom import ORIENTATIONS, write_phantom_series

NATIVE = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
COMPRESSED = [RLELossless, JPEGLSLossless, JPEG2000Lossless]
ENCODINGS = [(syntax, bits) for bits in (8, 16) for syntax in NATIVE + COMPRESSED] + [(syntax, 32) for syntax in NATIVE]


def assert_read_as_it_is(phantom: EnhancedPhantom) -> None:
    volume = read_volume(one_series(phantom.file.parent))
    np.testing.assert_allclose(volume.geometry.affine_kji_to_lps, phantom.affine_kji_to_lps, atol=1e-9)
    np.testing.assert_array_equal(volume.voxels, phantom.values)


@pytest.mark.parametrize("legacy", [False, True], ids=["enhanced", "converted"])
@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_every_frame_is_read_at_its_place(tmp_path, modality, legacy, orientation):
    phantom = write_enhanced_phantom(tmp_path / "a.dcm", modality=modality, legacy=legacy, orientation=orientation)
    assert_read_as_it_is(phantom)


@pytest.mark.parametrize(("syntax", "bits"), ENCODINGS, ids=lambda value: getattr(value, "keyword", value))
def test_frames_are_read_in_every_encoding(tmp_path, syntax: UID, bits: int):
    assert_read_as_it_is(
        write_enhanced_phantom(tmp_path / "a.dcm", bits=bits, transfer_syntax=syntax, shape=(7, 40, 48))
    )


@pytest.mark.parametrize("group", ["PlaneOrientation", "PixelMeasures", "PixelValueTransformation", "CTImageFrameType"])
def test_a_group_counts_whether_all_frames_share_it_or_not(tmp_path, group):
    others = [name for name in ("PlaneOrientation", "PixelMeasures", "PixelValueTransformation") if name != group]
    for folder, shared in (("one", [group]), ("others", others)):
        assert_read_as_it_is(
            write_enhanced_phantom(tmp_path / folder / "a.dcm", shared=[f"{name}Sequence" for name in shared])
        )


def test_a_group_that_all_frames_share_rules_over_converted_attributes_of_a_frame(tmp_path):
    def contradict(number: int, item: Dataset) -> None:
        converted = Dataset()
        converted.RescaleSlope, converted.RescaleIntercept = "9", str(number)
        item.UnassignedPerFrameConvertedAttributesSequence = [converted]

    assert_read_as_it_is(write_enhanced_phantom(tmp_path / "a.dcm", edit=in_frames(contradict)))


def test_what_a_frame_says_of_itself_rules_over_what_is_said_of_all(tmp_path):
    def contradict(ds: Dataset) -> None:
        item = Dataset()
        item.RescaleSlope, item.RescaleIntercept, item.RescaleType = "7", "7", "HU"
        ds.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence = [item]
        converted = Dataset()
        converted.RescaleSlope, converted.RescaleIntercept = "9", "9"
        for frame in ds.PerFrameFunctionalGroupsSequence:
            frame.UnassignedPerFrameConvertedAttributesSequence = [converted]
        ds.RescaleSlope, ds.RescaleIntercept = "5", "5"

    assert_read_as_it_is(write_enhanced_phantom(tmp_path / "a.dcm", shared=(), before_saving=contradict))


@pytest.mark.parametrize(("modality", "unit"), [("CT", "HU"), ("MR", None), ("PT", "US")])
def test_the_unit_is_that_of_the_rescaled_values(tmp_path, modality, unit):
    write_enhanced_phantom(tmp_path / "a.dcm", modality=modality)
    assert dlp.read_series(tmp_path).unit == unit


def test_the_unit_of_converted_pet_is_that_of_the_images_it_was_made_of(tmp_path):
    write_enhanced_phantom(tmp_path / "a.dcm", modality="PT", legacy=True)
    assert dlp.read_series(tmp_path).unit == "BQML"


def test_one_of_several_stacks_is_chosen_as_the_refusal_says(tmp_path):
    phantom = two_stacks(tmp_path / "in")
    with pytest.raises(errors.MixedOrientation, match=r"frame 5 .* choose one stack with --select StackID=1 or 2"):
        dlp.read_series(tmp_path / "in")
    volume = dlp.read_series(tmp_path / "in", select={"StackID": "1"})
    np.testing.assert_array_equal(volume.voxels, phantom.values[:4])


def test_frames_at_one_place_are_told_apart_and_read_together(tmp_path):
    phantom = two_echoes(tmp_path / "in")
    with pytest.raises(errors.DuplicatePosition, match=r"frame 1 .*frame 2 .*--select EffectiveEchoTime=30\.5"):
        dlp.read_series(tmp_path / "in")
    by_echo = dlp.read_stack(tmp_path / "in", by="EffectiveEchoTime")
    assert list(by_echo) == ["12.0", "30.5"]
    np.testing.assert_array_equal(by_echo["12.0"].voxels, phantom.values[1::2])
    np.testing.assert_array_equal(by_echo["30.5"].voxels, phantom.values[::2])


def test_the_keyword_of_single_images_chooses_frames_too(tmp_path):
    phantom = two_echoes(tmp_path / "in")
    volume = dlp.read_series(tmp_path / "in", select={"EchoTime": "12"})
    np.testing.assert_array_equal(volume.voxels, phantom.values[1::2])


def test_frames_of_gradient_directions_are_told_apart_by_them(tmp_path):
    def weighted(number: int, item: Dataset) -> None:
        gradient, diffusion = Dataset(), Dataset()
        gradient.DiffusionGradientOrientation = [1.0, 0.0, 0.0] if number % 2 else [0.0, 1.0, 0.0]
        diffusion.DiffusionBValue, diffusion.DiffusionDirectionality = 1000.0, "DIRECTIONAL"
        diffusion.DiffusionGradientDirectionSequence = [gradient]
        item.MRDiffusionSequence = [diffusion]

    offsets = [0, 0, 2.5, 2.5, 5, 5]
    phantom = write_enhanced_phantom(
        tmp_path / "a.dcm",
        modality="MR",
        shape=(6, 5, 6),
        slice_offsets_mm=offsets,
        in_order=True,
        edit=in_frames(weighted),
    )
    with pytest.raises(errors.DuplicatePosition, match="they differ in DiffusionGradientOrientation '0"):
        dlp.read_series(tmp_path)
    volumes = dlp.read_stack(tmp_path, by="DiffusionGradientOrientation")
    np.testing.assert_array_equal(volumes["1.0\\0.0\\0.0"].voxels, phantom.values[1::2])


def test_missing_frames_are_named_by_file_and_number(tmp_path):
    phantom = write_enhanced_phantom(tmp_path / "a.dcm", slice_offsets_mm=[0, 2.5, 5, 10, 12.5, 15, 17.5])
    before, after = (phantom.frame_of_slice[k] + 1 for k in (2, 3))
    with pytest.raises(errors.MissingSlices, match=rf"\(a.dcm, frame {before}\) and slice 3 \(a.dcm, frame {after}\)"):
        dlp.read_series(tmp_path)
    assert dlp.read_series(tmp_path, gaps="pad").geometry.shape == (8, 5, 6)


def test_a_missing_part_of_a_concatenation_is_named(tmp_path):
    halves(tmp_path, concatenated=True)
    (tmp_path / "0.dcm").unlink()
    with pytest.raises(errors.MissingSlices, match="part 1 of 2 of a multi-frame image"):
        dlp.read_series(tmp_path)


def test_frames_of_several_deflated_files_are_read(tmp_path):
    phantom = halves(tmp_path, concatenated=False)
    for path in tmp_path.iterdir():
        save(pydicom.dcmread(path), path, DeflatedExplicitVRLittleEndian)
    np.testing.assert_array_equal(dlp.read_series(tmp_path).voxels, phantom.values)


def test_an_offset_table_that_leads_elsewhere_is_refused_by_itself(tmp_path):
    FRAMES["an offset table that lies"].build(tmp_path)
    with pytest.raises(errors.Malformed, match="offset table"):
        one_series(tmp_path)


def test_single_images_and_frames_are_not_mixed(tmp_path):
    write_phantom_series(tmp_path / "in")
    phantom = write_enhanced_phantom(tmp_path / "in" / "a.dcm")
    ds = pydicom.dcmread(phantom.file)
    other = pydicom.dcmread(tmp_path / "in" / "00000")
    for keyword in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        setattr(ds, keyword, other.get(keyword))
    ds.save_as(phantom.file)
    with pytest.raises(errors.MixedGrid, match="SOPClassUID"):
        dlp.read_series(tmp_path / "in")


def test_the_report_names_every_file_once_and_counts_frames(tmp_path):
    two_stacks(tmp_path / "in")
    write_enhanced_phantom(tmp_path / "in" / "other.dcm", modality="MR", seed=1)
    report = list_series(tmp_path / "in", select={"StackID": "1"})
    assert [(series.files, series.frames, series.shape) for series in report.series] == [
        (1, 8, (4, 5, 6)),
        (1, 7, (7, 5, 6)),
    ]
    assert [(file.file, file.part, file.slice, file.frames, file.reason) for file in report.files] == [
        ("frames.dcm", "slice", None, 4, "4 frames left out: another StackID than selected"),
        ("other.dcm", "slice", None, 7, ""),
    ]


def test_the_report_names_a_refused_multi_frame_file_once(tmp_path, capsys):
    FRAMES["two stacks in a file"].build(tmp_path / "in")
    report = list_series(tmp_path / "in")
    assert [(file.file, file.part) for file in report.files] == [("frames.dcm", "refused")]
    assert main(["series", str(tmp_path / "in")]) == 0
    assert "MIXED_ORIENTATION: 1 files with 8 frames;" in capsys.readouterr().out


def test_the_listing_of_series_counts_files_and_frames(tmp_path):
    write_enhanced_phantom(tmp_path / "a.dcm")
    write_enhanced_phantom(tmp_path / "b.dcm", seed=1)
    with pytest.raises(errors.MultipleSeries, match="1 files with 7 frames"):
        dlp.read_series(tmp_path)


@pytest.mark.parametrize("orientation", ["axial", "sagittal", "oblique", "oblique-sagittal"])
@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_dcm2niix_and_highdicom_read_the_same(tmp_path, modality, orientation):
    phantom = write_enhanced_phantom(tmp_path / "a.dcm", modality=modality, orientation=orientation)
    volume = dlp.read_series(tmp_path)
    theirs = read_with_dcm2niix([phantom.file]).on_grid(volume.geometry.affine_kji_to_lps, volume.geometry.shape)
    assert theirs is not None
    np.testing.assert_allclose(theirs, volume.voxels, atol=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        of_highdicom = highdicom.imread(phantom.file).get_volume()
    # it counts slices from the other end
    flipped = volume.geometry.with_slices_reversed()
    np.testing.assert_allclose(of_highdicom.affine, flipped.affine_kji_to_lps, atol=1e-6)
    np.testing.assert_allclose(of_highdicom.array[::-1], volume.voxels, atol=1e-4)


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_simpleitk_reads_the_same_where_frames_are_in_order(tmp_path, modality):
    """It takes others to be 1 mm apart, and the first frame's slope for all."""
    phantom = write_enhanced_phantom(tmp_path / "a.dcm", modality=modality, in_order=True)
    image, volume = SimpleITK.ReadImage(str(phantom.file)), dlp.read_series(tmp_path)
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), volume.voxels)
    affine = volume.geometry.affine_kji_to_lps
    np.testing.assert_allclose(image.GetOrigin(), affine[:3, 3], atol=1e-6)
    np.testing.assert_allclose(image.GetSpacing()[::-1], volume.geometry.spacing_kji_mm, rtol=1e-6)
    np.testing.assert_allclose(np.reshape(image.GetDirection(), (3, 3))[:, 0] * 0.5, affine[:3, 2], atol=1e-6)


def test_the_same_frames_as_single_images_are_the_same_volume(tmp_path: Path):
    single = write_phantom_series(tmp_path / "single", modality="PT")
    frames = write_enhanced_phantom(tmp_path / "frames" / "a.dcm", modality="PT")
    one, other = dlp.read_series(single.folder), dlp.read_series(frames.file.parent)
    np.testing.assert_array_equal(one.voxels, other.voxels)
    np.testing.assert_array_equal(one.geometry.affine_kji_to_lps, other.geometry.affine_kji_to_lps)
