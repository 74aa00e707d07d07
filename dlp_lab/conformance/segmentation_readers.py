"""A segmentation as two programs of others read it: highdicom and dcmqi, where they are installed."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.conformance.findings import Finding, LayerReport
from dlp_lab.conformance.placement import unevenness_mm
from dlp_lab.conformance.programs import dcmqi_program, run_dcmqi
from dlp_lab.conformance.segmentation_pair import SegmentationPair

_UNEVEN_MM = 0.01
"""dcmqi takes stacks for even and upright ones, and puts frames of others beside their places."""
_PLACE_VOXELS = 0.05
FloatArray = NDArray[np.float64]

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def check_readers(pair: SegmentationPair) -> LayerReport:
    """Compare what other programs read with the frames as they stand in the file."""
    asked, absent, findings = [], [], []
    if pair.resampled or importlib.util.find_spec("highdicom") is None:
        absent.append("highdicom-reads-the-same")
    else:
        asked.append("highdicom")
        findings += _by_highdicom(pair)
    is_even = max(unevenness_mm(pair.source), pair.sideways_mm) <= _UNEVEN_MM
    is_read = pair.ds.get("SegmentationType") in ("BINARY", "LABELMAP") and is_even
    if dcmqi_program() is None or not is_read:
        absent.append("dcmqi-reads-the-same")
    else:
        asked.append("dcmqi")
        findings += _by_dcmqi(pair)
    if not asked:
        return LayerReport("geometry", "neither highdicom nor dcmqi reads it here", skipped=True)
    return LayerReport("geometry", " and ".join(asked), tuple(findings), not_applicable=tuple(absent))


def _by_highdicom(pair: SegmentationPair) -> list[Finding]:
    import highdicom

    numbers = sorted(pair.segments)
    headers = [slice_.header for slice_ in pair.source]
    options: dict[str, Any] = {
        "segment_numbers": numbers,
        "assert_missing_frames_are_empty": True,
        "rescale_fractional": False,
    }
    try:
        read = highdicom.seg.segread(pair.path)
        if pair.source[0].frame is None:
            uids = [str(header.sop_instance_uid) for header in headers]
            found = read.get_pixels_by_source_instance(uids, **options)
        else:
            frames = [(slice_.frame or 0) + 1 for slice_ in pair.source]
            found = read.get_pixels_by_source_frame(str(headers[0].sop_instance_uid), frames, **options)
    except Exception as error:  # of many kinds, on a file that it does not understand
        return [_finding("highdicom-reads-the-same", f"highdicom cannot read it ({type(error).__name__})")]
    own = np.zeros(found.shape, found.dtype)
    places = {id(slice_): k for k, slice_ in enumerate(pair.source)}
    for frame in pair.frames:
        slice_ = pair.source_at(frame)
        for number, part in pair.parts(frame).items():
            if slice_ is not None and number in numbers:
                own[places[id(slice_)], ..., numbers.index(number)] = frame.pixels if frame.segment else part
    if np.array_equal(own, found):
        return []
    return [_finding("highdicom-reads-the-same", "highdicom finds other voxels at the slices of the source")]


def _by_dcmqi(pair: SegmentationPair) -> list[Finding]:
    import nibabel

    with tempfile.TemporaryDirectory() as made:
        if not run_dcmqi(pair.path, Path(made)):
            return [_finding("dcmqi-reads-the-same", "dcmqi cannot read it")]
        for number, places_lps_mm in _places_of_segments(pair).items():
            # a label map becomes one image of numbers, single bits an image for each segment
            named = "1" if pair.is_label_map else str(number)
            images = [path for path in Path(made).glob("*.nii*") if path.name.split(".")[0].endswith(f"-{named}")]
            if len(images) != 1:
                return [_finding("dcmqi-reads-the-same", f"dcmqi does not find segment {number}")]
            image: Any = nibabel.load(images[0])
            values = np.asarray(image.dataobj)
            found = values == number if pair.is_label_map else values > 0
            if not _is_same(places_lps_mm, found, np.asarray(image.affine, np.float64)):
                return [_finding("dcmqi-reads-the-same", f"dcmqi finds segment {number} at other voxels")]
    return []


def _is_same(places_lps_mm: FloatArray, found_ijk: NDArray[np.bool_], affine_ijk_to_ras: FloatArray) -> bool:
    """Whether `(n, 3)` places are those of the voxels that were found, of all of them."""
    into = np.linalg.inv(_RAS_TO_LPS @ affine_ijk_to_ras)
    index = places_lps_mm @ into[:3, :3].T + into[:3, 3]
    nearest = np.rint(index).astype(int)
    is_inside = bool((nearest >= 0).all() and (nearest < found_ijk.shape).all())
    if not is_inside or np.abs(index - nearest).max(initial=0) > _PLACE_VOXELS:
        return False
    return bool(found_ijk[tuple(nearest.T)].all()) and int(found_ijk.sum()) == len(places_lps_mm)


def _places_of_segments(pair: SegmentationPair) -> dict[int, FloatArray]:
    """Where the voxels of each segment that was found lie, `(n, 3)` (PS3.3 C.7.6.2.1.1)."""
    places: dict[int, list[FloatArray]] = {}
    for frame in pair.frames:
        row, column = np.reshape(np.asarray(frame.orientation), (2, 3))
        for number, part in pair.parts(frame).items():
            j, i = np.nonzero(part)
            down, along = np.outer(j * frame.pixel_spacing_mm[0], column), np.outer(i * frame.pixel_spacing_mm[1], row)
            places.setdefault(number, []).append(np.asarray(frame.position_lps_mm) + down + along)
    together = {number: np.concatenate(parts) for number, parts in places.items()}
    return {number: found for number, found in together.items() if len(found)}


def _finding(code: str, message: str) -> Finding:
    return Finding("geometry", code, None, message)
