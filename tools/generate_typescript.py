"""Writes the TypeScript types of the REST replies and events from the Python structs, so that the two cannot drift.

python tools/generate_typescript.py            writes labextension/src/generated/types.ts
python tools/generate_typescript.py --check    writes nothing; exit status 1 when the file is stale
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "labextension/src/generated/types.ts"

sys.path.insert(0, str(ROOT))

from dlp_lab.jobs.job import (  # noqa: E402
    BatchReply,
    BatchRequest,
    ErrorReply,
    Health,
    JobEvent,
    JobList,
    JobLogPart,
    JobRequest,
    TaskList,
)
from dlp_lab.jobs.replies import ResultFiles, SeriesList  # noqa: E402
from dlp_lab.server.v1_volumes import HeaderReply, OpenVolume, VolumeReply  # noqa: E402

REQUESTS = (JobRequest, BatchRequest, OpenVolume)
REPLIES = (
    *(JobList, TaskList, Health, JobEvent, ErrorReply, BatchReply, JobLogPart),
    *(ResultFiles, SeriesList, VolumeReply, HeaderReply),
)

HEADER = """\
// Generated from the Python structs by tools/generate_typescript.py. Do not edit.
"""

# "    state: Where it stands." or "    started_at, ended_at: UTC." in an Attributes section
_ATTRIBUTE = re.compile(r"(?P<names>\w+(?:, \w+)*): (?P<text>.+)")


def typescript() -> str:
    """The whole file: one interface for each struct that a request, a reply or an event holds."""
    structs = (*REQUESTS, *REPLIES)
    _, schemas = msgspec.json.schema_components(structs, ref_template="{name}")
    asked = {struct.__name__ for struct in REQUESTS}
    interfaces = [_interface(name, schema, optional=name in asked) for name, schema in sorted(schemas.items())]
    return "\n".join([HEADER, *interfaces])


def _interface(name: str, schema: dict[str, Any], *, optional: bool) -> str:
    """An interface.

    Args:
        name: Name of the struct.
        schema: Its JSON Schema.
        optional: Whether fields with a default may be absent: they may in a request, never in a reply.
    """
    summary, attributes = _docstring(schema.get("description", ""))
    lines = [f"/** {summary} */", f"export interface {name} {{"]
    for field, field_schema in schema["properties"].items():
        if field in attributes:
            lines.append(f"  /** {attributes[field]} */")
        mark = "?" if optional and field not in schema["required"] else ""
        lines.append(f"  {field}{mark}: {_type(field_schema)};")
    return "\n".join([*lines, "}", ""])


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"])
    if "enum" in schema:
        return " | ".join(f"'{value}'" for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(_type(one) for one in schema["anyOf"])
    if "prefixItems" in schema:
        return f"[{', '.join(_type(one) for one in schema['prefixItems'])}]"
    match schema["type"]:
        case "string" | "boolean" | "null" as same:
            return str(same)
        case "number" | "integer":
            return "number"
        case "array" if "prefixItems" in schema:
            return f"[{', '.join(_type(item) for item in schema['prefixItems'])}]"
        case "array":
            return f"Array<{_type(schema['items'])}>"
        case "object":
            return "Record<string, unknown>"
    raise NotImplementedError(f"no TypeScript type is known for {schema}")


def _docstring(text: str) -> tuple[str, dict[str, str]]:
    """Summary and attribute texts of a Google-style docstring."""
    before, _, after = text.partition("Attributes:")
    summary = " ".join(before.split("\n\n")[0].split())
    # A line that is no new attribute goes on with the one before it.
    attributes: dict[str, str] = {}
    names: list[str] = []
    for line in (line.strip() for line in after.splitlines() if line.strip()):
        found = _ATTRIBUTE.fullmatch(line)
        if found:
            names = found["names"].split(", ")
            attributes.update(dict.fromkeys(names, found["text"]))
        else:
            attributes.update({name: f"{attributes[name]} {line}" for name in names})
    return summary, attributes


def main() -> int:
    """Write the file, or with `--check` only say whether it is current."""
    text = typescript()
    if sys.argv[1:] == ["--check"]:
        if TARGET.exists() and TARGET.read_text(encoding="utf-8") == text:
            return 0
        print(f"{TARGET.relative_to(ROOT)} is stale: run python tools/generate_typescript.py", file=sys.stderr)
        return 1
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
