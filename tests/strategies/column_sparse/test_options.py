"""Configuration files and bad input of the backend."""

from dataclasses import replace
from pathlib import Path

import pytest

from sdaccel.errors import BadInput
from sdaccel.strategies.column_sparse.options import ColumnSparse, SparseAttention, SparseMlp
from tests.generators.flux.tiny import TINY
from tests.studies.frame import plan, run

FLUX_DEV = replace(TINY, height=1024, width=1024, vae_widths=[8, 8, 8, 8], text_tokens=512)
PUBLISHED = ColumnSparse()


def test_the_published_sizes_of_flux_dev() -> None:
    assert FLUX_DEV.tokens + FLUX_DEV.text_tokens == 4608
    assert PUBLISHED.attn.count(4608) == 784
    PUBLISHED.check(FLUX_DEV)


@pytest.mark.parametrize("name", ["column_sparse", "column_sparse_attn", "column_sparse_mlp"])
def test_a_run_from_the_command_line(name: str, tmp_path: Path) -> None:
    paired = run(f"backend={name}", "data.limit=1", output=tmp_path).arms["run"].paired
    assert paired and paired.identical == 0, "it is not the dense run"
    backend = plan(f"backend={name}", output=tmp_path).arms[1].backend
    assert [backend.attn.is_enabled, backend.mlp.is_enabled] == [name != "column_sparse_mlp", name != "column_sparse_attn"]


def test_the_published_file_is_the_dataclass_with_upstreams_formulas(tmp_path: Path) -> None:
    overrides = ["backend=chipmunk", "backend.attn.counts_multiple_of=8"]
    made = plan(*overrides, output=tmp_path).arms[1].backend
    assert made == ColumnSparse(
        SparseAttention(form="delta", column_mass="previous", counts_multiple_of=8), SparseMlp(random_keys=0.05)
    )


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["backend=chipmunk"],
            r"top_keys=0\.165 of 72 tokens rounds to no column at counts_multiple_of=112; set .*=11 or less",
        ),
        (["backend=column_sparse", "backend.attn.top_keys=0"], r"attn\.top_keys=0\.0 must lie in \(0, 1\]"),
        (["backend=column_sparse", "backend.mlp.top_keys=1.5"], r"mlp\.top_keys=1\.5 must lie in \(0, 1\]"),
        (["backend=column_sparse", "backend.mlp.random_keys=-1"], r"random_keys=-1\.0 must lie in \[0, 1\]"),
        (["backend=column_sparse", "backend.attn.mbm=0"], r"attn\.mbm=0 must be at least 1"),
        (["backend=column_sparse", "backend.mlp.full_step_every=0"], r"mlp\.full_step_every=0 must be at least 1"),
        (["backend=column_sparse", "backend.mlp.fixed_count=0"], r"fixed_count=0 must be at least 1"),
        (["backend=column_sparse", "backend.attn.full_step_schedule=[0,-4]"], r"full_step_schedule=-4 must be at least 0"),
        (["backend=column_sparse", "backend.attn.form=sum"], "form=sum is unknown; choose one of lse_merge, delta"),
        (
            ["backend=column_sparse", "backend.attn.column_mass=now"],
            "column_mass=now is unknown; choose one of current, previous",
        ),
        (["backend=column_sparse", "backend.patchify.chunk_size_2=3"], "chunk_size_2=3 must divide chunk_size_1=8"),
        (
            ["backend=column_sparse", "backend.attn.top_key=1"],
            "attention has no key 'top_key'; did you mean top_keys",
        ),
        (["backend=column_sparse", "generator.engine=compiled"], "compiles blocks whole .* write generator.engine=eager"),
        (["backend=column_sparse", "generator=var_tiny", "data.labels=[1]"], "needs a flow transformer, not var"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(overrides: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=message) as error:
        plan(*overrides, output=tmp_path)
    assert "\n" not in str(error.value)
