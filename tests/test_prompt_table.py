"""Laws of prompt files that are tables: what is read is the column of prompts, and what has none is one line."""

import csv
import io
import json
from pathlib import Path

import pytest

from sdaccel.conditions import read_prompts
from sdaccel.errors import BadInput

PROMPTS = ["a red cat", 'a sign that says "no, thanks"', "ein grüner Hund", "two lines\nin one cell"]


def table(prompts: list[str], *, column: str, delimiter: str) -> str:
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter).writerows([["Category", column], *([i, p] for i, p in enumerate(prompts))])
    return written.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("drawbench.csv", table(PROMPTS, column="Prompts", delimiter=",")),
        ("parti.TSV", table(PROMPTS, column="Prompt", delimiter="\t")),
        ("geneval.jsonl", "\n\n".join(json.dumps({"tag": "x", "prompt": prompt}) for prompt in PROMPTS) + "\n"),
    ],
)
def test_the_column_of_prompts_is_read_as_it_was_written(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content.encode("utf-8-sig"))
    assert read_prompts(tmp_path / name) == PROMPTS


def test_a_text_file_is_lines_whatever_they_look_like(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text('prompt,category\n{"prompt": "a"}\n')
    assert read_prompts(tmp_path / "p.txt") == ["prompt,category", '{"prompt": "a"}']


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("p.csv", "id,words\n1,a cat\n", "none of its columns (id, words) is called prompt or prompts or caption"),
        ("p.csv", "", "none of its columns (it has none)"),
        ("p.csv", "prompt\n\n  \n", "holds no prompt"),
        ("p.csv", 'prompt\n"a" b\n', "line 2 is not of a table"),
        ("p.jsonl", '{"prompt": "a"}\nno\n', "line 2 is not a JSON object"),
        ("p.jsonl", "[1]\n", "line 1 is not a JSON object"),
        ("p.jsonl", '{"prompt": 3}\n', "line 1 has a prompt that is no text"),
        ("p.jsonl", '{"tag": "x"}\n', "none of its columns (tag)"),
    ],
)
def test_a_table_without_prompts_is_one_line(name: str, content: str, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(BadInput) as caught:
        read_prompts(tmp_path / name)
    assert says in str(caught.value) and "\n" not in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)
