"""The estimate that is printed before a run is what the operators really hold."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console
from torch import Tensor

from sdaccel.strategies.column_sparse.operators import SparseOperators
from sdaccel.strategies.column_sparse.options import ColumnSparse
from tests.generators.flux.tiny import CPU, TINY
from tests.strategies.column_sparse.tiny import HALVES, SPARSE, generate

COUNTED = replace(SPARSE.mlp, fixed_count=12)
STATES = {
    "attn": HALVES["attn"],
    "follow": replace(HALVES["attn"], attn=replace(SPARSE.attn, follow_values=True)),
    "mlp": replace(HALVES["mlp"], mlp=COUNTED),
    "both, later layers": replace(
        SPARSE, attn=replace(SPARSE.attn, first_n_dense_layers=1), mlp=replace(COUNTED, first_n_dense_layers=2)
    ),
}


def held(node: Any) -> dict[int, int]:
    """Storage -> bytes of every tensor under an object's attributes."""
    if isinstance(node, Tensor):
        return {node.untyped_storage().data_ptr(): node.untyped_storage().nbytes()}
    inner = list(node.values()) if isinstance(node, dict) else list(node) if isinstance(node, tuple) else []
    inner += list(vars(node).values()) if hasattr(node, "options") and not isinstance(node, SparseOperators) else []
    return {place: size for part in inner for place, size in held(part).items()}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("backend", STATES.values(), ids=STATES)
def test_the_estimate_is_what_the_operators_hold(backend: ColumnSparse, dtype: str) -> None:
    made: list[SparseOperators] = []

    class Weighed(ColumnSparse):
        def start(self, *, layers: int, grid: Sequence[int], seeds: Tensor) -> SparseOperators:
            made.append(super().start(layers=layers, grid=grid, seeds=seeds))
            return made[-1]

    generator = replace(TINY, dtype=dtype)
    generate(generator.build(CPU), Weighed(backend.attn, backend.mlp, backend.patchify))
    seen = [sum((held(operators.attention) | held(operators.mlp)).values()) for operators in made]
    assert seen == [2 * backend.state_bytes(generator, 2 if dtype == "bfloat16" else 4)], "of two samples"


def test_branches_have_states_of_their_own() -> None:
    assert SPARSE.state_bytes(replace(TINY, true_cfg=2.0), 4) == 2 * SPARSE.state_bytes(TINY, 4)


def test_the_estimate_of_a_run_counts_it(tmp_path: Any) -> None:
    from sdaccel.studies.estimate import describe
    from tests.studies.frame import plan

    console = Console(record=True, width=200, quiet=True)
    with console.capture() as shown:
        console.quiet = False
        describe(plan("backend=column_sparse", "data.batch_size=64", output=tmp_path), console)
    lines = {line.split(":")[0]: line for line in shown.get().splitlines() if "MiB" in line}
    dense, sparse = (int(lines[name].rpartition(",")[2].split()[0]) for name in ("baseline", "run"))
    assert sparse > dense
