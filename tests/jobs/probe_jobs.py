"""Jobs of the task `probe`, and what they wrote into their journal."""

from __future__ import annotations

from pathlib import Path

from dlp_lab.jobs.job import JobRequest


def probe(journal: Path, label: str = "x", **params: object) -> JobRequest:
    """A job that writes into the journal when it starts and ends."""
    return JobRequest(task="probe", input_dir="dicom_data", params={"journal": str(journal), "label": label, **params})


def read(journal: Path) -> list[str]:
    """The lines of the journal, as far as they are written."""
    return journal.read_text().splitlines() if journal.exists() else []
