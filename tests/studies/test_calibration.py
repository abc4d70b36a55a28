"""Settings of backend and strategy together: chosen by one name, loud until their gate has passed."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from sdaccel.cli.run import _run
from sdaccel.records.read import load
from sdaccel.records.view import Record
from sdaccel.reporting import tables
from tests.conftest import CONF, ROOT
from tests.studies.frame import SMALL, plan, run, run_argv

NAMES = sorted(path.stem for path in CONF.glob("calibration/*.yaml") if "similarity" not in path.read_text())
"""Those that are bound to a model have tests of their own (test_calibrate)."""


@pytest.mark.parametrize("name", NAMES)
def test_a_calibration_means_the_same_in_an_arm_and_on_the_command_line(name: str, tmp_path: Path) -> None:
    (_, chosen) = plan(f"+calibration={name}", "generator.num_steps=20", output=tmp_path).arms
    (arm,) = plan(f"+study.arms.x={{calibration: {name}}}", "generator.num_steps=20", output=tmp_path).arms
    assert chosen.config == arm.config and (chosen.backend, chosen.strategy) == (arm.backend, arm.strategy)
    assert (
        chosen.experimental
        == arm.experimental
        == bool(yaml.safe_load((CONF / f"calibration/{name}.yaml").read_text()).get("experimental"))
    )


def passed(name: str) -> bool:
    """A promoted record of the gate holds this calibration, and its honest checks pass as they read today."""
    found = [load(path) for path in ROOT.glob("reports/results/stack_diagnostics/*.json")]
    found = [record.again or record for record in found]
    (arm,) = plan(
        f"+study.arms.x={{calibration: {name}}}",
        "generator=flux_mini",
        "data=world_captions",
        "data.limit=1",
        output=Path("/tmp"),
    ).arms
    return any(_gated(record, arm.config) for record in found)


def _gated(record: Record, config: dict[str, Any]) -> bool:
    wanted = [config["strategy"], config["backend"]]
    parts = {name: [{"name": part.name, **part.options} for part in (a.strategy, a.backend)] for name, a in record.arms.items()}
    own = [name for name, found in parts.items() if found == wanted]
    verdicts = [v.passed for v in record.checks if v.arm in own and not v.control]
    return bool(verdicts) and all(v is True for v in verdicts)


@pytest.mark.parametrize("name", NAMES)
def test_no_calibration_loses_its_label_before_its_gate_passed(name: str) -> None:
    assert yaml.safe_load((CONF / f"calibration/{name}.yaml").read_text()).get("experimental") or passed(name)


STACK = (
    "+study.arms.dense={strategy: original}",
    "+study.arms.stack={calibration: stack_hicache, interval: 2, experimental: true}",
    "study.baseline=dense",
)


def test_the_label_stands_in_every_table_of_the_arm_and_in_one_line_of_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = run(*STACK, "data.limit=1", output=tmp_path)
    assert [arm.experimental for arm in record.arms.values()] == [False, True]
    rows = [row[0] for row in tables.arms(record).rows]
    assert rows == ["dense (random weights)", "stack (experimental) (random weights)"]
    assert run_argv([*SMALL, *STACK, "data.limit=1", f"output={tmp_path}"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("experimental")]
    assert lines == ["experimental, no calibration that has passed its gate has these settings: stack"]


def test_a_run_without_one_says_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(highlight=False)
    assert _run(plan("data.limit=1", output=tmp_path), console) == 0
    assert "experimental" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["+calibration=nope"], "calibration/nope"),
        (["+study.arms.x={calibration: nope}"], "calibration nope does not exist; there are: "),
        (
            ["+study.arms.x={calibration: stack_hicache, strategy: taylor}"],
            "strategy is chosen by calibration=stack_hicache already",
        ),
        (["+study.arms.x={calibration: stack_hicache, intervall: 2}"], "it has: interval"),
        (["+study.arms.x={experimental: maybe}"], "experimental=maybe must be bool"),
        (["+study.arms.x={watch: 1}"], "watch=1 must be bool"),
    ],
)
def test_a_mistake_is_one_line(argv: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_argv([*argv, f"output={tmp_path}"]) == 2
    err = capsys.readouterr().err
    assert len(err.strip().splitlines()) == 1 and words in err, err
