"""Options of the backend, under the names of Chipmunk's config file; the schema of conf/backend/column_sparse.yaml.

Defaults are those of its FLUX file unless a docstring says otherwise. Keys without meaning here: offloading.* and
should_compress_indices (where and how state is stored), is_fp8 (dead), pad_qkv_before_kernel (write counts_multiple_of: 128),
attn.random_keys, local_voxels and local_1d_window (video), step_caching.* (a mode, not a backend),
num_model_invocations_per_inference_step, generation_index and steps (they feed a process-wide counter that is not needed
where state belongs to a generation and branches to rows), should_profile, world_size.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from sdaccel.errors import BadInput, at_least
from sdaccel.generators.base import Cost
from sdaccel.registry import configurable, name_of
from sdaccel.strategies.base import backend
from sdaccel.strategies.column_sparse.attention import FORMS, column_count
from sdaccel.strategies.column_sparse.cost import macs_beyond_dense
from sdaccel.strategies.column_sparse.memory import state_bytes
from sdaccel.strategies.column_sparse.operators import SparseOperators

HERE = __name__


@configurable(group="column_sparse", name="attention")
@dataclass(frozen=True)
class SparseAttention:
    """Attention of queries in groups to columns chosen per head and group."""

    is_enabled: bool = True
    top_keys: float = 0.165
    """Columns of a group as a fraction of all tokens."""
    counts_multiple_of: int = 112
    """Their number is rounded to a multiple of this, half to even."""
    mbm: int = 192
    """Queries of a group: consecutive tokens, text first."""
    form: str = "lse_merge"
    """How the columns outside the choice enter: lse_merge (exact while they do not change) or delta (upstream)."""
    follow_values: bool = False
    """Move the remainder of lse_merge with the mean value of the columns outside the choice; delta does so on its own."""
    column_mass: str = "current"
    """Partition functions that turn logits into the probabilities columns are chosen by: of the `current` step, or of the
    `previous` choice (upstream)."""
    recompute_mask: bool = False
    """Choose columns anew at every full step, not only at the second real forward."""
    full_step_every: int = 10
    """Full again once a multiple of this many denoise steps is reached."""
    full_step_schedule: list[int] | None = None
    """These denoise steps instead of a period. The first two real forwards are full in any case."""
    first_n_dense_layers: int = 2
    """Layers in front that stay as the model has them."""
    _target_: str = f"{HERE}.SparseAttention"

    def count(self, tokens: int) -> int:
        """Columns of a group."""
        return column_count(tokens, top_keys=self.top_keys, multiple=self.counts_multiple_of)


@configurable(group="column_sparse", name="mlp")
@dataclass(frozen=True)
class SparseMlp:
    """MLPs of image tokens in double blocks and of all tokens in single blocks: some neurons are recomputed per group."""

    is_enabled: bool = True
    top_keys: float = 0.3
    """Fraction of neurons at or above the threshold of their group."""
    random_keys: float = 0.0
    """Probability of keeping a neuron whatever its score; upstream 0.05."""
    counts_multiple_of: int = 256
    """Numbers of neurons are filled up to a multiple of this."""
    fixed_count: int | None = None
    """So many neurons for every group in place of threshold, random ones and filling up."""
    quantile_sample: int = 1024
    """The threshold is taken from the first neurons only, so many."""
    mbm: int = 128
    """Tokens of a group (upstream also calls it bm)."""
    full_step_every: int = 10
    """Full again once a multiple of this many denoise steps is reached."""
    block_mask_cache: int = 2
    """After the first ten real forwards, neurons are chosen anew at every so many-th."""
    first_n_dense_layers: int = 2
    """Layers in front that stay as the model has them."""
    _target_: str = f"{HERE}.SparseMlp"


@configurable(group="column_sparse", name="patchify")
@dataclass(frozen=True)
class Patchify:
    """Order of image tokens: chunks row by row, and sub-chunks within."""

    is_enabled: bool = True
    chunk_size_1: int = 8
    """Tokens of a chunk's side."""
    chunk_size_2: int = 4
    """Tokens of a sub-chunk's side."""
    _target_: str = f"{HERE}.Patchify"


@backend(name="column_sparse")
@dataclass(frozen=True)
class ColumnSparse:
    """Sparse attention and MLP between full steps."""

    attn: SparseAttention = field(default_factory=SparseAttention)
    mlp: SparseMlp = field(default_factory=SparseMlp)
    patchify: Patchify = field(default_factory=Patchify)

    def check(self, generator: Any) -> None:
        if generator.seam != "denoise":
            raise BadInput(f"backend column_sparse needs a flow transformer, not {name_of(generator)}; use backend=dense.")
        if generator.refuses_operators:
            raise BadInput(f"{generator.refuses_operators} for backend column_sparse.")
        self._check_whole_numbers()
        for name, fraction in (("attn.top_keys", self.attn.top_keys), ("mlp.top_keys", self.mlp.top_keys)):
            if not 0 < fraction <= 1:
                raise BadInput(f"backend.{name}={fraction} must lie in (0, 1], a fraction of all columns.")
        if not 0 <= self.mlp.random_keys <= 1:
            raise BadInput(f"backend.mlp.random_keys={self.mlp.random_keys} must lie in [0, 1], a probability.")
        for name, word, known in (
            ("form", self.attn.form, list(FORMS)),
            ("column_mass", self.attn.column_mass, ["current", "previous"]),
        ):
            if word not in known:
                raise BadInput(f"backend.attn.{name}={word} is unknown; choose one of {', '.join(known)}.")
        self._check_columns(generator.tokens + generator.text_tokens)

    def _check_whole_numbers(self) -> None:
        sizes = ("counts_multiple_of", "mbm", "full_step_every")
        at_least(1, self.attn, *sizes, where="backend.attn")
        at_least(1, self.mlp, *sizes, "quantile_sample", "block_mask_cache", "fixed_count", where="backend.mlp")
        at_least(1, self.patchify, "chunk_size_1", "chunk_size_2", where="backend.patchify")
        for half in ("attn", "mlp"):
            at_least(0, getattr(self, half), "first_n_dense_layers", where=f"backend.{half}")
        if (first := min(self.attn.full_step_schedule or [0])) < 0:
            raise BadInput(f"backend.attn.full_step_schedule={first} must be at least 0.")

    def _check_columns(self, tokens: int) -> None:
        a, p = self.attn, self.patchify
        if p.chunk_size_1 % p.chunk_size_2:
            raise BadInput(f"backend.patchify.chunk_size_2={p.chunk_size_2} must divide chunk_size_1={p.chunk_size_1}.")
        if a.is_enabled and a.count(tokens) == 0:
            raise BadInput(
                f"backend.attn.top_keys={a.top_keys} of {tokens} tokens rounds to no column at "
                f"counts_multiple_of={a.counts_multiple_of}; "
                f"set backend.attn.counts_multiple_of={max(1, int(a.top_keys * tokens))} or less."
            )

    def layers_of(self, half: str, layers: int) -> range:
        """Of so many layers, those whose `attn` or `mlp` is sparse."""
        options = getattr(self, half)
        return range(min(options.first_n_dense_layers, layers), layers if options.is_enabled else 0)

    def macs(self, generator: Any, cost: Cost, kinds: Sequence[str]) -> list[float]:
        beyond = macs_beyond_dense(self, generator, kinds)
        return [dense + more for dense, more in zip(cost.macs_of(kinds), beyond, strict=True)]

    def state_bytes(self, generator: Any, itemsize: int) -> int:
        return state_bytes(self, generator, itemsize)

    def start(self, *, layers: int, grid: Sequence[int], seeds: Tensor) -> SparseOperators:
        return SparseOperators(self, layers=layers, grid=grid, seeds=seeds)
