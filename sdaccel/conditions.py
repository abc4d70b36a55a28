"""What is generated: labels or prompts, each sample with its own index and seed, in batches of one fixed shape.

The bits of a network's output may depend on the batch shape and on the row, never on the other rows' content. So sample i
always sits in row i % batch_size of a batch of batch_size rows; rows with nothing to do are filled with a needed row's
condition and their output is dropped.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from sdaccel import prompt_table
from sdaccel.errors import BadInput, reason
from sdaccel.noise import sample_seeds
from sdaccel.user_files import text_of

Condition = int | str


@dataclass(frozen=True)
class Batch:
    """One fixed-shape batch: B rows, of which `wanted` are samples to keep."""

    conditions: tuple[Condition, ...]
    """Label or prompt of every row."""
    seeds: Tensor
    """(B,) int64, the sample seed of every row."""
    wanted: dict[int, int]
    """Row -> sample index."""

    def __len__(self) -> int:
        return len(self.conditions)


def batches(conditions: Sequence[Condition], *, seed: int, size: int, done: Collection[int] = ()) -> list[Batch]:
    """All samples that are not done, every one in the row it has in a complete run."""
    out = []
    for start in range(0, len(conditions), size):
        wanted = {i - start: i for i in range(start, min(start + size, len(conditions))) if i not in done}
        if not wanted:
            continue
        filler = next(iter(wanted.values()))
        rows = [wanted.get(row, filler) for row in range(size)]
        out.append(Batch(tuple(conditions[i] for i in rows), sample_seeds(seed, rows), wanted))
    return out


def read_prompts(path: Path) -> list[str]:
    """One prompt per line, or the column `prompt` of a .csv, .tsv or .jsonl, UTF-8; blank ones do not count."""
    text = text_of(path, option="data.prompt_file", fix="give a text file in UTF-8 with one prompt per line")
    try:
        found = prompt_table.READERS.get(path.suffix.lower(), prompt_table.lines)(text)
    except ValueError as error:
        raise BadInput(
            f"data.prompt_file={path}: {reason(error)}; give a column `prompt`, or plain text with one per line."
        ) from None
    prompts = [prompt.strip() for prompt in found if prompt.strip()]
    if not prompts:
        raise BadInput(f"data.prompt_file={path} holds no prompt; write one prompt per line.")
    return prompts
