"""How a MONAI bundle makes labels of what its network gives, and brings them back to the source's voxels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dlp_lab.models.importers.monai_config import Component, Config, flag, number
from dlp_lab.models.importers.monai_transforms import OF_NO_MATTER, WITHOUT_EFFECT, first, transforms

BackToSource = Literal["values", "probabilities", "labels"]


@dataclass(frozen=True)
class Postprocessing:
    """What is done behind the network."""

    kind: Literal["softmax", "sigmoid_regions"]
    back_to_source: BackToSource
    is_inverted: bool
    keeps_largest: bool = False


def postprocessing(config: Config) -> Postprocessing:
    """What the bundle's postprocessing does.

    Raises:
        ModelRefused: A transform of it, or an argument, is not supported, or the order makes no labels.
    """
    activation: Literal["softmax", "sigmoid"] | None = None
    chosen: Literal["argmax", "threshold"] | None = None
    back: BackToSource | None = None
    keeps_largest = False
    for component in transforms(config, "postprocessing"):
        if component.name == "Activationsd" and chosen is None:
            activation = _activation(component) or activation
        elif component.name == "AsDiscreted" and chosen is None:
            chosen = _choice(component, activation)
        elif component.name == "Invertd" and back is None:
            back = _way_back(component, activation is not None, chosen is not None)
        elif component.name == "KeepLargestConnectedComponentd" and chosen == "argmax":
            keeps_largest = _keeps_largest(component, back is not None)
        elif component.name not in WITHOUT_EFFECT:
            known = ", ".join(sorted(WITHOUT_EFFECT))
            raise component.refuse(
                "is not supported here; Activationsd, AsDiscreted and Invertd are, each once, "
                f"KeepLargestConnectedComponentd behind them, and {known}"
            )
    if chosen is None:
        raise config.refuse("postprocessing", "makes no labels; AsDiscreted with argmax or a threshold is needed")
    kind: Literal["softmax", "sigmoid_regions"] = "softmax" if chosen == "argmax" else "sigmoid_regions"
    return Postprocessing(kind, back or "values", back is not None, keeps_largest)


def _activation(component: Component) -> Literal["softmax", "sigmoid"] | None:
    taken = component.take(OF_NO_MATTER, sigmoid=False, softmax=False, other=None)
    if taken["other"] is not None:
        raise component.refuse("has another function, which is not supported; softmax and sigmoid are")
    if flag(component, "softmax", taken["softmax"]):
        return "softmax"
    return "sigmoid" if flag(component, "sigmoid", taken["sigmoid"]) else None


def _choice(component: Component, activation: str | None) -> Literal["argmax", "threshold"]:
    taken = component.take(OF_NO_MATTER | {"num_classes"}, argmax=False, threshold=None, to_onehot=None, rounding=None)
    if first(taken["to_onehot"]) is not None or first(taken["rounding"]) is not None:
        raise component.refuse("has to_onehot or rounding, which are not supported")
    threshold = first(taken["threshold"])
    if flag(component, "argmax", first(taken["argmax"])):
        if threshold is not None or activation == "sigmoid":
            raise component.refuse("has argmax with a threshold or behind a sigmoid, which is not supported")
        return "argmax"
    if activation != "sigmoid" or threshold is None or number(component, "threshold", threshold) != 0.5:
        raise component.refuse("is supported with argmax, or behind a sigmoid with a threshold of 0.5")
    return "threshold"


def _keeps_largest(component: Component, is_on_source: bool) -> bool:
    ignored = OF_NO_MATTER | {"applied_labels", "connectivity", "is_onehot"}
    taken = component.take(ignored, independent=True, num_components=1)
    plain = {key: component.arguments.get(key) for key in ("applied_labels", "connectivity", "is_onehot")}
    is_usual = flag(component, "independent", taken["independent"]) and taken["num_components"] == 1
    if not is_on_source or not is_usual or any(value is not None for value in plain.values()):
        raise component.refuse("is supported behind AsDiscreted and Invertd, for each label by itself")
    return True


def _way_back(component: Component, is_activated: bool, is_discrete: bool) -> BackToSource:
    ignored = OF_NO_MATTER | {"orig_keys", "orig_meta_keys", "to_tensor"}
    taken = component.take(ignored | {"transform"}, nearest_interp=True, post_func=None)
    if component.arguments.get("transform") != "@preprocessing":
        shown = str(component.arguments.get("transform"))[:64]
        raise component.refuse(f"inverts {shown!r}; @preprocessing is supported")
    if taken["post_func"] is not None:
        raise component.refuse("has a post_func, which is not supported")
    if flag(component, "nearest_interp", first(taken["nearest_interp"])):
        return "labels"
    if is_discrete:
        raise component.refuse("interpolates between numbers of labels (nearest_interp false behind AsDiscreted)")
    return "probabilities" if is_activated else "values"
