"""`dlp-lab model`: the networks that the task `segment` runs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

MODEL = "add, list, show, check or remove the models of the task segment"


def add_model_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="WHAT", required=True)
    add = commands.add_parser("add", help="check a model package, a folder or a zip, and register a copy of it")
    add.add_argument("package", metavar="PATH", type=Path)
    add.set_defaults(command=_add)
    listing = commands.add_parser("list", help="list the registered models")
    listing.set_defaults(command=_list)
    for name, command, about in (
        ("show", _show, "print the description of a registered model"),
        ("check", _check, "check the files of a registered model, load it and run its self-test"),
        ("remove", _remove, "remove a registered model"),
    ):
        of_one = commands.add_parser(name, help=about)
        of_one.add_argument("name", metavar="NAME")
        of_one.set_defaults(command=command)


def _add(arguments: argparse.Namespace) -> int:
    from dlp_lab.models.registry import add_model

    print(add_model(arguments.package).description.name)
    return 0


def _list(arguments: argparse.Namespace) -> int:
    from dlp_lab.errors import ModelRefused
    from dlp_lab.models.registry import model_names, registered_model

    for name in model_names():
        try:
            description = registered_model(name).description
        except ModelRefused as error:
            print(f"{name}: cannot be used: {error}")
        else:
            print(f"{name}: {description.title}, version {description.version}, {description.license}")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    import msgspec

    from dlp_lab.models.registry import registered_model

    package = registered_model(arguments.name)
    shown = {"sha256_of_description": package.sha256, **msgspec.to_builtins(package.description)}
    print(json.dumps(shown, indent=2, ensure_ascii=False))
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from dlp_lab.models.registry import registered_model
    from dlp_lab.models.selftest import check_model

    print(check_model(registered_model(arguments.name)))
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    from dlp_lab.models.registry import remove_model

    remove_model(arguments.name)
    return 0
