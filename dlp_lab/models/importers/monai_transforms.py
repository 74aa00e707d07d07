"""The transforms that a MONAI bundle lists, and Python among them, which is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dlp_lab.models.importers.monai_config import Component, Config, Value

OF_NO_MATTER = frozenset(("keys", "allow_missing_keys", "dtype", "device", "meta_keys", "meta_key_postfix", "lazy"))
"""Arguments that change nothing of what is computed."""

WITHOUT_EFFECT = frozenset(
    (
        "LoadImaged",
        "EnsureChannelFirstd",
        "AddChanneld",
        "EnsureTyped",
        "CastToTyped",
        "ToTensord",
        "ToDeviced",
        "SaveImaged",
    )
)
"""Transforms that read and write, or change how values are held."""


def transforms(config: Config, name: str) -> list[Component]:
    """The transforms that stand under a name: a list, or one of `Compose`."""
    found = config.followed(config.value(name), name)
    where = name
    if isinstance(found, dict):
        composed = config.component(found, name)
        if composed is None:
            return []
        if composed.name != "Compose":
            raise composed.refuse("is not supported; Compose and a list of transforms are")
        listed = composed.arguments.get("transforms", [])
        where = f"{name}#transforms"
        found = config.followed(listed, where)
    if not isinstance(found, list):
        raise config.refuse(where, "must be a list of transforms")
    made = (config.component(part, f"{where}#{place}") for place, part in enumerate(found))
    return [replace(part, name=_usual_name(part.name)) for part in made if part is not None]


def _usual_name(name: str) -> str:
    """MONAI has each transform of dictionaries under three names."""
    for ending in ("Dict", "D"):
        if name.endswith(ending):
            return name.removesuffix(ending) + "d"
    return name


def first(value: Value) -> Value:
    """Arguments may be lists of one for each key; the image, or the result, is the first."""
    return value[0] if isinstance(value, list) and value else value


def refuse_python(config: Config, names: Sequence[str]) -> None:
    """Refuse Python anywhere in these parts, also where it would not be looked at.

    Raises:
        ModelRefused: The message names the key and the text.
    """
    for name in names:
        for where, text in config.texts(config.root.get(name), name, frozenset(("device", "sw_device"))):
            if text.startswith("$"):
                config.followed(text, where)
