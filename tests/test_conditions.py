"""Laws of the batches, so that a resumed run has the bits of a whole one, and of the prompt file's errors."""

import random
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import pytest
import torch

from sdaccel.conditions import Batch, Condition, batches, read_prompts
from sdaccel.errors import BadInput
from sdaccel.noise import sample_seeds

SEED = 6
Deal = Callable[..., list[Batch]]


def compacting(conditions: Sequence[Condition], *, seed: int, size: int, done: Collection[int] = ()) -> list[Batch]:
    """The obvious way that is wrong: what is missing moves up into the free rows."""
    left = [i for i in range(len(conditions)) if i not in done]
    chunks = [left[start : start + size] for start in range(0, len(left), size)]
    padded = [chunk + chunk[:1] * (size - len(chunk)) for chunk in chunks]
    return [
        Batch(tuple(conditions[i] for i in rows), sample_seeds(seed, rows), dict(enumerate(chunk)))
        for rows, chunk in zip(padded, chunks, strict=True)
    ]


def keeps_rows(deal: Deal, *, total: int, size: int, done: set[int]) -> bool:
    dealt = deal(list(range(100, 100 + total)), seed=SEED, size=size, done=done)
    return all(row == i % size for batch in dealt for row, i in batch.wanted.items())


@pytest.mark.parametrize("seed", range(30))
def test_every_missing_sample_comes_once_in_its_own_row_with_its_own_condition_and_seed(seed: int) -> None:
    draw = random.Random(seed)
    total, size = draw.randint(1, 12), draw.randint(1, 5)
    done = {i for i in range(total) if draw.random() < 0.5}
    conditions = [f"prompt {i}" for i in range(total)]
    dealt = batches(conditions, seed=SEED, size=size, done=done)
    assert sorted(i for batch in dealt for i in batch.wanted.values()) == sorted(set(range(total)) - done)
    assert keeps_rows(batches, total=total, size=size, done=done)
    for batch in dealt:
        assert len(batch) == len(batch.seeds) == size
        for row, i in batch.wanted.items():
            assert batch.conditions[row] == conditions[i]
            assert torch.equal(batch.seeds[row : row + 1], sample_seeds(SEED, [i]))


def test_the_row_law_catches_a_batcher_that_moves_samples_up() -> None:
    assert keeps_rows(compacting, total=8, size=4, done=set())
    assert not keeps_rows(compacting, total=8, size=4, done={0, 5})


def test_rows_with_nothing_to_do_hold_a_needed_sample_of_the_same_batch() -> None:
    """A filler costs nothing new: no condition is run that this batch does not need anyway."""
    (batch,) = batches(["a", "b", "c", "d", "e"], seed=SEED, size=4, done={0, 2, 4})
    assert batch.wanted == {1: 1, 3: 3}
    assert batch.conditions == ("b", "b", "b", "d")
    assert torch.equal(batch.seeds, sample_seeds(SEED, [1, 1, 1, 3]))


def test_a_short_last_batch_is_padded_to_the_full_shape() -> None:
    last = batches([5, 6, 7], seed=SEED, size=2)[-1]
    assert last.conditions == (7, 7) and last.wanted == {0: 2}


def test_nothing_done_means_all_and_all_done_means_nothing() -> None:
    everything = batches(list(range(5)), seed=SEED, size=2)
    assert [batch.wanted for batch in everything] == [{0: 0, 1: 1}, {0: 2, 1: 3}, {0: 4}]
    assert batches(list(range(5)), seed=SEED, size=2, done=range(5)) == []


def test_prompts_are_the_lines_without_blank_ones(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_bytes("a red cat\r\n\n   \n  ein grüner Hund \nlast".encode())
    assert read_prompts(path) == ["a red cat", "ein grüner Hund", "last"]


BAD_FILES: dict[str, tuple[bytes | None, str]] = {
    "missing": (None, "does not exist"),
    "empty": (b"", "holds no prompt"),
    "blank": (b"\n  \n\t\n", "holds no prompt"),
    "binary": (b"ab\0cd\n", "NUL"),
    "latin1": ("ein grüner Hund".encode("latin-1"), "not UTF-8"),
    "png": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "not UTF-8"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_prompt_file_is_one_line_that_names_it(kind: str, tmp_path: Path) -> None:
    content, reason = BAD_FILES[kind]
    path = tmp_path / f"{kind}.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput, match=reason) as caught:
        read_prompts(path)
    assert f"data.prompt_file={path}" in str(caught.value) and "\n" not in str(caught.value)


def test_a_folder_in_place_of_a_prompt_file_is_one_line_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is a folder") as caught:
        read_prompts(tmp_path)
    assert f"data.prompt_file={tmp_path}" in str(caught.value) and "\n" not in str(caught.value)


def test_a_byte_order_mark_is_no_part_of_the_first_prompt(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_bytes("\ufeffa cat\r\na dog\u2028still the same dog\r\n".encode())
    assert read_prompts(file) == ["a cat", "a dog\u2028still the same dog"]


def test_a_path_below_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a cat")
    with pytest.raises(BadInput, match="cannot be read"):
        read_prompts(tmp_path / "file" / "prompts.txt")
