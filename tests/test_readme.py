"""What the README says exists, exists; every command it shows is a command."""

import re
import shlex
from pathlib import Path

import pytest
from huggingface_hub import constants

from sdaccel.records.promote import find
from tests.conftest import ROOT
from tests.studies.frame import run_argv

README = (ROOT / "README.md").read_text()
BLOCKS = "\n".join(re.findall(r"^```\w*\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE))
LINES = [line.split("#")[0].strip() for line in BLOCKS.splitlines()]
COMMANDS = [line for line in LINES if line.startswith(("python ", "verify-record", "make "))]
REPOSITORIES = ("FLUX.1-dev", "Qwen2-VL-1.5B-Instruct")
RUNS = [shlex.split(c)[2:] for c in COMMANDS if c.startswith("python experiments/run.py")]
COMPOSED = [
    list(argv) for argv in dict.fromkeys(tuple(a for a in r if a not in ("-m", "--dry-run") and "," not in a) for r in RUNS)
]


def test_every_link_and_picture_exists() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", README) + re.findall(r"`((?:reports|tests|sdaccel|conf)/[\w./-]+)`", README)
    assert targets
    for target in targets:
        assert (ROOT / target).exists(), target


@pytest.mark.usefixtures("options_once")
@pytest.mark.parametrize("argv", COMPOSED, ids=" ".join)
def test_every_run_it_shows_composes(
    argv: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    (tmp_path / "prompts.txt").write_text("a cat\n" * 200)
    code = run_argv([*argv, "--dry-run"])
    err = capsys.readouterr().err
    if any(a.startswith("generator.weights=") for a in argv):
        lines = ("var_d16.pth does not exist", *(f"{name} is no path and not in the hub's cache" for name in REPOSITORIES))
        assert code == 2 and any(line in err for line in lines), err
    else:
        assert code == 0, err


def test_every_script_it_names_exists() -> None:
    for command in COMMANDS:
        if command.startswith("python "):
            assert (ROOT / shlex.split(command)[1]).is_file(), command
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert {c.split()[1] for c in COMMANDS if c.startswith("make ")} <= set(targets)


def test_the_two_commands_come_first() -> None:
    assert [c for c in COMMANDS if c.startswith("make ")][:2] == ["make demo", "make test"]


def test_the_record_it_verifies_is_one_record() -> None:
    (command,) = [c for c in COMMANDS if c.startswith("verify-record")]
    assert find(command.split()[1], [ROOT / "reports" / "results"]).is_file()
