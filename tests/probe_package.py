"""A package with tasks that do as they are told, installed for the tests as any plug-in is: with entry points."""

from __future__ import annotations

from pathlib import Path

MODULE = '''
import functools, os, shutil, signal, subprocess, sys, threading, time
from typing import ClassVar, Literal

import msgspec

from dlp_lab.errors import JobCancelled, TaskResultInvalid
from dlp_lab.tasks.task import ImageResult, Task


@functools.cache
def loaded_model(journal):
    """As a task would load a model: once in each process."""
    with open(journal, "a") as file:
        file.write(f"loaded {os.getpid()}\\n")


def family():
    """Fork a child and a grandchild, each in a session of its own, with all files open. Returns their process ids."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.setsid()
        os.write(writer, f"{os.getpid()} ".encode())
        time.sleep(600)
        os._exit(0)
    pids = b""
    while pids.count(b" ") < 2:
        pids += os.read(reader, 100)
    os.close(reader)
    os.close(writer)
    return pids.decode()


class Probe(Task, frozen=True):
    """Notes in a journal when it starts and ends, and meanwhile does what `act` says."""

    name: ClassVar[str] = "probe"
    title: ClassVar[str] = "Probe"

    journal: str = os.devnull
    label: str = ""
    seconds: float = 0.0
    act: Literal[
        "", "crash", "crash-once", "exit", "stubborn", "child", "child-crash", "refuse", "bug", "memory", "disk",
        "give-up", "multiply", "thread", "sys-exit", "flood", "lose-input",
        "disk-error", "daemon", "state", "pid", "allocate", "abort", "segfault",
        "spin", "deadlock", "stop", "fork-storm", "print-much", "family", "family-crash", "model",
    ] = ""

    def note(self, word):
        with open(self.journal, "a") as journal:
            journal.write(f"{word} {self.label}\\n")

    def run(self, volume, report):
        is_first = not os.path.exists(self.journal) or f"start {self.label}" not in open(self.journal).read()
        self.note("start")
        print("probe at work", flush=True)
        if self.act == "crash" or (self.act == "crash-once" and is_first):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.act == "exit":
            os._exit(3)
        if self.act == "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if self.act in ("child", "child-crash"):
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(10000)"])
            self.note(f"child {child.pid}")
            time.sleep(self.seconds)  # and reports nothing meanwhile
        if self.act.startswith("family"):
            self.note(f"child {family()}")
            time.sleep(self.seconds)
        if self.act == "model":
            loaded_model(self.journal)
        if self.act in ("child-crash", "family-crash"):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.act == "refuse":
            raise TaskResultInvalid("the probe refuses")
        if self.act == "bug":
            raise ValueError("secret of the patient")
        if self.act == "memory":
            raise MemoryError
        if self.act == "disk":
            raise OSError(28, "No space left on device")
        if self.act == "disk-error":
            raise OSError(5, "Input/output error")
        if self.act == "allocate":
            kept = [bytearray(2**26) for _ in range(64)]  # 4 GiB, unless a limit comes first
            raise ValueError(f"{len(kept)} pieces were given")
        if self.act == "abort":
            os.abort()
        if self.act == "segfault":
            import ctypes
            ctypes.string_at(0)
        if self.act == "spin":
            while True:
                pass
        if self.act == "deadlock":
            import ctypes
            ctypes.PyDLL(None).pause()  # in C, with the interpreter's lock
        if self.act == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        if self.act == "fork-storm":
            for _ in range(100):
                if os.fork() == 0:
                    time.sleep(600)
            time.sleep(600)
        if self.act == "print-much":
            for _ in range(int(self.seconds)):
                os.write(2, b"x" * 2**20)
            raise ValueError("after much printing")
        if self.act == "pid":
            self.note(f"pid {os.getpid()}")
        if self.act == "daemon":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(10000)"], start_new_session=True)
            self.note(f"child {child.pid}")
        if self.act == "state":
            import signal as signals
            {
                "folder": lambda: os.chdir("/"),
                "umask": lambda: os.umask(0),
                "environment": lambda: os.environ.update(LEFT_BEHIND="1"),
                "signal handler": lambda: signals.signal(signals.SIGUSR1, signals.SIG_IGN),
                "alarm": lambda: signals.alarm(100),
                "open files": lambda: globals().update(left_behind=[os.dup(0) for _ in range(100)]),
                "nothing": lambda: None,
            }[self.label]()
        if self.act == "give-up":
            raise JobCancelled("the probe gives up")
        if self.act == "thread":
            threading.Thread(target=time.sleep, args=(120,)).start()
        if self.act == "sys-exit":
            sys.exit(3)
        if self.act == "flood":
            for _ in range(40):
                os.write(2, b"x" * 2**20)
            raise ValueError("after the flood")
        if self.act == "lose-input":
            shutil.rmtree(self.label)
        if self.act == "multiply":
            import numpy
            square = numpy.ones((1000, 1000))
            square @ square
            threads = os.listdir("/proc/self/task")
            self.note(f"threads {len(threads)}")
        until = time.monotonic() + (0 if self.act == "child" else self.seconds)
        while (left := until - time.monotonic()) > 0:
            report(1 - left / self.seconds, "probing")
            time.sleep(0.01)
        self.note("end")
        return ImageResult(volume=volume, description="probed", derivation_code=("113088", "DCM", "Gaussian blur"))


class Impostor(Probe, frozen=True):
    """Wants a built-in name."""

    name: ClassVar[str] = "3dblur"


class Grabby(Task, frozen=True):
    """Has parameters that mean something else at the doors."""

    name: ClassVar[str] = "grabby"
    title: ClassVar[str] = "Grabby"

    root: str = ""
    gaps: int = 0


class Tree(msgspec.Struct):
    branches: list["Tree"] = []


class Recursive(Task, frozen=True):
    """Has a parameter that contains itself."""

    name: ClassVar[str] = "recursive"
    title: ClassVar[str] = "Recursive"

    tree: Tree = msgspec.field(default_factory=Tree)
'''

ENTRY_POINTS = """[dlp_lab.tasks]
probe = dlp_lab_probe:Probe
impostor = dlp_lab_probe:Impostor
broken = dlp_lab_probe:NotThere
grabby = dlp_lab_probe:Grabby
recursive = dlp_lab_probe:Recursive
"""


def install_probe_package(site: Path) -> None:
    """Write the package and its metadata into `site`, as an installer would."""
    (site / "dlp_lab_probe.py").write_text(MODULE)
    metadata = site / "dlp_lab_probe-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: dlp-lab-probe\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
