"""The front end's types are those of the Python structs."""

from __future__ import annotations

from tools.generate_typescript import ROOT, TARGET, typescript


def test_the_generated_typescript_types_are_current() -> None:
    command = "python tools/generate_typescript.py"
    assert TARGET.read_text(encoding="utf-8") == typescript(), f"{TARGET.relative_to(ROOT)} is stale: run {command}"


def test_a_reply_has_all_fields_and_a_request_may_leave_out_those_with_a_default() -> None:
    text = typescript()
    assert "  keep_hdf5?: boolean;" in text.partition("interface JobRequest")[2]
    assert "?:" not in text.partition("interface Job {")[2].partition("}")[0]
