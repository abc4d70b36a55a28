"""Planted bugs and observers: what a study may put onto an arm's strategy, by name.

Both live beside the strategy or seam they belong to, say what they apply to, and are found by importing the package.

    @mutant(of=Forecast, needs="a forecasting strategy")
    @contextmanager
    def sign_flip(runtime, strategy): ...            # the strategy with its bug; at the end the model is as it was found

    @observer(name="audit")
    class Audited: ...                               # Audited(strategy, honest): the same output, and arrays of its own
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sdaccel.errors import BadInput
from sdaccel.registry import Named, home_of, name_of
from sdaccel.strategies.base import Declares, Rule

Plant = Callable[[Any, Any], AbstractContextManager[Any]]
"""(runtime, strategy) -> a context that holds the strategy with its bug."""


@dataclass(frozen=True)
class Mutant:
    """A bug to plant."""

    plant: Plant
    of: type
    """Class of the strategies it applies to."""
    needs: str
    """The same in words."""
    backend: type | None
    """Class of the backends it applies to; None: any."""

    def check(self, name: str, where: str, *, strategy: Any, backend: Any) -> None:
        """Raise BadInput for an arm that the bug cannot befall."""
        if not isinstance(strategy, self.of):
            raise BadInput(f"{where}: mutant {name} needs {self.needs}, not {name_of(strategy)}.")
        if self.backend is not None and not isinstance(backend, self.backend):
            raise BadInput(f"{where}: mutant {name} needs backend {name_of(self.backend)}, not {name_of(backend)}.")


class Observer(Protocol):
    """A strategy under watch: it starts rules with the output of the strategy's own and with arrays of its own."""

    def __init__(self, strategy: Any, honest: Any) -> None:
        """`strategy` may have a bug, `honest` is what it should be."""

    @property
    def declares(self) -> Declares: ...

    def start(self, seam: Any, *, steps: int) -> Rule: ...

    @staticmethod
    def check(where: str, *, strategy: Any, generator: Any) -> None:
        """Raise BadInput for an arm with nothing to watch."""
        ...


MUTANTS: Named[Mutant] = Named("mutant")
OBSERVERS: Named[type[Observer]] = Named("observer")

P = TypeVar("P", bound=Plant)
K = TypeVar("K", bound=type)


def mutant(*, of: type, needs: str, backend: type | None = None) -> Callable[[P], P]:
    """Register a bug under its function's name."""

    def store(plant: P) -> P:
        MUTANTS.add(plant.__name__, Mutant(plant, of, needs, backend), home=home_of(plant))
        return plant

    return store


def observer(*, name: str) -> Callable[[K], K]:
    """Register an observer."""

    def store(cls: K) -> K:
        OBSERVERS.add(name, cls, home=home_of(cls))
        return cls

    return store
