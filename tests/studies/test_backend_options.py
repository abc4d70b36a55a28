"""Options of the backend inside an arm: lists make arms, values reach the operators, mistakes are one line."""

from pathlib import Path

import pytest

from tests.studies.frame import plan, run, run_argv

ARMS = (
    "+study.arms.dense={backend: dense, strategy: original}",
    "+study.arms.sparse={backend: column_sparse, backend.attn.top_keys: [0.2, 1.0], backend.mlp.top_keys: 1.0}",
    "study.baseline=dense",
)


def test_a_list_of_a_backends_option_is_one_arm_per_value(tmp_path: Path) -> None:
    arms = {arm.name: arm for arm in plan(*ARMS, output=tmp_path).arms}
    assert list(arms) == ["dense", "sparse[attn.top_keys=0.2]", "sparse[attn.top_keys=1.0]"]
    options = [arm.backend.attn.top_keys for name, arm in arms.items() if name != "dense"]
    assert options == [0.2, 1.0] == [arm.config["backend"]["attn"]["top_keys"] for n, arm in arms.items() if n != "dense"]


def test_the_value_reaches_the_operators(tmp_path: Path) -> None:
    """All columns and neurons chosen is the dense run up to rounding, a fifth of the columns is not."""
    arms = run(*ARMS, "data.limit=1", output=tmp_path).arms
    few, every = (
        99.0 if not (paired := arms[f"sparse[attn.top_keys={value}]"].paired) or paired.psnr is None else paired.psnr
        for value in (0.2, 1.0)
    )
    assert every > 60 > few


@pytest.mark.parametrize(
    ("arm", "words"),
    [
        ("{backend: column_sparse, backend.attn.top_key: 0.1}", "it has: is_enabled, top_keys"),
        ("{backend: column_sparse, backend.attention.top_keys: 0.1}", "it has: attn, mlp, patchify"),
        ("{backend: column_sparse, backend.attn.top_keys: many}", "study.arms.x.backend.attn.top_keys=many: Value"),
        ("{backend: dense, backend.attn.top_keys: 0.1}", "backend dense has no such option; it has: none"),
        ("{backend: column_sparse, backend.attn.top_keys: [0.1, 1.5]}", "top_keys=1.5"),
    ],
)
def test_a_mistake_in_a_backends_option_is_one_line(
    arm: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_argv([f"+study.arms.x={arm}", f"output={tmp_path}"]) == 2
    err = capsys.readouterr().err
    assert len(err.strip().splitlines()) == 1 and words in err, err
