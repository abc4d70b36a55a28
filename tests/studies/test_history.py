"""The commit of a record: found where its code gives the fingerprint, by either rule; a false claim is told."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import sdaccel
from sdaccel.errors import BadInput
from sdaccel.records import read
from sdaccel.records.provenance import TOLD, git_state
from sdaccel.records.view import Git, Provenance, Record, Study
from sdaccel.studies.arms import Arm
from sdaccel.studies.fingerprint import code_fingerprint, modules_of
from sdaccel.studies.history import found
from tests.conftest import ROOT
from tests.studies import frame


def git(folder: Path, *arguments: str) -> str:
    own = ["git", "-c", "user.name=a", "-c", "user.email=a@b.example", *arguments]
    return subprocess.run(own, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def commits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A repository with three commits: another code, the code of today, and of today with a new README."""
    root = tmp_path_factory.mktemp("history")
    shutil.copytree(ROOT / "sdaccel", root / "sdaccel", ignore=shutil.ignore_patterns("__pycache__", "data"))
    noise, names = root / "sdaccel" / "noise.py", []
    git(root, "init", "-q")
    today = noise.read_text()
    for text in (today + "# once\n", today, None):
        noise.write_text(text) if text else (root / "README.md").write_text("words")
        git(root, "add", "-A")
        git(root, "commit", "-q", "-m", "a commit")
        names.append(git(root, "rev-parse", "HEAD"))
    return root, names


@pytest.fixture(scope="module")
def arms(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Arm]:
    plan = frame.plan("strategy=hicache", output=tmp_path_factory.mktemp("plan"))
    return {arm.name: arm for arm in plan.arms}


def record(arms: Mapping[str, Arm], claim: Git | None = None) -> Record:
    source = Provenance(code={name: code_fingerprint(arm) for name, arm in arms.items()}, git=claim)
    return Record(Study("sample"), {}, provenance=source)


def modules(arms: Mapping[str, Arm]) -> dict[str, Sequence[str]]:
    return {name: modules_of(arm) for name, arm in arms.items()}


def test_commits_with_the_code_of_a_record_are_found(commits: tuple[Path, list[str]], arms: Mapping[str, Arm]) -> None:
    root, names = commits
    said = found(record(arms), modules(arms), root)
    assert not said.differs and not said.unseen
    assert said.of.startswith(f"code of 2 commits, {names[1][:7]} to {names[2][:7]}")


@pytest.mark.parametrize("told", [True, False])
def test_a_commit_that_is_claimed_is_held_against_its_code(
    told: bool, commits: tuple[Path, list[str]], arms: Mapping[str, Arm]
) -> None:
    root, names = commits
    true = found(record(arms, Git(names[1][:10], told=told)), modules(arms), root)
    assert true.of.startswith(f"code of commit {names[1][:7]}") and not true.differs
    false = found(record(arms, Git(names[0], told=told)), modules(arms), root)
    assert "which has other code" in false.differs[0]


def test_code_that_was_never_committed_and_a_folder_without_git_are_told(
    commits: tuple[Path, list[str]], arms: Mapping[str, Arm], tmp_path: Path
) -> None:
    own = record(arms)
    edited = replace(own, provenance=replace(own.provenance, code=dict.fromkeys(arms, "0" * 16)))
    assert "none of 3 has its fingerprint" in found(edited, modules(arms), commits[0]).unseen[0]
    assert "no git history" in found(own, modules(arms), tmp_path).unseen[0]


def test_a_committed_record_without_a_commit_has_one_by_the_first_rule() -> None:
    (path,) = ROOT.glob("reports/results/flux_pareto/flux_pareto-b6720236d0f4-48869a.json")
    said = found(read.load(path), {}, ROOT)
    if said.unseen:
        pytest.skip("this checkout is shallow")
    assert said.of == "code of 2 commits, 911cedb to f23b902 (2026-11-21); the record names none"


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """The package lies in no checkout."""
    monkeypatch.setattr(sdaccel, "__file__", str(tmp_path / "sdaccel" / "__init__.py"))
    monkeypatch.delenv(TOLD, raising=False)
    return monkeypatch


def test_outside_a_checkout_a_commit_is_what_the_environment_tells(outside: pytest.MonkeyPatch) -> None:
    assert git_state() is None
    outside.setenv(TOLD, COMMIT)
    assert git_state() == {"commit": COMMIT, "dirty": None, "told": True}


@pytest.mark.parametrize("value", ["main", "012345", COMMIT + "0", "0123456789ABCDEF", "$(git rev-parse HEAD)"])
def test_what_is_no_commit_is_refused(value: str, outside: pytest.MonkeyPatch) -> None:
    outside.setenv(TOLD, value)
    with pytest.raises(BadInput, match="is no commit; give 7 to 40 digits"):
        git_state()


def test_it_is_refused_before_anything_runs(outside: pytest.MonkeyPatch, tmp_path: Path) -> None:
    outside.setenv(TOLD, "main")
    with pytest.raises(BadInput, match="SDACCEL_COMMIT=main"):
        frame.run("strategy=hicache", output=tmp_path)
    assert not list(tmp_path.iterdir())


def test_in_a_checkout_a_commit_that_contradicts_it_is_refused(
    commits: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, names = commits
    monkeypatch.setattr(sdaccel, "__file__", str(root / "sdaccel" / "__init__.py"))
    monkeypatch.setenv(TOLD, names[-1][:12])
    assert git_state() == {"commit": names[-1], "dirty": None}
    monkeypatch.setenv(TOLD, COMMIT)
    with pytest.raises(BadInput, match="contradicts the checkout"):
        git_state()


def test_a_record_made_outside_a_checkout_holds_the_commit_it_was_told(outside: pytest.MonkeyPatch, tmp_path: Path) -> None:
    outside.setenv(TOLD, COMMIT)
    made = frame.run("strategy=hicache", "data.limit=1", output=tmp_path)
    assert made.provenance.git == Git(COMMIT, told=True)
