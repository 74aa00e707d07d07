"""Configuration of a MONAI bundle as data. MONAI runs text that begins with "$" as Python; here it is never run.

Values point to others by "@id", an id being names and numbers of list elements with "#" (or "::") between them.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Union

from dlp_lab.errors import ModelRefused, ModelsMissing

Value = Union[bool, int, float, str, list["Value"], dict[str, "Value"], None]  # noqa: UP007 (refers to itself)

MAX_VALUES = 100_000
"""How many values are looked at, whatever points to what."""

_REFERENCE = re.compile(r"@[A-Za-z0-9_][A-Za-z0-9_.#:-]*")
_MAX_DEPTH = 64


@dataclass
class Config:
    """A configuration file.

    Attributes:
        name: Of the file, for messages.
        root: What it holds.
    """

    name: str
    root: dict[str, Value]
    _looked_at: int = field(default=0, repr=False)
    _depth: int = field(default=0, repr=False)

    @classmethod
    def decoded(cls, content: bytes, name: str) -> Config:
        """Read JSON, or YAML where the name ends so.

        Raises:
            ModelRefused: It is neither, or no mapping of names to values.
            ModelsMissing: It is YAML, and PyYAML is not installed.
        """
        try:
            root = _yaml(content) if name.endswith((".yaml", ".yml")) else json.loads(content)
            _check_letters(root)
        except (ValueError, RecursionError) as error:
            raise ModelRefused(f"{name} cannot be read: {str(error)[:200]}") from None
        if not isinstance(root, dict) or not all(isinstance(key, str) for key in root):
            raise ModelRefused(f"{name} must hold names and their values; it holds {type(root).__name__}")
        return cls(name, root)

    def refuse(self, where: str, what: str) -> ModelRefused:
        """An error about the value at `where`."""
        return ModelRefused(f"{self.name}: {where} {what}")

    def value(self, path: str) -> Value:
        """The value of that id, as it is written.

        Raises:
            ModelRefused: There is none.
        """
        found: Value = self.root
        for part in path.replace("::", "#").split("#"):
            if isinstance(found, str) and found.startswith("@"):
                found = self.followed(found, path)
            if isinstance(found, dict) and part in found:
                found = found[part]
            elif isinstance(found, list) and part.isdigit() and int(part) < len(found):
                found = found[int(part)]
            else:
                raise self.refuse(path[:100], "is asked for, and is not there")
        return found

    def followed(self, value: Value, where: str) -> Value:
        """The value, or the one that it points to.

        Raises:
            ModelRefused: It is Python, or a macro, or points to nothing or in a circle.
        """
        self._count(where)
        if not isinstance(value, str) or not value.startswith(("@", "$", "%")):
            return value
        if not _REFERENCE.fullmatch(value):
            kind = "a macro, which is not supported" if value.startswith("%") else "Python, which is never run here"
            raise self.refuse(where, f"is {value[:100]!r}: {kind}; write the value that it stands for")
        if self._depth > _MAX_DEPTH:
            raise self.refuse(where, "points to itself")
        self._depth += 1
        try:
            return self.followed(self.value(value[1:]), where)
        finally:
            self._depth -= 1

    def texts(self, value: Value, where: str, skipped: frozenset[str], depth: int = 0) -> Iterator[tuple[str, str]]:
        """All texts as they are written in a value, each with its place, but those under the keys `skipped`."""
        self._count(where)
        if depth > _MAX_DEPTH:
            raise self.refuse(where, f"is nested more than {_MAX_DEPTH} deep")
        if isinstance(value, str):
            yield where, value
        elif isinstance(value, list):
            for place, part in enumerate(value):
                yield from self.texts(part, f"{where}#{place}", skipped, depth + 1)
        elif isinstance(value, dict):
            for key, part in value.items():
                if key not in skipped:
                    yield from self.texts(part, f"{where}#{key}", skipped, depth + 1)

    def _count(self, where: str) -> None:
        self._looked_at += 1
        if self._looked_at > MAX_VALUES:
            raise self.refuse(where, f"is one of more than {MAX_VALUES} values, which are not read")

    def plain(self, value: Value, where: str, depth: int = 0) -> Value:
        """The value with all that it holds, nothing of it pointing to another.

        Raises:
            ModelRefused: As `followed`.
        """
        if depth > _MAX_DEPTH:
            raise self.refuse(where, f"is nested more than {_MAX_DEPTH} deep")
        value = self.followed(value, where)
        if isinstance(value, list):
            return [self.plain(part, f"{where}#{number}", depth + 1) for number, part in enumerate(value)]
        if isinstance(value, dict):
            return {key: self.plain(part, f"{where}#{key}", depth + 1) for key, part in value.items()}
        return value

    def component(self, value: Value, where: str) -> Component | None:
        """The class that a value names, with its arguments; None where it is disabled.

        Raises:
            ModelRefused: It names none.
        """
        value = self.followed(value, where)
        if not isinstance(value, dict) or not isinstance(value.get("_target_"), str):
            raise self.refuse(where, "must name a class by _target_")
        disabled = self.followed(value.get("_disabled_", False), f"{where}#_disabled_")
        if disabled is True or str(disabled).lower() == "true":
            return None
        name = str(value["_target_"])
        if value.get("_mode_", "default") != "default":
            raise self.refuse(f"{where}#_mode_", f"is {str(value['_mode_'])[:32]!r}, which is not supported")
        arguments = {key: part for key, part in value.items() if key not in _OF_THE_CLASS}
        return Component(self, where, name.rpartition(".")[2] if name.startswith("monai.") else name, arguments)


_OF_THE_CLASS = ("_target_", "_disabled_", "_desc_", "_requires_", "_mode_")


@dataclass(frozen=True)
class Component:
    """A class that the configuration names, and its arguments as they are written."""

    config: Config
    where: str
    name: str
    arguments: Mapping[str, Value]

    def refuse(self, what: str) -> ModelRefused:
        """An error about it."""
        return self.config.refuse(f"{self.where} ({self.name[:64]})", what)

    def take(self, ignored: frozenset[str], /, **defaults: Value) -> dict[str, Value]:
        """Its arguments, those that are absent from `defaults`.

        Raises:
            ModelRefused: There is one that is neither in `defaults` nor `ignored`.
        """
        unknown = sorted(set(self.arguments) - set(defaults) - ignored)
        if unknown:
            raise self.refuse(f"has the argument {unknown[0][:64]!r}, which is not supported")
        found = dict(defaults)
        for key in defaults.keys() & self.arguments.keys():
            found[key] = self.config.plain(self.arguments[key], f"{self.where}#{key}")
        return found


def number(component: Component, key: str, value: Value) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= sys.float_info.max:
        raise component.refuse(f"needs a number as {key}; got {str(value)[:64]!r}")
    return float(value)


def numbers(component: Component, key: str, value: Value, count: int) -> list[float]:
    """As many numbers; one stands for all."""
    listed = value if isinstance(value, list) else [value] * count
    if len(listed) == 1:
        listed = listed * count
    if len(listed) != count:
        raise component.refuse(f"needs {count} numbers as {key}; got {str(value)[:64]}")
    return [number(component, key, part) for part in listed]


def flag(component: Component, key: str, value: Value) -> bool:
    """A yes or no. The text "True" is taken for it; "False" is not, for Python takes any text for yes."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value in ("True", "true"):
        return True
    if value is None or isinstance(value, bool):
        return bool(value)
    raise component.refuse(f"needs true or false as {key}; got {str(value)[:64]!r}")


def _check_letters(root: object) -> None:
    """Raises `ValueError` for half a letter, which JSON can hold and no file; what is pointed to twice is seen once."""
    seen: set[int] = set()
    to_visit = [root]
    while to_visit:
        value = to_visit.pop()
        if isinstance(value, str):
            value.encode()
        elif isinstance(value, (list, dict)) and id(value) not in seen:
            seen.add(id(value))
            to_visit += value if isinstance(value, list) else (*value.keys(), *value.values())


def _yaml(content: bytes) -> object:
    try:
        import yaml
    except ImportError:
        raise ModelsMissing("configurations in YAML need PyYAML: pip install pyyaml") from None
    try:
        return yaml.safe_load(content)
    except (yaml.YAMLError, AttributeError, LookupError, TypeError) as error:  # PyYAML's own, for `!!int ""` and such
        raise ValueError(" ".join(str(error).split())) from None
