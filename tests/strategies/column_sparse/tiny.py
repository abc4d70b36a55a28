"""The tiny FLUX of the generator's tests under sparse operators: 32 image tokens and 8 of text in groups of 16."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from sdaccel.conditions import Batch
from sdaccel.generators.base import Generation
from sdaccel.generators.flux.engine import Modules
from sdaccel.generators.flux.generator import FluxRuntime
from sdaccel.strategies.column_sparse.operators import SparseOperators
from sdaccel.strategies.column_sparse.options import ColumnSparse, Patchify, SparseAttention, SparseMlp
from sdaccel.strategies.plain import Original
from tests.generators.flux.tiny import batch

ATTN = SparseAttention(top_keys=0.2, mbm=16, counts_multiple_of=4, full_step_every=5, first_n_dense_layers=0)
MLP = SparseMlp(top_keys=0.2, mbm=16, counts_multiple_of=4, full_step_every=5, first_n_dense_layers=0)
SPARSE = ColumnSparse(ATTN, MLP, Patchify(chunk_size_1=4, chunk_size_2=2))
OFF: dict[str, Any] = {"is_enabled": False}
HALVES = {
    "both": SPARSE,
    "attn": replace(SPARSE, mlp=replace(MLP, **OFF)),
    "mlp": replace(SPARSE, attn=replace(ATTN, **OFF)),
    "later layers": replace(SPARSE, attn=replace(ATTN, first_n_dense_layers=1), mlp=replace(MLP, first_n_dense_layers=2)),
}


ORIGINAL = Original()


def generate(runtime: FluxRuntime, backend: Any = SPARSE, strategy: Any = ORIGINAL, wanted: Batch | None = None) -> Generation:
    return runtime.generate(wanted or batch(), backend=backend, strategy=strategy, keep=["latents"])


@contextmanager
def opened(runtime: FluxRuntime, options: ColumnSparse = SPARSE, seeds: Sequence[int] = (1, 2)) -> Iterator[SparseOperators]:
    """The operators in place, as a generation has them."""
    engine = Modules(runtime.transformer)
    operators = options.start(layers=engine.doubles + engine.singles, grid=(4, 8), seeds=torch.tensor(seeds))
    with engine.serving(operators):
        yield operators
