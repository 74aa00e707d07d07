"""A volume in HDF5, written, read and looked at slice by slice, beside peers and the floor.

    python -m benchmarks.hdf5 [SLICES] [--short]

SLICES x 512 x 512 int16 (default 200): a body of smooth shapes with noise as a CT reconstruction makes it, of which
lossless codecs save about half. Files are in memory where the system has a place for that. A slice is copied out of an
opened file; times are of fifteen slices all through the volume. The floor writes and reads the same bytes, and knows
nothing of them; dlp-lab also hashes them.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.contest import PEERS_PYTHON, Asked, Contestant, Outcome, hold, scratch
from benchmarks.tables import Table
from benchmarks.volume_files import FORMATS, SLICES

ROUNDS = 3
OURS = "dlp-lab"
PLANES = ("axial", "coronal", "sagittal")
CONTESTANTS = {
    **{name: ("volume_files", Path(sys.executable)) for name in FORMATS},
    "torch.save, as MONAI's cache": ("peers.torch_files", PEERS_PYTHON),
}
"""Module and Python of each."""

# centre and half axes as parts of the field of view, and HU: body, inner body, lungs, heart, spine, table
SHAPES = (
    (0.0, 0.0, 0.80, 0.58, -95),
    (0.0, 0.0, 0.70, 0.49, 45),
    (-0.33, -0.06, 0.28, 0.30, -850),
    (0.33, -0.06, 0.28, 0.30, -850),
    (0.03, -0.10, 0.15, 0.18, 150),
    (0.0, 0.38, 0.10, 0.09, 500),
    (0.0, 0.74, 0.90, 0.05, -400),
)


def body(slices: int) -> NDArray[np.int16]:
    """A CT of a body, in HU: `(slices, 512, 512)`."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1:1:512j, -1:1:512j]
    values = np.empty((slices, 512, 512), np.int16)
    for k, plane in enumerate(values):
        swelling = 1 + 0.05 * np.sin(6 * k / slices)
        image = np.full((512, 512), -1000.0, np.float32)
        for centre_x, centre_y, half_x, half_y, hu in SHAPES:
            image[((x - centre_x) / half_x / swelling) ** 2 + ((y - centre_y) / half_y / swelling) ** 2 < 1] = hu
        image = ndimage.gaussian_filter(image, 0.8)
        noise = ndimage.gaussian_filter(rng.standard_normal(image.shape, np.float32), 0.75)
        image += noise / noise.std() * np.where(image > -900, 22, 9)
        plane[:] = np.clip(np.rint(image), -1024, 3071)
    return values


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def summary(slices: int, outcomes: Mapping[str, Outcome], ratios: Mapping[str, float]) -> Table:
    """All of it at a glance: medians, and of slices what one of them takes."""
    looked_at = [plane for plane in PLANES if plane in outcomes]
    rows = [
        (
            name,
            *(outcomes[what].measured[name].median("wall_s") * 1e3 for what in ("write", "read")),
            ratios.get(name),
            *(outcomes[plane].measured[name].median("wall_s") * 1e3 / SLICES for plane in looked_at),
        )
        for name in CONTESTANTS
    ]
    return Table(
        f"A volume of {slices} x 512 x 512 int16 in a file",
        ("", "write, ms", "read, ms", "smaller, x", *(f"{plane} slice, ms" for plane in looked_at)),
        rows,
        "Medians of wall time. dlp-lab also hashes what it writes, and checks what it reads whole.",
    )


def main() -> int:
    """Hold the contests of writing, reading and looking, and tell how large the files are."""
    asked = Asked.on_the_command_line(__doc__, 200)
    slices = asked.slices
    outcomes: dict[str, Outcome] = {}
    with scratch() as made:
        source = made / "body.npy"
        np.save(source, body(slices))
        paths = {name: made / f"{number}.nii.gz" for number, name in enumerate(CONTESTANTS)}

        def hold_one(name: str, title: str, function: str, *more: str) -> None:
            contestants = [
                Contestant(one, f"benchmarks.{module}:{function}", python)
                for one, (module, python) in CONTESTANTS.items()
            ]

            def arguments(contestant: Contestant) -> list[str]:
                path = paths[contestant.name]
                if function == "write":
                    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
                return [contestant.name, str(source), str(path), *more]

            outcomes[name] = hold(title, contestants, asked.rounds(ROUNDS), reference=OURS, arguments=arguments)
            outcomes[name].print_table()
            outcomes[name].write(asked.results / f"hdf5_{name}.json")

        hold_one("write", f"writing {slices} x 512 x 512 int16", "write")
        hold_one("read", f"reading {slices} x 512 x 512 int16", "read")
        for axis, plane in enumerate(PLANES[:1] if asked.is_short else PLANES):
            hold_one(plane, f"{SLICES} {plane} slices of {slices} x 512 x 512", "look", str(axis))
        ratios = {name: source.stat().st_size / size_of(path) for name, path in paths.items() if path.exists()}
    summary(slices, outcomes, ratios).print().write(asked.results / "hdf5.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
