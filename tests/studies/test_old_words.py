"""Files that say `mode:` for an arm's strategy still mean the same study."""

from pathlib import Path

import pytest

from sdaccel.errors import BadInput
from sdaccel.studies.content import run_id
from tests.studies.frame import plan

STUDY = """# @package _global_
study:
  name: words
  vary: {{{word}: [hicache, taylor]}}
  arms:
    A: {{backend: dense, {word}: original}}
    B: {{interval: 1}}
  controls:
    flip: {{for: B, {word}: hicache, interval: 1, audit: true, mutant: sign_flip, fails: equal}}
  checks: [{{equal: [A, B]}}]
"""


def written(folder: Path, word: str) -> list[str]:
    (folder / word / "exp").mkdir(parents=True)
    (folder / word / "exp" / "words.yaml").write_text(STUDY.format(word=word))
    return ["+exp=words", f"hydra.searchpath=[file://{folder / word}]"]


def test_mode_in_a_file_is_strategy(tmp_path: Path) -> None:
    old, new = (plan(*written(tmp_path, word), output=tmp_path) for word in ("mode", "strategy"))
    assert [arm.name for arm in old.arms] == ["A", "B[strategy=hicache]", "B[strategy=taylor]", "flip"]
    assert [arm.config for arm in old.arms] == [arm.config for arm in new.arms]
    assert run_id(old) == run_id(new)


def test_both_words_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"study.arms.x gives both mode and strategy, which are one option; leave mode out\.$"):
        plan("+study.arms.x={mode: hicache, strategy: taylor}", output=tmp_path)
