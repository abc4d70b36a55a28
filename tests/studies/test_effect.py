"""An option of the command line has its effect or is refused by a sentence, before anything is built."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from sdaccel.cli.run import notes
from sdaccel.configuring import plain
from sdaccel.errors import BadInput
from sdaccel.generators.flux.generator import Flux
from sdaccel.studies import compose
from sdaccel.studies.content import study_config
from tests.conftest import CONF
from tests.studies.frame import run_argv

pytestmark = pytest.mark.usefixtures("options_once")
SWEEP = "+exp=gamma_sweep"
WHERE = ("weights", "clip", "inception", "lpips")
"""Ends of options that only say where a file lies: its hash decides."""


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([SWEEP, "strategy=code"], "strategy=code reaches arm smaller and not target"),
        ([SWEEP, "strategy.gamma=2"], "study.arms.NAME.gamma=..."),
        (["+exp=code_speed", "strategy=code"], "strategy=code reaches arm d24["),
        (["+exp=stack_diagnostics", "strategy=taylor"], "write study.arms.NAME.strategy=taylor"),
        (["+exp=stack_diagnostics", "+calibration=stack_hicache"], "has no effect"),
        (["+exp=interval1_equivalence", "backend=column_sparse"], "reaches arm sign_flip[dtype=float32] and not B["),
        (["+exp=interval1_equivalence", "data.prompt_file=EMPTY"], "data.world=captions makes the conditions"),
        (["generator=var_tiny", "data.prompts=[a]"], "the generator takes labels; set data.labels"),
        (["generator=flux_tiny", "data.labels=[1]"], "the generator takes prompts; set data.prompts"),
        (["data.prompt_file=x", "data.prompts=[a]"], "give one of them"),
        (["data.prompt_file="], "data.prompt_file is empty"),
        (["exp=gamma_sweep"], "write +exp=NAME"),
        (["strategy=hicahe"], "did you mean hicache?"),
        (["+exp=gamma_swep"], "did you mean gamma_sweep?"),
        (["study.figures=[parreto]"], "did you mean pareto?"),
        (["generator=flux_tiny", "study.figures=[token_equality]"], "figure token_equality needs"),
        ([SWEEP, "data.limit=3", "data.batch_size=3"], "figure gamma_sweep needs"),
        (["generator=var_d16", "data.per_condition=100000", "data.batch_size=400000"], "is the largest that fits"),
    ],
)
def test_what_would_do_nothing_or_half_is_refused_by_a_sentence(
    argv: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_argv([*argv, f"output={tmp_path}"]) == 2
    err = capsys.readouterr().err
    assert said in err and len(err.splitlines()) == 1, err
    assert not list(tmp_path.iterdir())


def test_an_arm_that_is_the_studys_own_choice_takes_it(tmp_path: Path) -> None:
    study = ["generator=flux_tiny", "+study.arms={plain: {strategy: original}, chosen: {}}", "study.baseline=plain"]
    arms = compose.plan([*study, "strategy=hicache"], conf=CONF).arms
    assert [arm.config["strategy"]["name"] for arm in arms] == ["original", "hicache"]


def test_a_batch_is_no_larger_than_the_samples_and_what_means_nothing_is_said() -> None:
    plan = compose.plan(["generator=flux_tiny", "data.limit=2", "data.batch_size=8"], conf=CONF)
    assert plan.cfg.data.batch_size == 2
    assert [note.partition(":")[0] for note in notes(plan)] == [
        "data.batch_size=8 is lowered to 2, the number of samples; bits depend on it, so it is on record.",
        "random weights",
    ]


def test_what_a_model_says_of_the_prompts_is_said_once_of_all_its_arms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Flux, "notes", lambda self, conditions: [f"{conditions[-1]} is long"], raising=False)
    study = ["+study.arms={A: {}, B: {backend: column_sparse}, C: {generator.dtype: bfloat16}}", "study.baseline=A"]
    plan = compose.plan(["generator=flux_tiny", *study, "data.prompts=[a,b]", "data.batch_size=2"], conf=CONF)
    assert len(plan.arms) == 3 and plan.notes == ["b is long"]


@pytest.mark.parametrize(
    ("argv", "first"),
    [
        (["generator=flux_mini"], "a "),
        (["generator=world_captions"], "a "),
        (["generator=var_mini_draft"], 0),
        (["generator=var_tiny", "generator.num_classes=24", "metrics=world"], 0),
    ],
)
def test_models_and_metrics_of_the_small_world_bring_its_scenes(argv: list[str], first: Any) -> None:
    conditions = compose.plan(argv, conf=CONF).conditions
    assert len(conditions) == 4
    assert conditions[0] == first if isinstance(first, int) else all(isinstance(each, str) for each in conditions)


def test_a_stack_is_experimental_until_a_calibration_has_its_settings(tmp_path: Path) -> None:
    conf = Path(shutil.copytree(CONF, tmp_path / "conf"))
    proven = (CONF / "calibration/stack_hicache.yaml").read_text().replace("experimental: true", "experimental: false")
    (conf / "calibration/proven.yaml").write_text(proven.replace("interval: 5", "interval: 3"))

    def labels(*argv: str) -> list[bool]:
        return [arm.experimental for arm in compose.plan(["generator=flux_tiny", *argv], conf=conf).arms]

    assert labels("+calibration=stack_hicache") == [False, True], "its gate has failed"
    assert labels("+calibration=proven") == [False, False]
    assert labels("+calibration=proven", "strategy.interval=4") == [False, True]
    assert labels("backend=column_sparse", "strategy=taylor") == [False, True]
    assert labels("backend=column_sparse", "strategy=taylor", "strategy.interval=1") == [False, False], "every step is full"
    assert labels("backend=column_sparse") == labels("strategy=hicache") == [False, False], "one alone is no stack"


def options(node: DictConfig, prefix: str) -> Iterator[tuple[str, Any]]:
    """(full name, value) of every option, nested ones too."""
    for key, value in plain(node).items():
        if isinstance(value, dict) and "_target_" not in value:
            yield from options(node[key], f"{prefix}.{key}")
        elif not isinstance(value, dict) and key != "_target_" and not str(key).endswith(WHERE):
            yield f"{prefix}.{key}", value


def another(value: Any) -> str:
    match value:
        case bool():
            return str(not value).lower()
        case int():
            return str(value + 1)
        case float():
            return str(value * 0.8 + 0.01)
        case list():
            return f"[{','.join(map(str, value[:-1]))}]"
        case None:
            return "3"
    return f"{value}x"


def choices_of(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


QUICK = [("strategy", "hicache", ["generator=flux_tiny"]), ("metrics", "world", ["generator=var_mini_target"])]
GENERATOR = {"scales": "var_mini_target", "denoise": "flux_mini", None: "flux_mini"}
LARGE = ["generator=flux_tiny", "generator.height=128", "generator.width=128"]
"""Tokens enough for the published sizes of sparse operators."""


def outcomes(group: str, choice: str, argv: list[str]) -> dict[str, str]:
    """Option -> effect, refused or nothing."""
    chosen = [*argv, f"{group}={choice}", "study.timing.repeats=0"]
    base = compose.plan(chosen, conf=CONF)
    before, found = study_config(base), {}
    for name, value in options(base.cfg[group], group):
        try:
            changed = study_config(compose.plan([*chosen, f"{name}={another(value)}"], conf=CONF)) != before
            found[name] = "effect" if changed else "nothing"
        except BadInput:
            found[name] = "refused"
        assert not GlobalHydra.instance().is_initialized()
    return found


@pytest.mark.parametrize(("group", "choice", "argv"), QUICK)
def test_no_option_is_without_effect(group: str, choice: str, argv: list[str]) -> None:
    found = outcomes(group, choice, argv)
    assert "effect" in found.values() and "nothing" not in found.values(), found


@pytest.mark.verify
def test_no_option_of_any_group_is_without_effect(capsys: pytest.CaptureFixture[str]) -> None:
    """Every option of every choice of the groups that decide what a sample is or how it is judged."""
    counted: dict[str, int] = {}
    for group in ("backend", "strategy", "metrics", "data", "generator"):
        for choice in choices_of(group):
            if (group, choice) == ("metrics", "files"):
                continue  # needs files that do not ship
            argv = {"data": ["data.limit=2"], "backend": LARGE}.get(group, [])
            if group == "strategy":
                seam = _seam(choice)
                argv = [f"generator={GENERATOR[seam]}"]
            if group == "data" and "classes" in choice:
                argv = [*argv, "generator=var_mini_target"]
            for name, outcome in outcomes(group, choice, argv).items():
                assert outcome != "nothing", (group, choice, name)
                counted[outcome] = counted.get(outcome, 0) + 1
    with capsys.disabled():
        print(f"\noptions with an effect {counted['effect']}, refused {counted['refused']}, without effect 0")


def _seam(choice: str) -> str | None:
    for generator in ("flux_mini", "var_mini_target"):
        try:
            return str(compose.plan([f"generator={generator}", f"strategy={choice}"], conf=CONF).arms[-1].generator.seam)
        except BadInput:
            continue
    return None
