"""A derived volume in the form that was asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dlp_lab.dicom.derived_header import Derivation
from dlp_lab.dicom.frame_groups import refuse_too_many_bytes
from dlp_lab.dicom.options import OutputForm
from dlp_lab.dicom.series import HeaderSource
from dlp_lab.dicom.write_image import DerivedSeries, write_derived_series
from dlp_lab.dicom.write_multiframe import refuse_monochrome1, write_multiframe
from dlp_lab.dicom.write_parametric_map import write_parametric_map
from dlp_lab.volume import Volume


def refuse_form(form: OutputForm, source: HeaderSource) -> None:
    """Refuse what cannot be written in a form, before anything is computed.

    Raises:
        DlpError: The message says which form does.
    """
    if form == "multiframe":
        refuse_monochrome1(source.headers)
    has_frames = source.headers[0].frame is not None
    if form != "series" or has_frames:
        slices, rows, columns = source.geometry.shape
        way_out = "choose fewer of them with --select" if has_frames else "write the result as a series (--output-form)"
        refuse_too_many_bytes(slices, rows * columns * (4 if form == "parametric_map" else 2), way_out)


def write_derived(
    form: OutputForm,
    source: HeaderSource,
    result: Volume,
    folder: Path,
    derivation: Derivation,
    report: Callable[[float, str], None] = lambda fraction, message: None,
) -> DerivedSeries:
    """Write `result` as DICOM that is derived from `source`; see `write_derived_series`, which is the form `series`.

    The other forms write one file, `0001.dcm`.

    Raises:
        DlpError: As `write_derived_series` and `refuse_form`.
    """
    refuse_form(form, source)
    write = {
        "series": write_derived_series,
        "multiframe": write_multiframe,
        "parametric_map": write_parametric_map,
    }[written_form(form, source)]
    return write(source, result, folder, derivation, report)


def written_form(form: OutputForm, source: HeaderSource) -> OutputForm:
    """The form that is written where `form` is asked for."""
    # of frames, a series is one file already, of the source's own SOP class
    return "series" if form == "multiframe" and source.headers[0].frame is not None else form
