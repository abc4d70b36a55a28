"""Stages as configurations name them, by their tokens, and as arrays hold them, by their index.

v1 is VAR's map at 256 px. v2, HART's at 1024 px, keeps the indices of all lengths that both have, which leaves a hole at 5.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from sdaccel.errors import BadInput

V1 = {1: 0, 4: 1, 9: 2, 16: 3, 25: 4, 36: 5, 64: 6, 100: 7, 169: 8, 256: 9}
V2 = {1: 0, 4: 1, 9: 2, 16: 3, 25: 4, 49: 6, 81: 7, 144: 8, 256: 9, 441: 10, 729: 11, 1296: 12, 2304: 13, 4096: 14}
FIRST = 2
"""The first stage that may reuse: what is before stage 1 is a text, or a single token that every later one repeats."""


@dataclass(frozen=True)
class StageMap:
    """The stages of a model: tokens to index."""

    name: str
    index: dict[int, int]

    @cached_property
    def tokens(self) -> tuple[int, ...]:
        """Of every stage, in order."""
        return tuple(self.index)

    @property
    def columns(self) -> int:
        """Length of an array over indices, holes included."""
        return max(self.index.values()) + 1

    @property
    def may_skip(self) -> tuple[int, ...]:
        return self.tokens[FIRST:]

    @property
    def may_cache(self) -> tuple[int, ...]:
        """The stages before those."""
        return self.tokens[FIRST - 1 : -1]

    def stage(self, tokens: int) -> int:
        """Which stage has so many tokens."""
        return self.tokens.index(tokens)

    def nearest(self, tokens: int) -> int:
        """The stage length that comes nearest, the smaller of two."""
        return min(self.tokens, key=lambda own: abs(own - tokens))

    def adapted(self, tokens: Iterable[int]) -> list[int]:
        """Stages of another map by their nearest ones here, each once."""
        return sorted({self.nearest(each) for each in tokens})


MAPS = {"v1": StageMap("v1", V1), "v2": StageMap("v2", V2)}


def map_of(patch_nums: Sequence[int]) -> StageMap:
    """The published map of these sides, or one without holes for any other list."""
    lengths = [side * side for side in patch_nums]
    if len(set(lengths)) != len(lengths):
        raise BadInput(
            f"stages are named by their tokens and generator.patch_nums={list(patch_nums)} repeats a side; change it."
        )
    for known in MAPS.values():
        if list(known.tokens) == lengths:
            return known
    return StageMap("own", {length: k for k, length in enumerate(lengths)})
