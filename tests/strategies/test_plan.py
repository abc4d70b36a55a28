"""Laws of the step plan and of the ladder that a plan allows."""

import random

import pytest

from sdaccel.strategies.forecast.plan import full_steps, ladder_length


def counted(steps: int, interval: int, first_enhance: int) -> list[bool]:
    """The published rule as a counter: full in the warm-up, and whenever interval - 1 forecasts have passed."""
    out, since = [], 0
    for step in range(steps):
        out.append(step < first_enhance or since == interval - 1)
        since = 0 if out[-1] else since + 1
    return out


@pytest.mark.parametrize("seed", range(50))
def test_the_closed_form_is_the_counter(seed: int) -> None:
    draw = random.Random(seed)
    steps, interval, first_enhance = draw.randint(1, 60), draw.randint(1, 12), draw.randint(1, 15)
    assert full_steps(steps, interval=interval, first_enhance=first_enhance) == counted(steps, interval, first_enhance)


@pytest.mark.parametrize("first_enhance", [1, 2, 3, 10, 80])
def test_interval_1_forecasts_nothing_whatever_the_warm_up(first_enhance: int) -> None:
    assert full_steps(50, interval=1, first_enhance=first_enhance) == [True] * 50


def test_50_steps_take_the_published_numbers_of_full_steps() -> None:
    counts = [sum(full_steps(50, interval=n, first_enhance=3)) for n in range(1, 11)]
    assert counts == [50, 26, 18, 14, 12, 10, 9, 8, 8, 7]


def test_the_last_step_is_a_forecast_where_the_interval_says_so() -> None:
    assert not full_steps(50, interval=6, first_enhance=3)[-1]


@pytest.mark.parametrize("seed", range(50))
def test_the_ladder_grows_as_the_recursion_grows_it(seed: int) -> None:
    draw = random.Random(seed)
    interval, first_enhance, order = draw.randint(1, 9), draw.randint(1, 10), draw.randint(0, 4)
    before, done = 0, list[int]()
    for step, full in enumerate(full_steps(40, interval=interval, first_enhance=first_enhance)):
        if not full:
            continue
        length = 1
        while length - 1 < order and length - 1 < before and step > first_enhance - 2:
            length += 1
        before = length
        done.insert(0, step)
        assert ladder_length(done, max_order=order, first_enhance=first_enhance) == length
        assert ladder_length(done[: order + 1], max_order=order, first_enhance=first_enhance) == length  # all a ring holds


def test_of_the_warm_up_only_the_last_two_steps_enter_a_forecast() -> None:
    assert [ladder_length(list(range(n)), max_order=4, first_enhance=10) for n in range(1, 11)] == [1] * 9 + [2]
