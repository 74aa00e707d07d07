"""Controls for the parameters of a task. Each is a widget with `value`, a JSON value, which observers can follow."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator
from typing import Any

import ipywidgets as widgets
import traitlets

from dlp_lab.widgets.parameter import Parameter, slider_range

_AXES = ("slice", "row", "column")


class _SetFromOutside:
    """Tells a control's own observers that it is being set, so that its parts are not taken for what is entered."""

    def __init__(self) -> None:
        self.is_on = False

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        self.is_on = True
        try:
            yield
        finally:
            self.is_on = False


def control_of(parameter: Parameter) -> Any:
    """The control that asks for a parameter, showing its default; never None, so that observers need not ask."""
    if parameter.may_be_none:
        return OptionalControl(parameter)
    return _plain_control(parameter, parameter.default)


def _plain_control(parameter: Parameter, default: Any) -> Any:
    tooltip = parameter.description
    match parameter.kind:
        case "choice":
            chosen = default if default in parameter.choices else parameter.choices[0]
            options = [(str(choice) or "(none)", choice) for choice in parameter.choices]
            return widgets.Dropdown(options=options, value=chosen, tooltip=tooltip)
        case "boolean":
            return widgets.Checkbox(value=bool(default), indent=False, tooltip=tooltip)
        case "integer" | "number":
            start = parameter.least or 0.0
            return NumberControl(parameter, start if default is None else default)
        case "numbers":
            return NumbersControl(parameter, parameter.least or 0.0 if default is None else default)
        case "text":
            return widgets.Text(value=default or "", tooltip=tooltip)
    return JsonControl(default, tooltip)


class NumberControl(widgets.HBox):  # type: ignore[misc]
    """A slider over the ordinary values, and a box for all that are allowed, which widens it."""

    value = traitlets.Union([traitlets.Int(), traitlets.Float()])

    def __init__(self, parameter: Parameter, value: float, label: str = "") -> None:
        is_whole = parameter.kind == "integer"
        self._parameter = parameter
        self._number = int if is_whole else float
        ends = slider_range(parameter, value)
        make_slider, make_box = (
            (widgets.IntSlider, widgets.IntText) if is_whole else (widgets.FloatSlider, widgets.FloatText)
        )
        low, high, step = (self._number(end) for end in (ends.low, ends.high, ends.step))
        self._slider = make_slider(
            value=value,
            min=min(low, value),
            max=max(high, value),
            step=step,
            readout=False,
            tooltip=parameter.description,
            layout=widgets.Layout(flex="1 1 auto", width="auto", min_width="80px"),
        )
        self._box = make_box(
            value=value, step=step, continuous_update=True, layout=widgets.Layout(width="80px", flex="0 0 auto")
        )
        parts = [self._slider, self._box]
        if label:
            parts.insert(0, widgets.Label(label, layout=widgets.Layout(width="54px")))
        if parameter.unit:
            parts.append(widgets.Label(parameter.unit))
        super().__init__(parts, value=self._number(value))
        self._slider.observe(self._entered, "value")
        self._box.observe(self._entered, "value")
        self.observe(self._show, "value")

    @traitlets.validate("value")
    def _number_only(self, proposal: Any) -> Any:
        """NaN is no number, nor equal to itself: slider, box and value would tell each other of it for ever."""
        _check_number(proposal.value)
        return proposal.value

    def _entered(self, change: Any) -> None:
        self.value = change.new

    def _show(self, change: Any) -> None:
        """Bring slider and box to the value; a slider goes on only to where values are allowed."""
        value = change.new
        least, greatest = self._parameter.least, self._parameter.greatest
        if value > self._slider.max and (greatest is None or value <= greatest):
            self._slider.max = value
        if value < self._slider.min and (least is None or value >= least):
            self._slider.min = value
        if self._slider.min <= value <= self._slider.max:
            self._slider.value = value
        self._box.value = value


def _check_number(value: object) -> None:
    try:
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
    except OverflowError:  # an int that no float holds
        is_number = False
    if not is_number:
        raise traitlets.TraitError(f"{str(value)[:80]} is no number that can be shown")


class NumbersControl(widgets.VBox):  # type: ignore[misc]
    """One number for all axes, or one for each."""

    value = traitlets.Any()

    def __init__(self, parameter: Parameter, value: float | list[float]) -> None:
        count = parameter.count
        labels = _AXES if count == len(_AXES) else tuple(f"{n + 1}" for n in range(count))
        numbers = value if isinstance(value, list) else [value] * count
        self._one = NumberControl(parameter, numbers[0])
        self._each = [NumberControl(parameter, number, label) for number, label in zip(numbers, labels, strict=True)]
        self._is_each = widgets.Checkbox(value=isinstance(value, list), description="each axis by itself", indent=False)
        self._setting = _SetFromOutside()
        super().__init__([self._one, *self._each, self._is_each], value=value)
        for control in (self._one, *self._each, self._is_each):
            control.observe(self._entered, "value")
        self.observe(self._show, "value")
        self._arrange()

    @traitlets.validate("value")
    def _number_or_one_for_each(self, proposal: Any) -> Any:
        numbers = proposal.value if isinstance(proposal.value, list) else [proposal.value] * len(self._each)
        for number in numbers:
            _check_number(number)
        if len(numbers) != len(self._each):
            raise traitlets.TraitError(f"it is one number or {len(self._each)}; got {len(numbers)}")
        return proposal.value

    def _entered(self, change: Any) -> None:
        if self._setting.is_on:
            return
        if change.owner is self._is_each and change.new:
            with self._setting():
                for control in self._each:
                    control.value = self._one.value
        self._arrange()
        self.value = [control.value for control in self._each] if self._is_each.value else self._one.value

    def _show(self, change: Any) -> None:
        numbers = change.new
        with self._setting():
            self._is_each.value = isinstance(numbers, list)
            shown = zip(self._each, numbers, strict=True) if isinstance(numbers, list) else [(self._one, numbers)]
            for control, number in shown:
                control.value = number
        self._arrange()

    def _arrange(self) -> None:
        self._one.layout.display = "none" if self._is_each.value else ""
        for control in self._each:
            control.layout.display = "" if self._is_each.value else "none"


class OptionalControl(widgets.HBox):  # type: ignore[misc]
    """A tick that says whether there is a value, and the control of the value."""

    value = traitlets.Any()

    def __init__(self, parameter: Parameter) -> None:
        self._given = widgets.Checkbox(
            value=parameter.default is not None,
            indent=False,
            tooltip="whether a value is given",
            layout=widgets.Layout(width="24px"),
        )
        self._inner = _plain_control(parameter, parameter.default)
        self._setting = _SetFromOutside()
        super().__init__([self._given, self._inner], value=parameter.default)
        self._given.observe(self._entered, "value")
        self._inner.observe(self._entered, "value")
        self.observe(self._show, "value")
        self._arrange()

    def _entered(self, change: Any) -> None:
        if not self._setting.is_on:
            self.value = self._inner.value if self._given.value else None
            self._arrange()

    def _show(self, change: Any) -> None:
        with self._setting():
            self._given.value = change.new is not None
            if change.new is not None:
                self._inner.value = change.new
        self._arrange()

    def _arrange(self) -> None:
        self._inner.layout.visibility = "visible" if self._given.value else "hidden"


class JsonControl(widgets.HBox):  # type: ignore[misc]
    """A line of JSON. What is none is passed on as text, so that the task says what it takes."""

    value = traitlets.Any()

    def __init__(self, value: Any, tooltip: str) -> None:
        self._text = widgets.Text(value=json.dumps(value), tooltip=tooltip)
        super().__init__([self._text], value=value)
        self._text.observe(self._entered, "value")
        self.observe(self._show, "value")

    def _entered(self, change: Any) -> None:
        self.value = _decoded(change.new)

    def _show(self, change: Any) -> None:
        if _decoded(self._text.value) != change.new:
            self._text.value = json.dumps(change.new)


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # the latter for thousands of brackets
        return text
