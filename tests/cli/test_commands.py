"""`sdaccel COMMAND`, and where an installation finds its configurations and reports."""

import sys
from pathlib import Path

import pytest

from sdaccel.cli import CONF, REPORTS, places, report
from sdaccel.cli.__main__ import COMMANDS, dispatch, main
from tests.conftest import ROOT


def test_every_script_is_a_command_and_only_verify_has_none() -> None:
    assert {path.stem for path in (ROOT / "experiments").glob("*.py")} | {"verify"} == COMMANDS.keys()


def test_help_is_a_line_per_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["--help"]) == 0
    _, *lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(COMMANDS)


@pytest.mark.parametrize("name", ["promote", "report", "verify"])
def test_a_command_is_called_in_its_help_as_it_is_typed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        dispatch([name, "--help"])
    assert capsys.readouterr().out.startswith(f"usage: sdaccel {name} ")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (
            ["reprot"],
            "reprot is not a command of sdaccel; did you mean report?",
        ),
        (["+exp=var_baseline"], "+exp=var_baseline is not a command"),
        ([], "usage: sdaccel {run,"),
        (["run", "--quick"], "--quick is not a flag of this command; usage: sdaccel run "),
        (["run", "strategy=none_such"], "none_such"),
        (["promote", "none_such"], "record none_such matches nothing"),
        (["report", "--reports", "none_such"], "none_such holds no record to report"),
    ],
)
def test_what_cannot_be_meant_is_one_line(
    argv: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["sdaccel", *argv])
    assert main() == 2
    out, err = capsys.readouterr()
    assert not out and says in err and err.count("\n") == 1


def test_a_checkout_has_its_own_and_a_wheel_those_it_brought(tmp_path: Path) -> None:
    package = tmp_path / "sdaccel"
    (tmp_path / "conf").mkdir()  # of somebody else, in the folder that packages are installed in
    assert places(package) == (package / "conf", Path("reports"))
    (tmp_path / "pyproject.toml").touch()
    assert places(package) == (tmp_path / "conf", tmp_path / "reports")
    assert (CONF, REPORTS) == (ROOT / "conf", ROOT / "reports")


def test_a_report_writes_nothing_where_there_is_no_record(tmp_path: Path) -> None:
    assert report.main(["--reports", str(tmp_path)]) == 2
    assert not list(tmp_path.iterdir())
