"""All rules of our own, in one table."""

from __future__ import annotations

from dlp_lab.conformance import content_rules, derivation_rules, frame_rules, identity_rules
from dlp_lab.conformance.findings import LayerReport
from dlp_lab.conformance.pair import Pair
from dlp_lab.conformance.rule import Rule

RULES: tuple[Rule, ...] = (
    *identity_rules.RULES,
    *derivation_rules.RULES,
    *content_rules.RULES,
    *frame_rules.RULES,
)


def check_rules(pair: Pair) -> LayerReport:
    """Apply every rule that is about a result of this form."""
    applied = [rule for rule in RULES if pair.form in rule.forms]
    findings = tuple(finding for rule in applied for finding in rule.find(pair))
    frames = f", {len(pair.derived)} frames" if pair.form != "series" else ""
    return LayerReport(
        "rules",
        f"{len(applied)} rules on {len(pair.derived_files)} files{frames}",
        findings,
        not_applicable=tuple(rule.code for rule in RULES if rule not in applied),
    )
