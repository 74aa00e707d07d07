"""The schedule of a strip holds every plane that is wanted, when it is wanted."""

from __future__ import annotations

from typing import get_args

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dlp_lab.kernels.edges import BEYOND, EdgeMode, inside, plain_mode
from dlp_lab.kernels.strip_plan import StripPlan


def plan(planes, reach, at_once, mode="mirror"):
    weights = np.ones(2 * reach + 1, np.float32)
    one = np.ones(1, np.float32)
    return StripPlan((weights, one, one), mode, (planes, 40, 50), 16, at_once)


@given(st.integers(1, 60), st.integers(0, 59), st.integers(1, 32), st.sampled_from(get_args(EdgeMode)))
def test_each_tap_finds_its_plane_in_its_slot(planes, reach, at_once, mode):
    made = plan(planes, reach, at_once, mode)
    schedule, window = made.schedule, {made.slots: BEYOND}
    taps = inside(np.arange(-reach, planes + reach), planes, mode)
    assert made.steps == len(schedule.fill_ends) - 1
    for step in range(made.steps):
        for n in range(schedule.fill_ends[step], schedule.fill_ends[step + 1]):
            window[int(schedule.fill_slots[n])] = int(schedule.fill_planes[n])
        seen = slice(step * at_once, min(planes, (step + 1) * at_once) + 2 * reach)
        assert [window[slot] for slot in schedule.slots_of_taps[seen].tolist()] == taps[seen].tolist()
    assert window.pop(made.slots) == BEYOND
    assert all(0 <= slot < made.slots for slot in window)


def test_a_plane_is_filled_once_but_for_those_that_wrap_round():
    for mode in get_args(EdgeMode):
        again = 10 if plain_mode(mode) == "wrap" else 0
        assert len(plan(40, 5, 4, mode).schedule.fill_planes) == 40 + again


def test_rows_of_a_strip_are_told_in_whole_blocks_with_their_neighbours():
    weights = np.ones(5, np.float32)
    made = StripPlan((weights, weights, weights), "nearest", (9, 20, 3), 16, 4)
    assert made.places_of_rows(slice(16, 20)).tolist() == [14, 15, 16, 17, 18, *[19] * 15]
    assert made.places_of_columns.tolist() == [0, 0, 0, 1, 2, 2, 2]
