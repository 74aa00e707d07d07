"""A volume that does not fit into the memory is computed slab by slab; what is written is the same to the last bit."""

from __future__ import annotations

import datetime
import json
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar, get_args

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Meta
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

import dlp_lab as dlp
from dlp_lab.dicom.compressed import decoded_here
from dlp_lab.dicom.derived_header import Derivation
from dlp_lab.dicom.options import OutputForm, ReadOptions
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import one_series
from dlp_lab.dicom.slab_reader import SlabReader
from dlp_lab.errors import FileChanged, JobCancelled, TaskResultInvalid
from dlp_lab.jobs import memory_share, pipeline, slab_way, streamed_job
from dlp_lab.jobs.derived_slabs import DerivedSlabs
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.pipeline import run_job
from dlp_lab.kernels import gaussian
from dlp_lab.kernels.separable import SlabConvolution
from dlp_lab.store import hdf5_slabs
from dlp_lab.store.workspace import Workspace
from dlp_lab.tasks import all_tasks
from dlp_lab.tasks.gaussian import Gaussian3D
from dlp_lab.tasks.task import ImageResult, Report, Task, no_report
from dlp_lab.volume import Volume
from tests.enhanced_phantom import write_enhanced_phantom
from tests.phantom import write_phantom_series

UIDS = iter(f"{n:032x}" for n in range(1, 10**6))


class Scale(Task, frozen=True):
    """Multiplies the values, each by itself."""

    name: ClassVar[str] = "scale"
    title: ClassVar[str] = "Scale"

    factor: Annotated[float, Meta(title="Factor", description="Of the values.")] = 1.0

    def halo_slices(self, geometry):
        return 0

    def run(self, volume: Volume, report: Report) -> ImageResult:
        with np.errstate(over="ignore"):
            scaled = (volume.voxels * self.factor).astype(np.float32)
        return ImageResult(volume.with_voxels(scaled), "scaled", None, 0)


@pytest.fixture(autouse=True)
def a_task_of_ones_own_at_one_moment(monkeypatch):
    tasks = {**all_tasks(), "scale": Scale}
    monkeypatch.setattr(pipeline, "task_named", tasks.__getitem__)
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    for module in (pipeline, streamed_job):
        monkeypatch.setattr(module, "Derivation", partial(Derivation, made_at=moment))


@pytest.fixture
def in_slabs(monkeypatch):
    """Every job is done in slabs of 3 slices, and the thickness can be set."""

    def set_thickness(slices: int) -> None:
        monkeypatch.setattr(slab_way, "slab_thickness", lambda slice_bytes, halo: slices)

    monkeypatch.setenv(memory_share.SHARE_VARIABLE, "0")
    set_thickness(3)
    return set_thickness


def done(root: Path, uid: str, report=no_report, **request) -> dict[str, bytes]:
    """The files of a job's result; of its record without the moment it was made."""
    workspace = Workspace(root)
    workspace.create()
    workspace.remove_result(uid)
    fields = {"task": "3dblur", "input_dir": "case", "params": {}, "keep_hdf5": False, **request}
    run_job(workspace, Job(uid=uid, state="running", submitted_at="", **fields), report, threads=2)
    files = {path.name: path.read_bytes() for path in workspace.job_folder(uid).iterdir()}
    record = json.loads(files["job.json"])
    assert record.pop("made_at")
    return {**files, "job.json": json.dumps(record).encode()}


def whole(root: Path, uid: str, **request) -> dict[str, bytes]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(memory_share.SHARE_VARIABLE, "1")
        patch.setattr(pipeline, "halo_of_streamed_job", lambda task, job, series: None)
        return done(root, uid, **request)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("root")
    write_phantom_series(folder / "case", shape=(53, 20, 24))
    return folder


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    thickness=st.integers(1, 50),
    sigma_mm=st.sampled_from([0.0, 1.0, 2.5, 6.0, 11.0]),
    mode=st.sampled_from(["nearest", "reflect", "mirror", "constant"]),
    cval=st.sampled_from([0.0, -1024.0, 77.7, 40000.0]),
)
def test_slabs_of_any_thickness_give_the_same_files_and_record(root, in_slabs, thickness, sigma_mm, mode, cval):
    in_slabs(thickness)
    request, uid = {"params": {"sigma_mm": [sigma_mm, 2.0, 1.0], "mode": mode, "cval": cval}}, next(UIDS)
    assert done(root, uid, **request) == whole(root, uid, **request)


@pytest.mark.parametrize("thickness", [16, 32])
@pytest.mark.parametrize("sigma_mm", [0.0, 2.5, 6.0, 11.0])
@pytest.mark.parametrize("mode", ["nearest", "constant"])
@pytest.mark.parametrize("installed", [True, False], ids=["with llvmlite", "without"])
def test_values_of_slabs_are_those_of_the_volume_bit_for_bit(
    root, in_slabs, monkeypatch, installed, mode, sigma_mm, thickness
):
    if not installed:
        monkeypatch.setattr(gaussian, "compiled_passes", lambda: None)
    series = one_series(root / "case")
    task = Gaussian3D(sigma_mm=[sigma_mm, 2.0, 1.0], mode=mode, cval=-1024)
    in_slabs(thickness)
    way = slab_way.slab_way(task, series.geometry, task.halo_slices(series.geometry), 1)
    slabs = DerivedSlabs(task, way, series, SlabReader(series, decoded_here), no_report)
    expected = task.run(read_volume(series), no_report).volume.voxels
    np.testing.assert_array_equal(np.array(list(slabs)), expected)


def test_the_gaussian_goes_on_from_slab_to_slab(root, in_slabs, monkeypatch):
    monkeypatch.setattr(Gaussian3D, "run", None)
    taken = []
    take = SlabConvolution.take
    monkeypatch.setattr(
        SlabConvolution,
        "take",
        lambda self, voxels, result, report: taken.append(len(voxels)) or take(self, voxels, result, report),
    )
    done(root, next(UIDS), params={"sigma_mm": 2.0})  # 3 slices
    assert taken == [6, *[3] * 15, 2]


def test_a_gaussian_wider_than_rows_or_columns_is_computed_with_a_halo(root, in_slabs, monkeypatch):
    request, uid = {"params": {"sigma_mm": [2.0, 30.0, 2.0]}}, next(UIDS)
    expected = whole(root, uid, **request)
    monkeypatch.setattr(SlabConvolution, "made_with", None)
    assert done(root, uid, **request) == expected


@pytest.mark.parametrize("thickness", [16, 32])
def test_slabs_that_are_asked_for_again_or_left_out_are_the_same(root, in_slabs, thickness):
    in_slabs(thickness)
    series, task = one_series(root / "case"), Gaussian3D(sigma_mm=2.0)
    way = slab_way.slab_way(task, series.geometry, task.halo_slices(series.geometry), 1)
    slabs = DerivedSlabs(task, way, series, SlabReader(series, decoded_here), no_report)
    expected = task.run(read_volume(series), no_report).volume.voxels
    for k in (40, 3, 52, 17, 16, 0, 33):
        np.testing.assert_array_equal(slabs[k], expected[k])
    for part in (np.s_[0:16], np.s_[10:20], np.s_[30:53], np.s_[5:1:-1]):
        np.testing.assert_array_equal(np.array(slabs[part]), expected[part])


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
@pytest.mark.parametrize("keep_hdf5", [False, True], ids=["DICOM", "and HDF5"])
def test_blurs_of_every_modality_are_the_same(tmp_path, in_slabs, modality, keep_hdf5):
    write_phantom_series(tmp_path / "case", modality=modality, shape=(11, 12, 13))
    request, uid = {"params": {"sigma_mm": 2.0}, "keep_hdf5": keep_hdf5}, next(UIDS)
    assert done(tmp_path, uid, **request) == whole(tmp_path, uid, **request)


@pytest.mark.parametrize("halo", [0, 1, 6, 16, 300])
@pytest.mark.parametrize("slice_bytes", [10**4, 10**6, 10**9])
def test_slabs_are_some_multiple_of_16_slices_thick_and_no_thinner_than_their_halo_allows(slice_bytes, halo):
    thickness = memory_share.slab_thickness(slice_bytes, halo)
    assert thickness % 16 == 0
    assert thickness >= max(16, halo // 16 * 16)
    if slice_bytes == 10**4:
        assert (thickness + 2 * halo) * slice_bytes > 58 * 2**20


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
@pytest.mark.parametrize("factor", [1.0, 0.01, -40.0, 0.0], ids=["as they are", "small", "large", "all 0"])
@pytest.mark.parametrize("form", get_args(OutputForm))
def test_values_are_stored_the_same_whether_or_not_as_in_the_source(tmp_path, in_slabs, modality, factor, form):
    write_phantom_series(tmp_path / "case", modality=modality, shape=(8, 6, 7))
    request = {"task": "scale", "params": {"factor": factor}, "output_form": form}
    uid = next(UIDS)
    assert done(tmp_path, uid, **request) == whole(tmp_path, uid, **request)


def test_frames_come_out_the_same(tmp_path, in_slabs):
    write_enhanced_phantom(tmp_path / "case/file.dcm", shape=(9, 12, 13))
    for form in get_args(OutputForm):
        uid = next(UIDS)
        assert done(tmp_path, uid, output_form=form) == whole(tmp_path, uid, output_form=form)


@pytest.mark.parametrize("modality", ["CT", "PT"])
@pytest.mark.parametrize("factor", [1.0, -40.0], ids=["stored as the source", "stored otherwise"])
def test_what_is_kept_in_hdf5_is_the_same_to_the_last_byte(tmp_path, in_slabs, modality, factor):
    write_phantom_series(tmp_path / "case", modality=modality, shape=(8, 6, 7))
    request = {"task": "scale", "params": {"factor": factor}, "keep_hdf5": True}
    uid = next(UIDS)
    found = done(tmp_path, uid, **request)
    assert {"source.h5", "source.json", "result.h5", "result.json"} <= set(found)
    assert found == whole(tmp_path, uid, **request)


@pytest.mark.parametrize("thickness", [3, 16, 32])
@pytest.mark.parametrize("form", ["series", "multiframe", "parametric_map"])
def test_what_threads_keep_of_slabs_is_what_is_kept_of_the_volume(root, in_slabs, monkeypatch, form, thickness):
    monkeypatch.setattr(pipeline, "threads_worth_starting", lambda threads, voxels: 2)
    in_slabs(thickness)
    request, uid = {"params": {"sigma_mm": 2.0}, "keep_hdf5": True, "output_form": form}, next(UIDS)
    assert done(root, uid, **request) == whole(root, uid, **request)


@pytest.mark.parametrize("factor", [1.0, -40.0], ids=["in one pass", "in two passes"])
def test_no_slice_changes_before_a_slow_thread_has_kept_it(root, in_slabs, monkeypatch, factor):
    class LateThread(ThreadPoolExecutor):
        """Does what it was given when its result is asked for."""

        def submit(self, work, /, *args, **kwargs):
            late = Future()
            late.result = lambda timeout=None: work(*args, **kwargs)
            return late

    monkeypatch.setattr(pipeline, "threads_worth_starting", lambda threads, voxels: 2)
    in_slabs(16)
    request, uid = {"task": "scale", "params": {"factor": factor}, "keep_hdf5": True}, next(UIDS)
    blur = {"params": {"sigma_mm": 2.0}, "keep_hdf5": True}
    expected, expected_blur = whole(root, uid, **request), whole(root, uid, **blur)
    monkeypatch.setattr(hdf5_slabs, "ThreadPoolExecutor", LateThread)
    assert done(root, uid, **request) == expected
    assert done(root, uid, **blur) == expected_blur


def test_halves_are_kept_in_hdf5_and_rounded_to_even_in_dicom(tmp_path, in_slabs):
    write_phantom_series(tmp_path / "case", shape=(20, 6, 7))
    uid, request = next(UIDS), {"task": "scale", "params": {"factor": 0.5}, "keep_hdf5": True}
    files = done(tmp_path, uid, **request)
    assert files == whole(tmp_path, uid, **request)
    kept = dlp.read_hdf5(Workspace(tmp_path).job_folder(uid) / "result.h5")
    assert (kept.voxels % 1 == 0.5).any()
    written = one_series(Workspace(tmp_path).job_folder(uid))
    np.testing.assert_array_equal(read_volume(written).voxels, np.rint(kept.voxels))


@pytest.mark.parametrize("form", ["series", "multiframe"])
def test_a_job_that_keeps_hdf5_is_done_in_slabs_also_where_it_fits_into_the_memory(root, monkeypatch, form):
    monkeypatch.setattr(pipeline, "read_volume", None)
    assert "result.h5" in done(root, next(UIDS), keep_hdf5=True, output_form=form)


def test_a_parametric_map_is_done_whole_where_it_fits_into_the_memory(root, monkeypatch):
    monkeypatch.setattr(pipeline, "run_in_slabs", None)
    assert "0001.dcm" in done(root, next(UIDS), output_form="parametric_map")


def test_frames_are_kept_in_hdf5_too(tmp_path, in_slabs):
    write_enhanced_phantom(tmp_path / "case/file.dcm", shape=(9, 12, 13))
    uid = next(UIDS)
    assert done(tmp_path, uid, keep_hdf5=True) == whole(tmp_path, uid, keep_hdf5=True)


def test_values_that_need_a_wider_type_only_later_are_kept_as_they_are(tmp_path, in_slabs):
    phantom = write_phantom_series(tmp_path / "case", shape=(8, 6, 7))
    last = pydicom.dcmread(max(phantom.files, key=lambda path: pydicom.dcmread(path).ImagePositionPatient[2]))
    last.PixelRepresentation, last.BitsStored, last.HighBit = last.PixelRepresentation, 16, 15
    last.RescaleIntercept = "40000"
    last.save_as(last.filename)
    uid = next(UIDS)
    request = {"task": "scale", "keep_hdf5": True}
    found, expected = done(tmp_path, uid, **request), whole(tmp_path, uid, **request)
    assert found.keys() == expected.keys()
    assert {name for name in found if found[name] != expected[name]} <= {"source.h5"}
    kept, kept_whole = tmp_path / "kept.h5", tmp_path / "whole.h5"
    kept.write_bytes(found["source.h5"])
    kept_whole.write_bytes(expected["source.h5"])
    slabs, volume = dlp.read_hdf5(kept), dlp.read_hdf5(kept_whole)
    assert slabs.voxels.dtype == volume.voxels.dtype == np.int32
    np.testing.assert_array_equal(slabs.voxels, volume.voxels)


def test_what_cannot_be_done_in_slabs_is_done_whole(root, in_slabs, monkeypatch):
    monkeypatch.setattr(pipeline, "run_in_slabs", None)
    assert "0001.dcm" in done(root, next(UIDS), params={"mode": "wrap"})
    assert "0001.dcm" in done(root, next(UIDS), params={"mode": "grid-wrap"})


def test_padded_slices_are_done_whole(tmp_path, in_slabs, monkeypatch):
    phantom = write_phantom_series(tmp_path / "case", shape=(8, 6, 7))
    phantom.files[3].unlink()
    monkeypatch.setattr(pipeline, "run_in_slabs", None)
    read = ReadOptions(gaps="pad")
    assert len(done(tmp_path, next(UIDS), read=read)) == 8


def test_a_volume_that_fits_into_the_memory_is_done_whole_where_slices_have_slopes_of_their_own(tmp_path, monkeypatch):
    write_phantom_series(tmp_path / "case", modality="PT", shape=(8, 6, 7))
    voxels_bytes = 8 * 6 * 7 * 8
    for free, name in ((10 * voxels_bytes, "run_in_slabs"), (10 * voxels_bytes - 10, "read_volume")):
        monkeypatch.setattr(memory_share, "free_memory_bytes", lambda free=free: free)
        with monkeypatch.context() as patch:
            patch.setattr(pipeline, name, None)
            assert len(done(tmp_path, next(UIDS))) == 9


def test_a_volume_is_done_in_slabs_also_where_it_fits_into_the_memory(root, monkeypatch):
    monkeypatch.setattr(pipeline, "read_volume", None)
    assert len(done(root, next(UIDS))) == 54


def test_each_slice_is_read_once_where_the_source_tells_how_values_are_stored(root, in_slabs, monkeypatch):
    opened = []
    read = streamed_job.SlabReader.read

    def noted(self, first, stop):
        held = range(self._first, self._first + len(self._voxels))
        opened.extend(k for k in range(first, stop) if k not in held)
        return read(self, first, stop)

    monkeypatch.setattr(streamed_job.SlabReader, "read", noted)
    done(root, next(UIDS))
    assert opened == [*range(53), 0]  # and one at the end, for the record's words on the source


def test_a_cancellation_leaves_nothing(root, in_slabs):
    def cancel(fraction, message):
        if fraction > 0.5:
            raise JobCancelled("enough")

    uid = next(UIDS)
    with pytest.raises(JobCancelled):
        done(root, uid, report=cancel)
    workspace = Workspace(root)
    assert not workspace.job_folder(uid).exists()
    assert not list(workspace.output_folder.glob(f".{uid}*"))


def test_progress_grows(root, in_slabs):
    told = []
    done(root, next(UIDS), report=lambda fraction, message: told.append(fraction))
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_values_that_are_not_finite_are_refused(root, in_slabs):
    with pytest.raises(TaskResultInvalid, match="not finite"):
        done(root, next(UIDS), task="scale", params={"factor": 1e39})


def test_a_file_that_is_cut_off_once_its_header_is_read_is_named(tmp_path, in_slabs):
    phantom = write_phantom_series(tmp_path / "case", shape=(8, 6, 7))
    series = one_series(phantom.folder)
    last = series.headers[-1].path
    last.write_bytes(last.read_bytes()[:-20])
    reader = SlabReader(series, decoded_here)
    reader.read(0, 4)
    with pytest.raises(FileChanged, match=last.name):
        reader.read(4, 8)


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "RLE"])
def test_slabs_that_overlap_are_those_of_the_volume(tmp_path, compressed):
    syntax = RLELossless if compressed else ExplicitVRLittleEndian
    write_phantom_series(tmp_path, shape=(12, 6, 7), transfer_syntax=syntax)
    series = one_series(tmp_path)
    expected = dlp.read_series(tmp_path)
    reader = SlabReader(series, decoded_here)
    for first, stop in ((0, 5), (2, 8), (3, 12), (11, 12), (0, 3)):
        slab = reader.read(first, stop)
        np.testing.assert_array_equal(slab.voxels, expected.voxels[first:stop])
        np.testing.assert_allclose(
            slab.geometry.positions_lps_mm((0, 2, 3)), expected.geometry.positions_lps_mm((first, 2, 3)), atol=1e-9
        )
    assert reader.value_range == expected.value_range()


def test_one_slab_at_a_time_is_in_memory(root, in_slabs, monkeypatch):
    alive: list[weakref.ref[np.ndarray]] = []
    most = 0
    run = Scale.run

    def counted(self, volume, report):
        nonlocal most
        most = max(most, sum(values() is not None for values in alive))
        result = run(self, volume, report)
        alive.append(weakref.ref(result.volume.voxels))
        return result

    monkeypatch.setattr(Scale, "run", counted)
    done(root, next(UIDS), task="scale")
    assert len(alive) == 18
    assert most == 0


def test_a_gaussian_has_one_slab_at_a_time_in_memory(root, in_slabs, monkeypatch):
    alive: list[weakref.ref[Volume]] = []
    most = 0
    tell = Gaussian3D._result

    def counted(self, smoothed):
        nonlocal most
        most = max(most, sum(volume() is not None for volume in alive))
        alive.append(weakref.ref(smoothed))
        return tell(self, smoothed)

    monkeypatch.setattr(Gaussian3D, "_result", counted)
    done(root, next(UIDS))
    assert len(alive) > 15
    assert most == 0


def rounded_runs(monkeypatch) -> list[np.dtype]:
    """The types of the results of `3dblur` from now on."""
    made = []
    tell = Gaussian3D._result

    def noted(self, smoothed):
        made.append(smoothed.voxels.dtype)
        return tell(self, smoothed)

    monkeypatch.setattr(Gaussian3D, "_result", noted)
    return made


def test_the_gaussian_makes_whole_numbers_where_no_others_are_stored(root, in_slabs, monkeypatch):
    made = rounded_runs(monkeypatch)
    uid = next(UIDS)
    files = done(root, uid, params={"sigma_mm": 2.0})
    assert set(made) == {np.dtype(np.int16)}
    assert files == whole(root, uid, params={"sigma_mm": 2.0})
    assert made[-1] == np.float32


@pytest.mark.parametrize("span", [15, 16, 17, 18])
def test_fractions_count_where_few_whole_numbers_would_be_left(tmp_path, in_slabs, monkeypatch, span):
    def two_plateaus(k, ds):
        stored = np.where(np.arange(ds.Columns) < 8, 1024, 1024 + span)
        ds.PixelData = np.tile(stored, (ds.Rows, 1)).astype(np.int16).tobytes()

    write_phantom_series(tmp_path / "case", shape=(20, 9, 16), edit=two_plateaus)
    made = rounded_runs(monkeypatch)
    uid, request = next(UIDS), {"params": {"sigma_mm": 1.0}}
    files = done(tmp_path, uid, **request)
    assert (made[-1] == np.float32) == (span <= 16)
    assert files == whole(tmp_path, uid, **request)


@pytest.mark.parametrize("in_one", [False, True], ids=["in slabs", "whole"])
@pytest.mark.parametrize("keep_hdf5", [False, True])
def test_a_file_that_another_program_writes_meanwhile_ends_the_job_without_a_result(
    tmp_path, in_slabs, in_one, keep_hdf5
):
    phantom = write_phantom_series(tmp_path / "case", shape=(20, 5, 6))
    changed: list[Path] = []

    def change_the_last(fraction: float, message: str) -> None:
        """Once the first values are read, long after all headers."""
        if fraction > 0 and not changed:
            with open(phantom.files[-1], "r+b") as file:
                file.seek(-8, 2)
                file.write(bytes(8))
            changed.append(phantom.files[-1])

    uid = next(UIDS)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(FileChanged, match=f"^{phantom.files[-1].name} changed"):
        if in_one:
            patch.setattr(pipeline, "halo_of_streamed_job", lambda task, job, series: None)
        done(tmp_path, uid, report=change_the_last, keep_hdf5=keep_hdf5)
    assert changed
    assert not Workspace(tmp_path).job_folder(uid).exists()
