"""`dlp-lab model`: the networks that the task `segment` runs."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

MODEL = "add, import, list, show, check or remove the models of the tasks segment and enhance"


def add_model_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="WHAT", required=True)
    add = commands.add_parser("add", help="check a model package, a folder or a zip, and register a copy of it")
    add.add_argument("package", metavar="PATH", type=Path)
    add.set_defaults(command=_add)
    _add_import(commands)
    exporter = commands.add_parser("exporter", help="print the script that exports models of another program")
    exporter.add_argument("program", choices=["nnunet"])
    exporter.set_defaults(command=_exporter)
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


def _add_import(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    importing = commands.add_parser(
        "import",
        help="make a package of a MONAI bundle or an exported nnU-Net model, a folder or a zip, and register it",
    )
    importing.add_argument("path", metavar="PATH", type=Path)
    importing.add_argument("--name", help="of the model here; made of what its files say, if omitted")
    importing.add_argument("--configuration", help="of nnU-Net, such as 3d_fullres, where there are several")
    importing.add_argument("--orientation", metavar="LETTERS", help="where the network's axes grow to, such as RAS")
    importing.add_argument("--modality", metavar="CODE", help="of the images, such as CT, where the files do not say")
    importing.add_argument("--title", help="what people see")
    importing.add_argument("--version", help="1.0 or what the files say, if omitted")
    importing.add_argument("--license", help="unknown or what the files say, if omitted")
    importing.set_defaults(command=_import)


def _add(arguments: argparse.Namespace) -> int:
    from dlp_lab.models.registry import add_model

    print(add_model(arguments.package).description.name)
    return 0


def _import(arguments: argparse.Namespace) -> int:
    from dlp_lab.models.importers.importing import Wishes, import_model

    wishes = {field: getattr(arguments, field) for field in Wishes.__dataclass_fields__}
    package, notes = import_model(arguments.path, Wishes(**wishes))
    for note in notes:
        print(note, file=sys.stderr)
    print(package.description.name)
    return 0


def _exporter(arguments: argparse.Namespace) -> int:
    from importlib.resources import files

    print(files("dlp_lab.models.importers").joinpath(f"export_{arguments.program}.py").read_text(), end="")
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
