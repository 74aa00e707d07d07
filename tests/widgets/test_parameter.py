"""What a form makes of the JSON Schema of a task."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import pytest
from msgspec import Meta

from dlp_lab.tasks import task_named
from dlp_lab.tasks.task import Task
from dlp_lab.widgets.controls import control_of
from dlp_lab.widgets.parameter import Parameter, parameters_of, slider_range


class Odd(Task, frozen=True):
    """Has a parameter of each kind."""

    name: ClassVar[str] = "odd"
    title: ClassVar[str] = "Odd"

    passes: Annotated[int, Meta(ge=1, le=9)] = 2
    level: float = -40.0
    is_fast: bool = True
    label: str = "a"
    edge: Literal["near", "far"] = "far"
    limit: Annotated[float, Meta(gt=0)] | None = None
    side: Literal["left", "right"] | None = "left"
    pairs: tuple[tuple[int, int], ...] = ()


ODD = {one.name: one for one in parameters_of(Odd.json_schema())}


def test_each_parameter_has_the_kind_of_its_type() -> None:
    kinds = {name: one.kind for name, one in ODD.items()}
    assert kinds == {
        "passes": "integer",
        "level": "number",
        "is_fast": "boolean",
        "label": "text",
        "edge": "choice",
        "limit": "number",
        "side": "choice",
        "pairs": "json",
    }
    assert [name for name, one in ODD.items() if one.may_be_none] == ["limit", "side"]
    assert ODD["side"].choices == ("left", "right")
    assert (ODD["passes"].least, ODD["passes"].greatest) == (1, 9)
    assert (ODD["limit"].least, ODD["limit"].least_excluded) == (0, True)


def test_one_number_or_three_has_its_unit_and_the_bounds_of_each() -> None:
    sigma, *_ = parameters_of(task_named("3dblur").json_schema())
    assert (sigma.kind, sigma.label, sigma.unit, sigma.count) == ("numbers", "Sigma", "mm", 3)
    assert (sigma.least, sigma.greatest, sigma.default) == (0, 1000, 1.0)


@pytest.mark.parametrize(
    ("least", "greatest", "default", "ends"),
    [
        (0, 1000, 1.0, (0, 10, 0.1)),  # ten times as far as the default, not a thousand
        (0, 8, 1.0, (0, 8, 0.1)),
        (None, None, 0.0, (-100, 100, 1)),
        (-1e30, 1e30, 0.0, (-100, 100, 1)),
        (0, 1000, 0.0, (0, 1000, 10)),
        (None, None, -40.0, (-400, 400, 10)),
        (5, 5, 5.0, (5, 6, 0.01)),
    ],
)
def test_a_slider_goes_over_the_ordinary_values(
    least: float | None, greatest: float | None, default: float, ends: tuple[float, float, float]
) -> None:
    found = slider_range(Parameter("a", "a", "", "", "number", default, least=least, greatest=greatest), default)
    assert (found.low, found.high, found.step) == pytest.approx(ends)


def test_a_slider_does_not_offer_an_end_that_is_excluded() -> None:
    found = slider_range(Parameter("a", "a", "", "", "number", 1.0, least=0, least_excluded=True), 1.0)
    assert found.low == found.step == pytest.approx(0.1)


@pytest.mark.parametrize("name", list(ODD))
def test_a_control_first_gives_the_default(name: str) -> None:
    assert control_of(ODD[name]).value == ODD[name].default


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("passes", [9, 12]),
        ("level", [3.25, -5000.0]),
        ("limit", [2.5, None, 7.0]),
        ("side", [None, "right"]),
        ("pairs", [[[1, 2]], []]),
    ],
)
def test_a_control_can_be_set_and_gives_back_what_was_set(name: str, values: list[Any]) -> None:
    control = control_of(ODD[name])
    for value in values:
        control.value = value
        assert control.value == value


def test_one_number_becomes_three_that_are_equal_and_are_set_one_by_one() -> None:
    sigma, *_ = parameters_of(task_named("3dblur").json_schema())
    control = control_of(sigma)
    seen: list[Any] = []
    control.observe(lambda change: seen.append(change.new), "value")
    control._one.value = 2.0
    control._is_each.value = True
    control._each[2].value = 5.0
    assert seen == [2.0, [2.0, 2.0, 2.0], [2.0, 2.0, 5.0]]
    control.value = [1.0, 2.0, 3.0]
    assert seen[-1] == [1.0, 2.0, 3.0]
    assert len(seen) == 4  # nothing half set was told
    control._is_each.value = False
    assert control.value == 2.0


def test_a_number_beyond_the_slider_widens_it_but_not_beyond_what_is_allowed() -> None:
    control = control_of(Parameter("a", "a", "mm", "", "number", 1.0, least=0, greatest=1000))
    control._box.value = 250.0
    assert (control.value, control._slider.value, control._slider.max) == (250.0, 250.0, 250.0)
    control._box.value = 4000.0
    assert (control.value, control._slider.max) == (4000.0, 250.0)
