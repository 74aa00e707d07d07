"""What Python raises where a zip cannot be unpacked: each of its decompressors has errors of its own."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib

ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,  # another version of the format, or another method
    RuntimeError,  # a password is wanted
    ValueError,  # names that are no text
    OSError,  # places before the file; and what the disk says
)
