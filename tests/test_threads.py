"""`mapped` is `map`: in order, lazy, and what goes wrong is raised where its result would have stood."""

import threading
import time

import pytest

from sdaccel.threads import AHEAD, WORKERS, mapped


def test_results_stand_in_the_order_of_the_items_whatever_takes_longest() -> None:
    def slow(i: int) -> int:
        time.sleep(0.002 * (i % 3))
        return i * i

    assert list(mapped(slow, range(200))) == [i * i for i in range(200)]
    assert list(mapped(slow, [])) == []


def test_no_more_than_a_few_results_wait_and_nothing_runs_after_the_reader_stops() -> None:
    taken: list[int] = []
    lock = threading.Lock()

    def note(i: int) -> int:
        with lock:
            taken.append(i)
        return i

    results = mapped(note, range(10_000))
    assert next(results) == 0
    time.sleep(0.05)
    assert len(taken) <= AHEAD + WORKERS + 1
    results.close()  # type: ignore[attr-defined]
    seen = len(taken)
    time.sleep(0.05)
    assert len(taken) == seen


def test_an_error_is_raised_behind_the_results_before_it() -> None:
    results = mapped(lambda i: 1 // (i - 2), range(5))
    assert [next(results), next(results)] == [-1, -1]
    with pytest.raises(ZeroDivisionError):
        next(results)
