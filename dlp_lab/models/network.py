"""Networks in ONNX Runtime: loaded once in a process, and run with this process's share of the processors."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dlp_lab.errors import ModelRefused, ModelsMissing
from dlp_lab.models.description import ModelDescription, Windows
from dlp_lab.models.package import ModelPackage
from dlp_lab.processors import threads_to_use

if TYPE_CHECKING:
    import onnxruntime

FloatVolume = NDArray[np.float32]

_log = logging.getLogger(__name__)

_KEPT = 2
"""How many models a process keeps loaded."""

_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
"""Of ONNX Runtime, the ones that are taken where they are installed, the best first."""


@dataclass(frozen=True, eq=False)
class Network:
    """A model that is ready to run.

    Attributes:
        package: What was loaded.
        provider: Of ONNX Runtime, that really runs it, such as "CPUExecutionProvider".
        locators: One session of the network that looks first; none where the package has no locator.
    """

    package: ModelPackage
    sessions: tuple[onnxruntime.InferenceSession, ...]
    provider: str
    locators: tuple[onnxruntime.InferenceSession, ...] = ()

    def run(self, image: FloatVolume, into: FloatVolume | None = None) -> FloatVolume:
        """Run all folds on one image.

        Args:
            image: `(channels, a, b, c)` in the network's axes, contiguous.
            into: What an earlier run of the same lengths gave, and is no longer needed. The result is written there,
                so that the system need not find and clear memory for every pass.

        Returns:
            `(channels, a, b, c)` mean over the folds.

        Raises:
            ModelRefused: The output has another shape than the input.
        """
        first, *others = self.sessions
        total = self._passed(first, image, into)
        for session in others:
            total += self._passed(session, image, None)
        if others:
            total /= len(self.sessions)
        return total

    def locate(self, image: FloatVolume) -> FloatVolume:
        """Run the locator on one image; as `run`."""
        (locator,) = self.locators
        return self._passed(locator, image, None)

    def _passed(
        self, session: onnxruntime.InferenceSession, image: FloatVolume, into: FloatVolume | None
    ) -> FloatVolume:
        """The result of one fold, checked."""
        description = self.package.description
        feed, name = image[np.newaxis], description.output.name
        if self.has_float_output:
            shape = description.output.channels, *image.shape[1:]
            scores = into if into is not None and into.shape == shape else np.empty(shape, np.float32)
            if self._has_passed_into(session, feed, scores):
                return scores
        (made,) = session.run([name], {description.input.name: feed})
        if made.ndim != 5 or made.shape[0] != 1 or made.shape[2:] != image.shape[1:]:
            raise ModelRefused(
                f"model {description.name} makes {made.shape} of an input {(1, *image.shape)}; "
                "(1, channels, ...) of the same lengths is needed"
            )
        scores = np.asarray(made[0], np.float32)
        self._check_channels(scores)
        return scores

    def _has_passed_into(self, session: onnxruntime.InferenceSession, feed: FloatVolume, made: FloatVolume) -> bool:
        """Run one fold so that its result is written to `made`; False if that fails, as for one of another shape.

        ONNX Runtime would give a copy of what it has room for as well: twice the memory, found anew for every pass.
        """
        description = self.package.description
        binding = session.io_binding()
        binding.bind_cpu_input(description.input.name, feed)
        binding.bind_output(description.output.name, "cpu", 0, np.float32, (1, *made.shape), made.ctypes.data)
        try:
            session.run_with_iobinding(binding)
        except Exception:  # ONNX Runtime has many classes, of which none is public; the plain way tells what is wrong
            return False
        return True

    @property
    def has_float_output(self) -> bool:
        """Whether what the network makes is float32 as it is."""
        name = self.package.description.output.name
        types = {entry.type for session in self.sessions for entry in session.get_outputs() if entry.name == name}
        return types == {"tensor(float)"}

    def _check_channels(self, scores: FloatVolume) -> None:
        output = self.package.description.output
        if len(scores) != output.channels:
            of = f" of {len(output.labels)} labels" if output.labels else ""
            raise ModelRefused(
                f"model {self.package.description.name} makes {len(scores)} channels; {output.channels} are needed "
                f"for its output {output.kind}{of}"
            )


_kept: OrderedDict[tuple[str, int], Network] = OrderedDict()


def load(package: ModelPackage) -> Network:
    """The network of a package; one that was loaded lately, with as many threads, is taken again.

    Raises:
        ModelsMissing: ONNX Runtime is not installed.
        ModelRefused: A file is not what the description says, or cannot be run.
    """
    key = package.sha256, threads_to_use()
    if key not in _kept:
        start = time.perf_counter()
        _kept[key] = _loaded(package, key[1])
        seconds = time.perf_counter() - start
        _log.info("model %s loaded in %.2f s, for %s", package.description.name, seconds, _kept[key].provider)
    _kept.move_to_end(key)
    while len(_kept) > _KEPT:
        _kept.popitem(last=False)
    return _kept[key]


def _loaded(package: ModelPackage, threads: int) -> Network:
    try:
        import onnxruntime
    except ImportError:
        raise ModelsMissing("models need ONNX Runtime: pip install 'dlp-lab[models]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; they come as exceptions too
    # between two passes, the threads of the last one would wait at full speed, on the processors that blend
    options.add_session_config_entry("session.force_spinning_stop", "1")
    # ONNX Runtime would keep what a pass took, which is little for a window and much for a volume
    options.enable_cpu_mem_arena = isinstance(package.description.inference, Windows)
    available = onnxruntime.get_available_providers()
    providers = [name for name in _PROVIDERS if name in available]
    contents = package.networks()
    folds, locator = len(contents), package.description.locator
    if locator is not None:
        contents.append(package.network(locator.file))
    try:
        sessions = tuple(onnxruntime.InferenceSession(content, options, providers=providers) for content in contents)
    except Exception as error:  # ONNX Runtime has many classes, of which none is public
        name = package.description.name
        raise ModelRefused(f"model {name} cannot be loaded: {str(error)[:300]}") from None
    for session in sessions:
        _refuse_other_ends(session, package.description)
    return Network(package, sessions[:folds], sessions[0].get_providers()[0], sessions[folds:])


def _refuse_other_ends(session: onnxruntime.InferenceSession, description: ModelDescription) -> None:
    """Refuse a network whose input and output are not those of its description."""
    inputs = {entry.name: entry for entry in session.get_inputs()}
    outputs = [entry.name for entry in session.get_outputs()]
    if set(inputs) != {description.input.name} or description.output.name not in outputs:
        raise ModelRefused(
            f"model {description.name} has the inputs {sorted(inputs)} and outputs {outputs}; its description names "
            f"{description.input.name!r} and {description.output.name!r}"
        )
    entry = inputs[description.input.name]
    channels = len(description.input.channels)
    fits = len(entry.shape) == 5 and (entry.shape[1] == channels or not isinstance(entry.shape[1], int))
    if entry.type != "tensor(float)" or not fits:
        raise ModelRefused(
            f"model {description.name} takes {entry.type} {entry.shape}; float (batch, {channels}, a, b, c) is needed"
        )
