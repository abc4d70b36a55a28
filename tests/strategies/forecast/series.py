"""A model whose features are polynomials of the step: what a whole forecasting run should give is known in closed form."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sdaccel.generators.flux.seam import Emit

Series = Callable[[float], float]


@dataclass
class SeriesSeam:
    """Every number of its one feature is the series at the step; what all blocks add is the feature itself."""

    series: Series
    times: list[float]
    exact: bool = True
    wide: torch.dtype = torch.float64
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    shape: tuple[int, int, int] = (2, 3, 4)
    """(B, L, D)"""

    @property
    def features(self) -> list[str]:
        return ["single.0"]

    blocks = features

    def full(self, step: int, x: Tensor, *, emit: Emit | None = None, names: Collection[str] | None = None) -> Tensor:
        value = torch.full(self.shape, self.series(step), dtype=torch.float64)
        for name in names or () if emit else ():
            emit(name, value)  # type: ignore[misc]
        return value

    def gates(self, steps: Sequence[int]) -> Tensor:
        return torch.ones((len(steps), 1, self.shape[0], self.shape[2]), dtype=torch.float64)

    def from_trunk(self, step: int, x: Tensor, added: Tensor) -> Tensor:
        return added

    from_singles = from_trunk

    def from_output(self, step: int, x: Tensor, output: Tensor) -> Tensor:
        return output

    @contextmanager
    def watched(self) -> Iterator[dict[str, Tensor]]:
        yield {}
