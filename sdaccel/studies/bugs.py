"""All bugs that a control may plant, by the name that `mutant` gives them."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from sdaccel.studies.mutants import MUTANTS
from sdaccel.studies.speculation_mutants import SPECULATION_MUTANTS

BUGS: dict[str, Callable[[Any, Any], AbstractContextManager[Any]]] = {**MUTANTS, **SPECULATION_MUTANTS}
