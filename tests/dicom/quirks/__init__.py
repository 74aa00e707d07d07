"""Series with a quirk, made from the phantom, and what is to become of each."""

from tests.dicom.quirks.codestreams import CODESTREAMS
from tests.dicom.quirks.frames import FRAMES
from tests.dicom.quirks.headers import HEADERS
from tests.dicom.quirks.pixels import PIXELS
from tests.dicom.quirks.series import SERIES

QUIRKS = {**SERIES, **HEADERS, **PIXELS, **CODESTREAMS, **FRAMES}
