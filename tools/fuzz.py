"""Look for files that break a reader: `python -m tools.fuzz dicom|headers|hdf5 [SECONDS]`, which needs atheris.

Whatever bytes come, a reader may load them or raise a `DlpError`, and a header must be the same beside others as alone;
anything else is a crash, and the input that made it is left in `build/fuzz`. libFuzzer mutates the series of the
phantom, led by which lines of Python an input reaches.
"""

from __future__ import annotations

import sys
from pathlib import Path

WORK = Path("build/fuzz")


def main(target: str, seconds: int = 60) -> None:
    """Fuzz until the time is over, or until something breaks."""
    import atheris

    with atheris.instrument_imports(include=["dlp_lab", "pydicom"]):
        from tests.fuzz_targets import TARGETS, write_corpus

    corpus = WORK / target
    write_corpus(target, corpus)
    options = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=4096", "-max_len=20000"]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={WORK}/{target}-", str(corpus)], TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], *(int(argument) for argument in sys.argv[2:]))
