"""The schedule of a strip holds every plane that is wanted, when it is wanted."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_lab.kernels.edges import BEYOND, EdgeMode, inside, plain_mode
from dlp_lab.kernels.strip_plan import StripPlan, WindowOrder


def plan(planes, reach, at_once, mode="mirror"):
    weights = np.ones(2 * reach + 1, np.float32)
    one = np.ones(1, np.float32)
    return StripPlan((weights, one, one), mode, (planes, 40, 50), 16, at_once)


@given(st.integers(1, 60), st.integers(0, 59), st.integers(1, 32), st.sampled_from(get_args(EdgeMode)))
def test_each_tap_finds_its_plane_in_its_slot(planes, reach, at_once, mode):
    made = plan(planes, reach, at_once, mode)
    schedule, window = WindowOrder(made).take(planes), {made.slots: BEYOND}
    taps = inside(np.arange(-reach, planes + reach), planes, mode)
    for step in range(schedule.steps):
        for n in range(schedule.fill_ends[step], schedule.fill_ends[step + 1]):
            window[int(schedule.fill_slots[n])] = int(schedule.fill_planes[n])
        seen = slice(step * at_once, min(planes, (step + 1) * at_once) + 2 * reach)
        assert [window[slot] for slot in schedule.slots_of_taps[seen].tolist()] == taps[seen].tolist()
    assert window.pop(made.slots) == BEYOND
    assert all(0 <= slot < made.slots for slot in window)


def test_a_plane_is_filled_once_but_for_those_that_wrap_round():
    for mode in get_args(EdgeMode):
        again = 10 if plain_mode(mode) == "wrap" else 0
        assert len(WindowOrder(plan(40, 5, 4, mode)).take(40).fill_planes) == 40 + again


def test_rows_of_a_strip_are_told_in_whole_blocks_with_their_neighbours():
    weights = np.ones(5, np.float32)
    made = StripPlan((weights, weights, weights), "nearest", (9, 20, 3), 16, 4)
    assert made.places_of_rows(slice(16, 20)).tolist() == [14, 15, 16, 17, 18, *[19] * 15]
    assert made.places_of_columns.tolist() == [0, 0, 0, 1, 2, 2, 2]


@given(
    planes=st.integers(1, 60),
    reach=st.integers(0, 59),
    at_once=st.integers(1, 32),
    thickness=st.integers(1, 40),
    mode=st.sampled_from(["nearest", "reflect", "mirror"]),
)
def test_each_tap_finds_its_plane_also_where_planes_come_slab_by_slab(planes, reach, at_once, thickness, mode):
    reach = min(reach, planes - 1)
    made = plan(planes, reach, at_once, mode)
    taps, order, window = inside(np.arange(-reach, planes + reach), planes, mode), WindowOrder(made), {}
    while order.made < planes:
        taken, first = order.taken, order.made
        coming = min(planes, first + thickness + reach) - taken
        stop = order.made_with(coming)
        schedule = order.take(coming)
        assert (order.taken, order.made) == (taken + coming, stop)
        assert stop == (planes if order.taken == planes else first + thickness)
        for step in range(schedule.steps):
            for n in range(schedule.fill_ends[step], schedule.fill_ends[step + 1]):
                assert 0 <= schedule.fill_planes[n] < coming
                window[int(schedule.fill_slots[n])] = taken + int(schedule.fill_planes[n])
            k = first + step * at_once
            seen = slice(k, min(k + at_once, stop) + 2 * reach)
            slots = schedule.slots_of_taps[k - first : seen.stop - first]
            assert [window[slot] for slot in slots.tolist()] == taps[seen].tolist()
    assert all(0 <= slot < made.slots for slot in window)


def test_planes_of_which_nothing_can_be_made_are_refused():
    for mode, coming in (("nearest", 5), ("wrap", 39)):
        with pytest.raises(ValueError, match=f"of {coming} planes after 0 of the volume no plane"):
            WindowOrder(plan(40, 5, 4, mode)).take(coming)
