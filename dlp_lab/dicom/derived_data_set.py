"""The data set of one derived slice, all but what it says of its pixels: its source's, with the rules of
`derived_header` applied. Every form of output starts from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

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
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.series import HeaderSource


@dataclass(frozen=True)
class DerivedDataSets:
    """Makes the data sets of a derived series.

    Attributes:
        source: The series they are derived from.
        derivation: What made the values.
        series_uid: SeriesInstanceUID of the derived series.
    """

    source: HeaderSource
    derivation: Derivation
    series_uid: str
    _references: dict[int, Dataset] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, source: HeaderSource, derivation: Derivation) -> DerivedDataSets:
        """Those of a series that is derived from `source`."""
        return cls(source, derivation, derived_uid(derivation.uid_seed, source.headers[0].series_instance_uid))

    def make(self, place: WrittenSlice, number: int) -> Dataset:
        """The data set of the slice at `place`, the `number`th that is written, from 0.

        Raises:
            Exception: Of many kinds, for an element that pydicom cannot read; see `broken_elements_named`.
        """
        header = self.source.headers[place.header]
        ds = self.source.dataset(place.header)
        self.apply_rules(ds, header, [self.reference(h) for h in place.contributing], number)
        if self.source.resampling is not None:
            set_place(ds, self.source.geometry, place.k)
        return ds

    def reference(self, number: int) -> Dataset:
        """The item of SourceImageSequence for an image of the source."""
        if number not in self._references:
            header = self.source.headers[number]
            self._references[number] = reference_to(header, in_place=self.source.resampling is None)
        return self._references[number]

    def apply_rules(self, ds: Dataset, header: Header, references: list[Dataset], number: int) -> None:
        """Make a data set of the source that of a derived slice, all but its place."""
        drop_stale(ds)
        drop(ds, REPLACED)
        set_identity(ds, header, self.series_uid, number, self.derivation)
        set_derivation(ds, header, references, self.derivation)
        set_equipment(ds, self.derivation)
        mark_lossy(ds, header)
