"""All rules of our own, in one table."""

from __future__ import annotations

from dlp_lab.conformance import content_rules, derivation_rules, identity_rules
from dlp_lab.conformance.findings import LayerReport
from dlp_lab.conformance.pair import Pair
from dlp_lab.conformance.rule import Rule

RULES: tuple[Rule, ...] = (*identity_rules.RULES, *derivation_rules.RULES, *content_rules.RULES)


def check_rules(pair: Pair) -> LayerReport:
    """Apply every rule."""
    findings = tuple(finding for rule in RULES for finding in rule.find(pair))
    return LayerReport("rules", f"{len(RULES)} rules on {len(pair.derived)} files", findings)
