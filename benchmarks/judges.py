"""Networks over volumes as MONAI and nnU-Net take them; `segment_peers.py` runs it in an environment of theirs.

    python judges.py {monai,nnunet} FOLDER CHANNELS PATCH OVERLAP ROUNDS

FOLDER holds `model.onnx` and `image.npy`, `(a, b, c)` float32. Both libraries get the network in ONNX Runtime, with two
threads for it and for torch: so the passes are the same, and what differs is theirs. The labels are left in FOLDER.
Prints JSON: seconds of each round, of the network in it, processor seconds of the rest, passes, and the most memory
beyond what was there with the image and the network loaded.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import torch

THREADS = 2


class OnnxNetwork(torch.nn.Module):
    """A network in ONNX Runtime that torch may call."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.force_spinning_stop", "1")  # as dlp-lab's
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.seconds: list[float] = []
        self.processor_seconds: list[float] = []

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        start, processor_start = time.perf_counter(), time.process_time()
        (scores,) = self._session.run(None, {"image": image.numpy()})
        self.seconds.append(time.perf_counter() - start)
        self.processor_seconds.append(time.process_time() - processor_start)
        return torch.from_numpy(scores)


def monai(network: OnnxNetwork, channels: int, patch: int, overlap: float) -> Callable[[np.ndarray], np.ndarray]:
    """`SlidingWindowInferer`, one window at a time, which on processors is its fastest way."""
    from monai.inferers import SlidingWindowInferer

    inferer = SlidingWindowInferer(patch, 1, overlap, mode="gaussian")

    def labels(image: np.ndarray) -> np.ndarray:
        return inferer(torch.from_numpy(image)[None, None], network)[0].argmax(0).numpy().astype(np.uint8)

    return labels


def nnunet(network: OnnxNetwork, channels: int, patch: int, overlap: float) -> Callable[[np.ndarray], np.ndarray]:
    """`nnUNetPredictor` without mirroring, as it is after a trained model was loaded."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(
        tile_step_size=1 - overlap,
        use_mirroring=False,
        perform_everything_on_device=False,
        device=torch.device("cpu"),
        allow_tqdm=False,
    )
    predictor.network = network
    predictor.configuration_manager = SimpleNamespace(patch_size=[patch] * 3)
    predictor.label_manager = SimpleNamespace(num_segmentation_heads=channels)

    def labels(image: np.ndarray) -> np.ndarray:
        logits = predictor.predict_sliding_window_return_logits(torch.from_numpy(image)[None])
        return logits.argmax(0).numpy().astype(np.uint8)

    return labels


def memory_mib(entry: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(entry))) / 1024


def main() -> None:
    way, folder = sys.argv[1], Path(sys.argv[2])
    channels, patch, overlap, rounds = int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]), int(sys.argv[6])
    torch.set_num_threads(THREADS)
    network, image = OnnxNetwork(folder / "model.onnx"), np.load(folder / "image.npy")
    with contextlib.redirect_stdout(sys.stderr), torch.inference_mode():
        run = {"monai": monai, "nnunet": nnunet}[way](network, channels, patch, overlap)
        before = memory_mib("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # forgets the most there was
        told = []
        for _ in range(rounds):
            network.seconds.clear()
            network.processor_seconds.clear()
            start, processor_start = time.perf_counter(), time.process_time()
            labels = run(image)
            took, processor_took = time.perf_counter() - start, time.process_time() - processor_start
            inside = sum(network.seconds)
            told.append((took, inside, processor_took - sum(network.processor_seconds)))
    np.save(folder / f"{way}.npy", labels)
    print(json.dumps({"rounds": told, "passes": len(network.seconds), "mib": memory_mib("VmHWM") - before}))


if __name__ == "__main__":
    main()
