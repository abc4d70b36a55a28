"""Studies over several generators: every arm its own, one set of conditions, one honest ceiling."""

from pathlib import Path

import pytest

from sdaccel.generators.var.generator import Var
from sdaccel.records.view import Paired
from sdaccel.world.attributes import CLASSES
from tests.studies.frame import plan, run, run_argv

VAR = (
    "generator=var_tiny",
    "generator.num_classes=24",
    "generator.image_size=64",
    "generator.patch_nums=[1,2,4]",
    "data=world_classes",
    "data.limit=3",
    "study.timing.repeats=0",
)
ARMS = (
    "+study.arms.target={strategy: original}",
    "+study.arms.draft={strategy: original, generator.depth: 1}",
    "+study.arms.real={generator: world_classes}",
    "study.baseline=target",
)


def test_a_smaller_model_has_the_ceiling_of_all_its_macs_and_real_pictures_have_none(tmp_path: Path) -> None:
    arms = run(*VAR, *ARMS, "study.keep=[tokens]", output=tmp_path).arms
    small = {"num_classes": 24, "vocab": 256, "Cvae": 8, "ch": 32, "image_size": 64, "patch_nums": [1, 2, 4]}
    target, draft = (sum(Var(depth=depth, **small).cost().macs) for depth in (2, 1))  # type: ignore[arg-type]
    assert arms["target"].mac_ceiling == 1
    assert arms["draft"].mac_ceiling == pytest.approx(target / draft)
    assert (arms["real"].mac_ceiling, arms["real"].macs, arms["real"].kinds) == (None, 0, {})
    assert arms["real"].paired is None, "real pictures and a model's do not come in pairs"
    assert arms["draft"].paired and arms["draft"].paired.against == "target"
    assert [set(arms[name].samples[0].arrays) for name in ("target", "real")] == [{"tokens"}, set()]


def test_real_pictures_are_not_timed(tmp_path: Path) -> None:
    timed = run(*VAR, *ARMS, "data.limit=1", "study.timing={repeats: 1, warmup: 0}", output=tmp_path).timing
    assert set(timed.arms) == {"target", "draft"}


def test_an_arm_may_be_compared_with_one_of_its_kind(tmp_path: Path) -> None:
    other = "+study.arms.again={generator: world_classes, against: real}"
    arms = run(*VAR, *ARMS, other, output=tmp_path).arms
    assert arms["again"].paired == Paired("real", identical=3, psnr=None, n=3)


def test_conditions_of_the_world(tmp_path: Path) -> None:
    labels = plan("generator=world_classes", *VAR[4:5], "data.limit=30", output=tmp_path).conditions
    assert labels == [i % len(CLASSES) for i in range(30)]
    some, more = (
        plan("generator=world_captions", "data=world_captions", f"data.limit={n}", output=tmp_path).conditions for n in (3, 5)
    )
    assert more[:3] == some
    assert all("background" in str(caption) for caption in more)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["generator=world_classes", "data=world_classes"], "data.limit=N"),
        (["generator=world_classes", "data=world_captions", "data.limit=2"], "takes labels"),
        (["data=world_classes", "data.limit=2"], "takes prompts"),
        (["generator=world_classes", "data.world=clases", "data.limit=2"], "data.world=clases"),
        ([*VAR, *ARMS, "+study.arms.x={generator: world_captions}"], "labels with ones that take prompts"),
        ([*VAR, *ARMS, "+study.arms.x={generator: world_classes, generator.image_size: 32}"], "compare equal sizes"),
        ([*VAR, *ARMS, "+study.arms.x={generator: worl_classes}"], "generator worl_classes does not exist"),
        ([*VAR, *ARMS, "+study.arms.x={generator: world_classes, generator.depth: 3}"], "it has: kind, image_size, split"),
        ([*VAR, *ARMS, "+study.arms.x={generator: world_classes, against: reel}"], "against=reel is no arm"),
        ([*VAR, *ARMS, "study.keep=[tokns]"], "keeps no array named tokns"),
        (["generator=world_classes", "strategy=taylor"], "attaches to denoise"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_go_together_is_one_line(
    argv: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_argv([*argv, f"output={tmp_path}"]) == 2
    err = capsys.readouterr().err
    assert len(err.strip().splitlines()) == 1 and words in err, err
