"""What fits is read once, what does not fit is streamed, and the set unused for longest makes room."""

from collections.abc import Iterator

import numpy as np

from sdaccel.studies.held import Held

IMAGE = np.arange(100, dtype=np.uint8)


class Source:
    def __init__(self, count: int) -> None:
        self.count, self.opened = count, 0

    def __call__(self) -> Iterator[np.ndarray]:
        for i in range(self.count):
            self.opened += 1
            yield IMAGE + i


def test_a_set_that_fits_is_read_once_and_is_the_same_every_time() -> None:
    held, source = Held(limit=1000), Source(5)
    first, again = (list(held.read("a", source)) for _ in range(2))
    assert source.opened == 5
    assert all(np.array_equal(x, y) for x, y in zip(first, again, strict=True))


def test_a_set_that_does_not_fit_is_streamed_every_time() -> None:
    held, source = Held(limit=1000), Source(11)
    assert len(list(held.read("a", source))) == len(list(held.read("a", source))) == 11
    assert source.opened == 22 and not held.sets


def test_the_set_unused_for_longest_makes_room() -> None:
    held, sources = Held(limit=1000), {name: Source(4) for name in "abc"}
    for name in "abaca":
        list(held.read(name, sources[name]))
    assert {name: source.opened for name, source in sources.items()} == {"a": 4, "b": 4, "c": 4}
    assert list(held.sets) == ["c", "a"]


def test_a_set_whose_reader_stopped_halfway_is_not_taken_for_whole() -> None:
    held, source = Held(limit=1000), Source(4)
    next(held.read("a", source))
    assert len(list(held.read("a", source))) == 4
