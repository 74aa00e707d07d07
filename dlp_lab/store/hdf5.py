"""Volumes in HDF5. `docs/format.md` describes the layout.

The file is a NeXus file as well: HDF5 viewers that know `NXdata` show the middle slice first. Voxels are stored
contiguously, so that any plane can be read through a memory map. The SHA-256 of voxels and affine is stored with them
and checked when they are read; the HDF5 library keeps checksums of shapes, types and numeric attributes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, get_args

import h5py
import numpy as np
from numpy.typing import NDArray

from dlp_lab.errors import BadParameters, Hdf5Error
from dlp_lab.geometry import Geometry
from dlp_lab.store.format_version import FORMAT_VERSION as FORMAT_VERSION
from dlp_lab.store.format_version import Normalization as Normalization
from dlp_lab.store.hashing import hashed
from dlp_lab.store.hdf5_file import published_hdf5
from dlp_lab.store.hdf5_guard import GuardedFile, opened_guarded
from dlp_lab.store.hdf5_headers import EncodedHeaders, StoredHeaders, read_headers, write_headers
from dlp_lab.store.hdf5_packing import create_packed, write_packed
from dlp_lab.volume import Volume

FORMAT = "dlp-lab-volume"
_NEWEST_VERSION = 3
"""Of files whose headers are of multi-frame images, or whose voxels are compressed: a program that knows no frames must
not take them for slices, nor look for compressed voxels at one place."""
Compression = Literal["none", "gzip", "zstd"]

_SLAB_BYTES = 2 * 2**20

_ENTRY = "entry"
_DATA = "entry/volume"
_IMAGE = "entry/volume/image"
_AFFINE = "entry/geometry/affine_kji_to_lps"


def write_hdf5(
    volume: Volume,
    path: Path,
    normalize: Normalization = "none",
    sop_instance_uids: Sequence[str] = (),
    headers: StoredHeaders | None = None,
    compress: Compression = "none",
) -> None:
    """Write a volume, for its owner alone to read.

    Args:
        volume: What to write.
        path: New file. It is written under a hidden name and renamed when it is whole.
        normalize: "minmax" stores `(v - least) / (greatest - least)` as float32 in [0, 1]; the range is kept in the
            file, and `read_hdf5` undoes it.
        sop_instance_uids: SOPInstanceUID of the image that each slice comes from; empty if it comes from none.
        headers: The DICOM headers of these images, with all they tell of the patient.
        compress: "gzip" packs the voxels in chunks, which takes about half the space, and which every HDF5 library
            reads; "zstd" takes no more space and less time, but of others only those read it that have the plug-in
            (`import hdf5plugin`). `open_hdf5` then has to read all of them.

    Raises:
        OutputExists: `path` exists; nothing is overwritten.
        BadParameters: `normalize` or `compress` is not one of its values.
    """
    for name, value, known in (("normalize", normalize, Normalization), ("compress", compress, Compression)):
        if value not in get_args(known):
            raise BadParameters(f"{name}: expected one of {', '.join(get_args(known))}; got {value!r}")
    with published_hdf5(path) as file:
        is_plain = compress == "none" and not (headers and headers.frames)
        write_description(file, volume, volume.geometry, has_headers=headers is not None, is_plain=is_plain)
        value_range = volume.value_range() if normalize == "minmax" else None
        image = _create_image(file[_DATA], volume, normalize, compress)
        image.attrs["sha256"] = _write_values(image, volume.voxels, value_range)
        write_meaning(image, volume.unit, normalize, value_range)
        write_origin(file, sop_instance_uids, headers)


def write_description(
    file: h5py.File, volume: Volume, geometry: Geometry, *, has_headers: bool, is_plain: bool
) -> h5py.Group:
    """Write all that stands before the voxels.

    Args:
        file: New.
        volume: The volume, or a part of it.
        geometry: Of the whole.
        has_headers: Whether headers will follow.
        is_plain: Whether programs that read version 2 can read it.

    Returns:
        The group in which `image` is to be created.
    """
    file.attrs["format"] = FORMAT
    file.attrs["format_version"] = FORMAT_VERSION if is_plain else _NEWEST_VERSION
    file.attrs["default"] = "entry"
    _write_entry(file.create_group(_ENTRY), volume, geometry, has_headers=has_headers)
    data = file.create_group(_DATA)
    _write_axes(data, geometry)
    return data


def write_meaning(
    image: h5py.Dataset,
    unit: str | None,
    normalize: Normalization = "none",
    value_range: tuple[float, float] | None = None,
) -> None:
    """Write what the stored voxels mean."""
    image.attrs["normalization"] = normalize
    if value_range:
        image.attrs["value_range"] = value_range
    if unit:
        image.attrs["units"] = unit


def write_origin(file: h5py.File, sop_instance_uids: Sequence[str], headers: StoredHeaders | None) -> None:
    """Write what images the slices come from, behind the voxels."""
    if sop_instance_uids:
        slices = file.create_group("entry/slices")
        slices.attrs["NX_class"] = "NXcollection"
        uids = np.array(sop_instance_uids, dtype="S64")
        slices.create_dataset("sop_instance_uid", data=uids, fletcher32=True)
    if headers is not None:
        write_headers(file, headers)


def _write_entry(entry: h5py.Group, volume: Volume, whole: Geometry, *, has_headers: bool) -> None:
    entry.attrs["NX_class"], entry.attrs["default"] = "NXentry", "volume"
    entry.attrs["headers"] = "full" if has_headers else "none"
    for name, value in (
        ("frame_of_reference_uid", whole.frame_of_reference_uid),
        ("source_series_uid", volume.source_series_uid),
        ("modality", volume.modality),
    ):
        if value:
            entry.attrs[name] = value
    geometry = entry.create_group("geometry")
    geometry.attrs["NX_class"] = "NXcollection"
    geometry["affine_kji_to_lps"] = whole.affine_kji_to_lps
    geometry["affine_kji_to_lps"].attrs["sha256"] = _sha256(whole.affine_kji_to_lps)
    geometry["spacing_kji_mm"] = whole.spacing_kji_mm


def _write_axes(data: h5py.Group, geometry: Geometry) -> None:
    data.attrs["NX_class"], data.attrs["signal"] = "NXdata", "image"
    data.attrs["axes"] = ["slice", "row", "column"]
    data.attrs["default_slice"] = [str(geometry.shape[0] // 2), ".", "."]
    for name, length, step in zip(("slice", "row", "column"), geometry.shape, geometry.spacing_kji_mm, strict=True):
        data[name] = np.arange(length) * step
        data[name].attrs["units"] = "mm"


def _create_image(data: h5py.Group, volume: Volume, normalize: Normalization, compress: Compression) -> h5py.Dataset:
    dtype = np.dtype(np.float32) if normalize == "minmax" else volume.voxels.dtype
    if compress != "none" and volume.voxels.size:
        return create_packed(data, "image", volume.voxels.shape, dtype, compress)
    return data.create_dataset("image", volume.voxels.shape, dtype, fill_time="never")


def _write_values(image: h5py.Dataset, voxels: NDArray[Any], value_range: tuple[float, float] | None) -> str:
    """Write voxels slab by slab, so that each is normalised, hashed and stored while it is in the processor's cache.

    Returns:
        The SHA-256 of what is stored.
    """
    digest = hashlib.sha256()
    step = image.chunks[0] if image.chunks else max(1, _SLAB_BYTES // max(1, voxels[:1].nbytes))

    def slabs() -> Iterator[NDArray[Any]]:
        for first in range(0, len(voxels), step):
            yield np.ascontiguousarray(_normalized(voxels[first : first + step], value_range))

    # closed here, for no thread may outlive what failed
    with closing(hashed(slabs(), digest)) as stored:
        if image.chunks:
            write_packed(image, stored)
        else:
            for number, slab in enumerate(stored):
                image.write_direct(slab, dest_sel=np.s_[number * step : number * step + len(slab)])
    return digest.hexdigest()


def read_hdf5(path: Path | str) -> Volume | NDArray[Any]:
    """Read a volume into memory.

    Returns:
        The `Volume` of a file written by `write_hdf5`, its normalisation undone; the bare `(k, j, i)` array of any
        other file that holds exactly one 3-D dataset of numbers.

    Raises:
        Hdf5Error: The file does not exist, is no HDF5 file, is damaged, holds none or several 3-D datasets, or holds
            what `hdf5_guard` refuses.
    """
    with opened_guarded(Path(path)) as file:
        if _is_own(file):
            return _read_own(file)
        return file.array(_only_volume(file))


def open_hdf5(path: Path | str) -> Volume:
    """Open the volume of an HDF5 file without reading it: slices come from the file when they are looked at.

    The voxels are a read-only memory map of the file, which any number of programs share, and which may be larger than
    the memory. So the SHA-256 of the affine is checked, but not that of the voxels, for which all of them would have
    to be read: `dlp.read_hdf5` does. The file must not be written to, or cut off, while the volume is in use.

    Voxels that do not lie in the file as they are (compressed, normalised, in another byte order) are read whole and
    checked; they are read-only too.

    Args:
        path: A file that `dicom_to_hdf5` or a job made.

    Raises:
        Hdf5Error: The file is none of these, is damaged, or holds what is refused (`docs/format.md`).
    """
    with opened_guarded(Path(path)) as file:
        if not _is_own(file):
            raise Hdf5Error(f"{file.name} does not tell where its voxels lie; open_hdf5 opens files of dicom_to_hdf5")
        volume = _read_own(file, mapped=True)
    volume.voxels.flags.writeable = False
    return volume


def lies_contiguous(path: Path) -> bool:
    """Whether the voxels lie in a file of ours as they are, so that `open_hdf5` need not read them.

    Raises:
        Hdf5Error: As for `open_hdf5`.
    """
    with opened_guarded(path) as file:
        return file.text(_IMAGE, "normalization") == "none" and file.mapped(_IMAGE) is not None


def read_hdf5_headers(path: Path) -> EncodedHeaders | None:
    """Read the encoded DICOM headers that are stored with a volume; None if there are none.

    Raises:
        Hdf5Error: As for `read_hdf5`.
    """
    with opened_guarded(path) as file:
        return read_headers(file) if _is_own(file) else None


def _is_own(file: GuardedFile) -> bool:
    # a damaged name must not turn normalised voxels into values
    return file.text("", "format") == FORMAT or file.holds(_AFFINE)


def _read_own(file: GuardedFile, *, mapped: bool = False) -> Volume:
    (version,) = file.numbers("", "format_version") or (0,)
    if not 1 <= version <= _NEWEST_VERSION:
        raise Hdf5Error(f"{file.name} has format version {version:g}; this program reads 1 to {_NEWEST_VERSION}")
    normalization = file.text(_IMAGE, "normalization")
    affine = file.array(_AFFINE, "f", max_bytes=4 * 4 * 8)
    found = file.mapped(_IMAGE) if mapped and normalization == "none" else None
    digest = hashlib.sha256()
    voxels = file.array(_IMAGE, digest=digest) if found is None else found
    # version 1 had no hashes
    if version > 1:
        _check_sha256(file, _AFFINE, _sha256(affine))
        if found is None:
            _check_sha256(file, _IMAGE, digest.hexdigest())
    if normalization not in ("none", "minmax"):
        raise Hdf5Error(f"{file.name}: normalization is {normalization!r}; 'none' and 'minmax' are read")
    if normalization == "minmax":
        low, high = file.numbers(_IMAGE, "value_range") or ()
        voxels = _undo_normalization(voxels, low, high)
    return Volume(
        voxels=voxels,
        geometry=Geometry(voxels.shape, affine, file.text(_ENTRY, "frame_of_reference_uid")),
        unit=file.text(_IMAGE, "units"),
        modality=file.text(_ENTRY, "modality"),
        source_series_uid=file.text(_ENTRY, "source_series_uid"),
    )


def _check_sha256(file: GuardedFile, path: str, found: str) -> None:
    if file.text(path, "sha256") != found:
        raise Hdf5Error(
            f"{file.name}: the values of {path} are not those that were written (SHA-256 differs); make the file again "
            "or, if they were changed on purpose, put their new hash into the attribute sha256"
        )


def _only_volume(file: GuardedFile) -> str:
    found = file.volumes()
    if len(found) != 1:
        listing = ": " + ", ".join(found[:5]) if found else ""
        raise Hdf5Error(f"{file.name} holds {len(found)} 3-D datasets of numbers{listing}; exactly one is needed")
    return found[0]


def _sha256(values: NDArray[Any]) -> str:
    """Of the values in C order, in the byte order they are stored in."""
    return hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()


def _normalized(values: NDArray[Any], value_range: tuple[float, float] | None) -> NDArray[Any]:
    if value_range is None:
        return values
    low, high = value_range
    if low == high:
        return np.zeros(values.shape, dtype=np.float32)
    return ((values.astype(np.float64) - low) / (high - low)).astype(np.float32)


def _undo_normalization(voxels: NDArray[Any], low: float, high: float) -> NDArray[np.float32]:
    # as we write them, they are of this type, and need no second volume
    values = voxels.astype(np.float32, copy=False)
    for k, plane in enumerate(voxels):
        # in float64, so that integers of 16 bits come back within far less than their rounding
        values[k] = plane.astype(np.float64) * (high - low) + low
    return values
