"""What a check says: findings, by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Layer = Literal["validators", "rules", "geometry", "values"]


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    Attributes:
        layer: Who found it.
        code: Stable name of the rule that is broken, such as "image-type".
        file: Name of the derived file, or None if it is about the whole series.
        message: A sentence for people. It names tags and never a patient.
    """

    layer: Layer
    code: str
    file: str | None
    message: str


@dataclass(frozen=True)
class LayerReport:
    """What one layer says.

    Attributes:
        layer: Its name.
        summary: What was looked at, or why the layer was skipped.
        findings: Empty when all holds.
        skipped: Nothing was checked.
        not_applicable: Rules that say nothing of a result of this form.
    """

    layer: Layer
    summary: str
    findings: tuple[Finding, ...] = ()
    skipped: bool = False
    not_applicable: tuple[str, ...] = ()

    @property
    def result(self) -> str:
        """One word or two for a table."""
        if self.skipped:
            return "skipped"
        return f"{len(self.findings)} found" if self.findings else "holds"


@dataclass(frozen=True)
class CheckReport:
    """What all layers say of one derived series."""

    layers: tuple[LayerReport, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Of all layers, in their order."""
        return tuple(finding for layer in self.layers for finding in layer.findings)

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    @property
    def codes(self) -> set[str]:
        """The rules that are broken, as "layer:code"."""
        return {f"{finding.layer}:{finding.code}" for finding in self.findings}


def as_text(report: CheckReport) -> str:
    """A table of the layers, the rules that do not apply, the findings; one line for all files with the same one."""
    lines = [f"{layer.layer:<11} {layer.result:<9} {layer.summary}" for layer in report.layers]
    lines += [f"not applicable: {', '.join(layer.not_applicable)}" for layer in report.layers if layer.not_applicable]
    alike: dict[tuple[str, str, str], list[str]] = {}
    for finding in report.findings:
        alike.setdefault((finding.layer, finding.code, finding.message), []).append(finding.file or "the series")
    if alike:
        lines.append("")
    for (layer, code, message), files in alike.items():
        others = f" and {len(files) - 1} more" if len(files) > 1 else ""
        lines.append(f"{layer}:{code}  {files[0]}{others}: {message}")
    return "\n".join(lines)


def as_json(report: CheckReport) -> dict[str, object]:
    """The same for programs."""
    return {
        "holds": report.holds,
        "layers": [
            {
                "layer": layer.layer,
                "summary": layer.summary,
                "skipped": layer.skipped,
                "not_applicable": list(layer.not_applicable),
                "findings": [
                    {"code": finding.code, "file": finding.file, "message": finding.message}
                    for finding in layer.findings
                ],
            }
            for layer in report.layers
        ],
    }
