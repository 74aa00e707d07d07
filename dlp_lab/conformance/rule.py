"""What a rule is, and how a module makes a table of them.

A rule is one function with the clause of the standard it comes from. Its name is its code, the first line of its
docstring is the sentence that is true of a derived series that keeps it, and what it returns is what is wrong, or None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dlp_lab.conformance.findings import Finding
from dlp_lab.conformance.pair import DerivedSlice, Form, Pair

SliceCheck = Callable[[DerivedSlice, Pair], str | None]
SeriesCheck = Callable[[Pair], str | None]

ALL: tuple[Form, ...] = ("series", "multiframe", "parametric_map")
ONE_FILE: tuple[Form, ...] = ("multiframe", "parametric_map")
INTEGERS: tuple[Form, ...] = ("series", "multiframe")


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        code: Stable name.
        sentence: What is true when it is kept.
        clause: Where the standard says so.
        find: What is wrong in a pair of series.
        forms: The kinds of result that it is about.
    """

    code: str
    sentence: str
    clause: str
    find: Callable[[Pair], Iterator[Finding]]
    forms: Sequence[Form] = ALL


class RuleTable(list[Rule]):
    """Rules of one module, in the order in which they are written."""

    def each_slice(self, clause: str, forms: Sequence[Form] = ALL) -> Callable[[SliceCheck], SliceCheck]:
        """Add a rule that looks at one derived slice, or frame, after the other."""

        def add(check: SliceCheck) -> SliceCheck:
            code = code_of(check)

            def find(pair: Pair) -> Iterator[Finding]:
                for slice_ in pair.derived:
                    wrong = answer_of(lambda slice_=slice_: check(slice_, pair))  # type: ignore[misc]
                    if wrong:
                        yield Finding("rules", code, slice_.name, wrong)

            self.append(Rule(code, sentence_of(check), clause, find, forms))
            return check

        return add

    def whole_series(self, clause: str, forms: Sequence[Form] = ALL) -> Callable[[SeriesCheck], SeriesCheck]:
        """Add a rule about all slices together."""

        def add(check: SeriesCheck) -> SeriesCheck:
            code = code_of(check)

            def find(pair: Pair) -> Iterator[Finding]:
                wrong = answer_of(lambda: check(pair))
                if wrong:
                    yield Finding("rules", code, None, wrong)

            self.append(Rule(code, sentence_of(check), clause, find, forms))
            return check

        return add


def answer_of(check: Callable[[], str | None]) -> str | None:
    """What a rule says; that a value cannot be understood where it is so."""
    try:
        return check()
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # a value that cannot be understood breaks the rule that needs it, and must not hide what the others find
        return f"a value that the rule needs cannot be understood ({type(error).__name__})"


def code_of(check: Callable[..., object]) -> str:
    """The name of a rule: that of its function."""
    return check.__name__.replace("_", "-")


def sentence_of(check: Callable[..., object]) -> str:
    """What is true where a rule is kept: the first line of its docstring."""
    return (check.__doc__ or "").splitlines()[0]
