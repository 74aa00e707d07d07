"""The data set of one derived slice, all but what it says of its pixels: its source's, with the rules of
`derived_header` applied. Every form of output starts from it.
"""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset

from dlp_lab.dicom.derived_header import (
    REPLACED,
    Derivation,
    derived_uid,
    drop,
    drop_stale,
    mark_lossy,
    reference_to,
    set_derivation,
    set_equipment,
    set_identity,
    set_place,
)
from dlp_lab.dicom.derived_slices import WrittenSlice
from dlp_lab.dicom.frame_data_set import frame_data_set
from dlp_lab.dicom.frame_derivations import references_to_frames, references_to_images
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.series import HeaderSource


class DerivedDataSets:
    """Makes the data sets of a derived series.

    Args:
        source: The series they are derived from.
        derivation: What made the values.

    Attributes:
        series_uid: SeriesInstanceUID of the derived series.
    """

    def __init__(self, source: HeaderSource, derivation: Derivation) -> None:
        self.source, self.derivation = source, derivation
        self.series_uid = derived_uid(derivation.uid_seed, source.headers[0].series_instance_uid)
        self._references: dict[int, Dataset] = {}
        self._file: tuple[Path, Dataset] | None = None  # the last multi-frame one

    def make(self, place: WrittenSlice, number: int) -> Dataset:
        """The data set of the slice at `place`, the `number`th that is written, from 0.

        Raises:
            Exception: Of many kinds, for an element that pydicom cannot read; see `broken_elements_named`.
        """
        header = self.source.headers[place.header]
        ds = self._of_source(place.header)
        self.apply_rules(ds, header, self._references_to(place), number)
        if self.source.resampling is not None:
            set_place(ds, self.source.geometry, place.k)
        return ds

    def reference(self, number: int) -> Dataset:
        """The item of SourceImageSequence for an image of the source."""
        if number not in self._references:
            header = self.source.headers[number]
            self._references[number] = reference_to(header, in_place=self.source.resampling is None)
        return self._references[number]

    def other_references(self) -> list[Dataset]:
        """The items of SourceImageSequence for the images of other series, which every slice has."""
        return references_to_images(self.derivation.other_sources)

    def apply_rules(self, ds: Dataset, header: Header, references: list[Dataset], number: int) -> None:
        """Make a data set of the source that of a derived slice, all but its place."""
        drop_stale(ds)
        drop(ds, REPLACED)
        set_identity(ds, header, self.series_uid, number, self.derivation)
        set_derivation(ds, header, references, self.derivation)
        set_equipment(ds, self.derivation)
        mark_lossy(ds, header)

    def _of_source(self, number: int) -> Dataset:
        header = self.source.headers[number]
        if header.frame is None:
            return self.source.dataset(number)
        if self._file is None or self._file[0] != header.path:
            self._file = header.path, self.source.dataset(number)
        return frame_data_set(self._file[1], header)

    def _references_to(self, place: WrittenSlice) -> list[Dataset]:
        headers = self.source.headers
        if headers[place.header].frame is None:
            return [*(self.reference(h) for h in place.contributing), *self.other_references()]
        in_place = self.source.resampling is None
        return references_to_frames([headers[h] for h in place.contributing], in_place=in_place)
