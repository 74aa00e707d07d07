"""Print what becomes of every series with a quirk: `python -m tools.quirks`.

The table is made by reading each, not from what is expected of it; a row that is not as expected is marked.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path

from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import one_series
from dlp_lab.errors import DlpError
from tests.dicom.quirks import QUIRKS
from tests.dicom.quirks.verdict import Accepted, Refused, Verdict


def main() -> int:
    """Print the table; 1 if a row is not as expected."""
    unexpected = 0
    width = max(map(len, QUIRKS))
    for name, quirk in QUIRKS.items():
        with tempfile.TemporaryDirectory() as folder:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of making what is broken
                quirk.build(Path(folder, "in"))
            as_expected, outcome = _outcome(Path(folder, "in"), quirk.verdict)
        unexpected += not as_expected
        print(f"{'  ' if as_expected else '! '}{name:<{width}}  {outcome}")
    print(f"\n{len(QUIRKS)} series, {unexpected} not as expected")
    return 1 if unexpected else 0


def _outcome(folder: Path, verdict: Verdict) -> tuple[bool, str]:
    try:
        volume = read_volume(one_series(folder))
    except DlpError as error:
        return verdict == Refused(error.code), f"refused: {error.code}"
    said = "; ".join(volume.warnings)
    expected = isinstance(verdict, Accepted) and (verdict.warning or "") in said
    return expected, f"read, with a warning: {said}" if said else "read"


if __name__ == "__main__":
    sys.exit(main())
