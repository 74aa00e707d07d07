"""The data set of one derived slice, all but what it says of its pixels: its source's, with the rules of
`derived_header` applied. Every form of output starts from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset

from dlp_lab.dicom.derived_header import (
    Derivation,
    derived_uid,
    drop_stale,
    mark_lossy,
    reference_to,
    set_derivation,
    set_equipment,
    set_identity,
    set_place,
)
from dlp_lab.dicom.derived_slices import WrittenSlice
from dlp_lab.dicom.series import HeaderSource


@dataclass(frozen=True)
class DerivedDataSets:
    """Makes the data sets of a derived series.

    Attributes:
        source: The series they are derived from.
        derivation: What made the values.
        references: An item of SourceImageSequence for each image of the source.
    """

    source: HeaderSource
    derivation: Derivation
    references: Sequence[Dataset]

    @classmethod
    def of(cls, source: HeaderSource, derivation: Derivation) -> DerivedDataSets:
        """Those of a series that is derived from `source`."""
        references = [reference_to(header, in_place=source.resampling is None) for header in source.headers]
        return cls(source, derivation, references)

    @property
    def series_uid(self) -> str:
        """SeriesInstanceUID of the derived series."""
        return derived_uid(self.derivation.uid_seed, self.source.headers[0].series_instance_uid)

    def make(self, place: WrittenSlice, number: int) -> Dataset:
        """The data set of the slice at `place`, the `number`th that is written, from 0.

        Raises:
            Exception: Of many kinds, for an element that pydicom cannot read; see `broken_elements_named`.
        """
        header = self.source.headers[place.header]
        ds = self.source.dataset(place.header)
        drop_stale(ds)
        set_identity(ds, header, self.series_uid, number, self.derivation)
        set_derivation(ds, header, [self.references[h] for h in place.contributing], self.derivation)
        if self.source.resampling is not None:
            set_place(ds, self.source.geometry, place.k)
        set_equipment(ds, self.derivation)
        mark_lossy(ds, header)
        return ds
