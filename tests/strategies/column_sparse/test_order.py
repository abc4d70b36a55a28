"""Laws of the token order."""

import pytest
import torch

from sdaccel.generators.flux.operators import in_order, in_rows
from sdaccel.strategies.column_sparse.order import patch_order

GRIDS = [(16, 16, 8, 4), (4, 8, 8, 4), (7, 13, 8, 4), (1, 5, 8, 4), (12, 6, 4, 2), (5, 3, 1, 1)]


@pytest.mark.parametrize(("rows", "columns", "outer", "inner"), GRIDS)
def test_there_and_back_is_where_it_was(rows: int, columns: int, outer: int, inner: int) -> None:
    order = patch_order(rows, columns, chunk_size_1=outer, chunk_size_2=inner)
    x = torch.randn(2, rows * columns, 3)
    assert torch.equal(in_rows(in_order(x, order, dim=1), order, dim=1), x)
    assert torch.equal(in_order(x, order, dim=1)[:, order.argsort()], x)
    assert sorted(order.tolist()) == list(range(rows * columns))


@pytest.mark.parametrize(("rows", "columns", "outer", "inner"), GRIDS)
def test_it_is_the_loops_written_out(rows: int, columns: int, outer: int, inner: int) -> None:
    wanted = [
        row * columns + column
        for top in range(0, rows, outer)
        for left in range(0, columns, outer)
        for upper in range(top, min(top + outer, rows), inner)
        for lefter in range(left, min(left + outer, columns), inner)
        for row in range(upper, min(upper + inner, top + outer, rows))
        for column in range(lefter, min(lefter + inner, left + outer, columns))
    ]
    assert patch_order(rows, columns, chunk_size_1=outer, chunk_size_2=inner).tolist() == wanted


def test_chunks_of_1_keep_the_rows() -> None:
    assert patch_order(5, 3, chunk_size_1=1, chunk_size_2=1).tolist() == list(range(15))


def test_128_tokens_are_a_patch_of_8_by_16() -> None:
    order = patch_order(64, 64, chunk_size_1=8, chunk_size_2=4)
    for group in order.view(-1, 128):
        assert (group // 64).unique().numel() == 8 and (group % 64).unique().numel() == 16
