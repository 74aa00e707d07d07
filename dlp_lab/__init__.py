"""Medical-image processing inside JupyterLab: a folder of DICOM in, derived DICOM out.

import dlp_lab as dlp

volume = dlp.read_series("study/series")
smooth = dlp.run("3dblur", volume, sigma_mm=1.5)
job = dlp.submit("3dblur", "study/series", sigma_mm=1.5).wait()
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlp_lab.cohort.door import Cohort as Cohort
    from dlp_lab.cohort.door import run_cohort as run_cohort
    from dlp_lab.geometry import Geometry as Geometry
    from dlp_lab.jobs.convert import dicom_to_hdf5 as dicom_to_hdf5
    from dlp_lab.jobs.convert import hdf5_to_dicom as hdf5_to_dicom
    from dlp_lab.jobs.convert import list_series as list_series
    from dlp_lab.jobs.convert import read_series as read_series
    from dlp_lab.jobs.convert import read_stack as read_stack
    from dlp_lab.jobs.handle import JobHandle as JobHandle
    from dlp_lab.jobs.handle import submit as submit
    from dlp_lab.store.hdf5 import open_hdf5 as open_hdf5
    from dlp_lab.store.hdf5 import read_hdf5 as read_hdf5
    from dlp_lab.tasks import run as run
    from dlp_lab.volume import Volume as Volume
    from dlp_lab.widgets.compare import Compare as Compare
    from dlp_lab.widgets.explorer import explore as explore
    from dlp_lab.widgets.job_monitor import JobMonitor as JobMonitor
    from dlp_lab.widgets.planes import show_planes as show_planes
    from dlp_lab.widgets.series_picker import SeriesPicker as SeriesPicker
    from dlp_lab.widgets.slice_viewer import SliceViewer as SliceViewer
    from dlp_lab.widgets.task_form import TaskForm as TaskForm

__version__ = "0.1.0"

_PUBLIC = {
    "Cohort": "dlp_lab.cohort.door",
    "Compare": "dlp_lab.widgets.compare",
    "Geometry": "dlp_lab.geometry",
    "JobHandle": "dlp_lab.jobs.handle",
    "JobMonitor": "dlp_lab.widgets.job_monitor",
    "SeriesPicker": "dlp_lab.widgets.series_picker",
    "SliceViewer": "dlp_lab.widgets.slice_viewer",
    "TaskForm": "dlp_lab.widgets.task_form",
    "Volume": "dlp_lab.volume",
    "dicom_to_hdf5": "dlp_lab.jobs.convert",
    "explore": "dlp_lab.widgets.explorer",
    "hdf5_to_dicom": "dlp_lab.jobs.convert",
    "list_series": "dlp_lab.jobs.convert",
    "open_hdf5": "dlp_lab.store.hdf5",
    "read_hdf5": "dlp_lab.store.hdf5",
    "read_series": "dlp_lab.jobs.convert",
    "read_stack": "dlp_lab.jobs.convert",
    "run": "dlp_lab.tasks",
    "run_cohort": "dlp_lab.cohort.door",
    "show_planes": "dlp_lab.widgets.planes",
    "submit": "dlp_lab.jobs.handle",
}
__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> object:
    """Import a public name at its first use: the server and the command line start without numpy and pydicom."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'dlp_lab' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "dlp-lab"}]


def _jupyter_server_extension_points() -> list[dict[str, object]]:
    from dlp_lab.server.extension import DlpLabApp

    return [{"module": "dlp_lab", "app": DlpLabApp}]
