"""Every command that heads a configuration composes, here or in the tests of the README; the command of a record is that."""

import json
import re
import shlex
from pathlib import Path

import pytest

from sdaccel.benches import runner
from sdaccel.cli import run
from tests.conftest import CONF, ROOT
from tests.test_readme import RUNS

SHOWN = re.compile(r"^# +python experiments/(run|bench)\.py (.*)$")
"""Two blanks or more end a command; what follows says what it is for."""


def shown() -> list[tuple[str, str]]:
    """(script, arguments) of every command, continued lines joined."""
    out = []
    for path in sorted(CONF.glob("**/*.yaml")):
        text = re.sub(r"\\\n# +", "", path.read_text())
        found = [SHOWN.match(line) for line in text.splitlines()]
        out += [(match[1], re.split(r" {2,}", match[2])[0]) for match in found if match]
    return out


def test_a_command_of_a_committed_record_is_the_one_that_made_it() -> None:
    """Wherever a configuration speaks of the committed record, it shows the command that a record of its study holds."""
    said = 0
    for path in sorted(CONF.glob("**/*.yaml")):
        folder = "bench_" * (path.parent.name == "bench") + path.stem
        records = [json.loads(record.read_bytes()) for record in (ROOT / "reports" / "results" / folder).glob("*.json")]
        made = {" ".join(record["provenance"]["command"]) for record in records}
        for line in re.sub(r"\\\n# +", "", path.read_text()).splitlines():
            if "committed record" in line:
                said += 1
                match = SHOWN.match(line)
                assert match, f"{path}: {line} shows no command"
                assert f"experiments/{match[1]}.py {re.split(r' {2,}', match[2])[0]}" in made, f"{path}: {line} made no record"
    assert said > 10


def test_every_study_shows_its_command() -> None:
    said = " ".join(line for _, line in shown())
    assert not [path.stem for path in (CONF / "exp").glob("*.yaml") if f"+exp={path.stem}" not in said]


def test_there_are_commands() -> None:
    assert len(shown()) > 40 and {script for script, _ in shown()} == {"run", "bench"}


def argv_of(line: str) -> list[str]:
    """Its arguments but for the machine it wants."""
    return [argument for argument in shlex.split(line) if not argument.startswith(("device=", "trainer="))]


@pytest.mark.usefixtures("options_once")
@pytest.mark.parametrize(
    ("script", "line"), [(script, line) for script, line in shown() if script == "bench" or argv_of(line) not in RUNS]
)
def test_it_composes(script: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    argv = argv_of(line)
    if script == "bench":
        assert runner.plan(argv, conf=CONF).benchmark is not None
    else:
        assert run.checked(argv, CONF).arms
