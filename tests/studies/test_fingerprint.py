"""The code of a sample: what runs while it is made is in it, an edit of it makes new samples, an edit elsewhere does not."""

import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from sdaccel import closure
from sdaccel.conditions import batches
from sdaccel.studies import runner
from sdaccel.studies.arms import Arm
from sdaccel.studies.fingerprint import ROOTS, code_fingerprint
from sdaccel.studies.models import Models
from sdaccel.studies.stage import as_configured
from tests.conftest import ROOT
from tests.studies import frame

PACKAGE = ROOT / "sdaccel"
FLUX = (
    "study.baseline=a",
    "+study.arms={a: {strategy: original}, "
    "b: {backend: column_sparse, strategy: hicache, interval: 2, max_order: 1, audit: true},"
    " w: {strategy: taylor, interval: 2, max_order: 1, watch: true}}",
    "study.checks=[{all_full: [a]}, {anchors_written: [b]}]",
    "+study.controls={c: {for: b, backend: column_sparse, strategy: hicache, interval: 2, max_order: 1, audit: true,"
    " mutant: missed_ticks, fails: anchors_written}}",
)
VAR = (
    "generator=var_mini",
    "generator.engine=fast",
    "data.labels=[1,2]",
    "study.baseline=a",
    "study.timing.repeats=0",
    "+study.arms={a: {strategy: original}, b: {strategy: speculative_coupled}, c: {strategy: handover, entry_num: 3}}",
    "study.checks=[{all_full: [a, b]}]",
    "+study.controls={m: {for: b, strategy: speculative_coupled, mutant: unverified, fails: all_full}}",
)


def arms(overrides: tuple[str, ...], output: Path) -> dict[str, Arm]:
    return {arm.template: arm for arm in frame.plan(*overrides, output=output).arms}


def executed(arm: Arm) -> set[Path]:
    """The package's files in which a function ran under `generate`."""
    seen: set[str] = set()

    def watch(at: FrameType, event: str, argument: Any) -> None:
        seen.add(at.f_code.co_filename)

    conditions: list[Any] = [1, 2] if arm.generator.takes == "label" else ["a cat", "a dog"]
    models = Models(runner.torch.device("cpu"), conditions, cache=Path("unused"))
    (batch,) = batches(conditions, seed=0, size=2)
    with as_configured(arm, models) as strategy:
        runtime = models.runtime(arm)
        sys.setprofile(watch)
        try:
            runtime.generate(batch, backend=arm.backend, strategy=strategy, keep=list(arm.generator.keeps))
        finally:
            sys.setprofile(None)
    return {Path(name) for name in seen if Path(name).is_relative_to(PACKAGE)}


def files_of(arm: Arm, monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    """The sources that its fingerprint hashes."""
    found: list[closure.Closure] = []

    def fingerprint(self: closure.Closure) -> str:
        found.append(self)
        return ""

    monkeypatch.setattr(closure.Closure, "fingerprint", fingerprint)
    code_fingerprint(arm)
    monkeypatch.undo()
    return set(found[0].files.values())


@pytest.mark.parametrize("overrides", [FLUX, VAR], ids=["flux", "var"])
def test_what_runs_is_in_the_closure(overrides: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, arm in arms(overrides, tmp_path).items():
        files, ran = files_of(arm, monkeypatch), executed(arm)
        assert len(ran) > 10 and ran <= files, (name, ran - files)
        assert len(files) < 90, "it is not the whole package"


def test_an_edit_makes_new_samples_of_the_arms_it_may_change_and_of_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flux = arms(FLUX, tmp_path)

    def codes() -> dict[str, str]:
        return {name: code_fingerprint(arm) for name, arm in flux.items()}

    before, content = codes(), closure._content

    def changed_by(edited: str) -> str:
        """Templates whose fingerprint an edit of a file changes."""
        path = PACKAGE / edited
        assert path.is_file()
        with monkeypatch.context() as patch:
            patch.setattr(closure, "_content", lambda p, modified: content(p, modified) + "edited" * (p == path))
            after = codes()
        return "".join(sorted(name for name in after if after[name] != before[name]))

    everything = "".join(sorted(flux))
    assert changed_by("generators/flux/blocks.py") == everything
    assert changed_by("noise.py") == changed_by("predict/writer.py") == changed_by("__init__.py") == everything
    assert changed_by("strategies/forecast/weights.py") == "bcw"
    assert changed_by("strategies/column_sparse/attention.py") == "bc"
    assert changed_by("strategies/column_sparse/mutants.py") == "c"
    assert changed_by("strategies/forecast/audit.py") == "bc"
    assert changed_by("strategies/forecast/watch.py") == "w"
    for outside in ("studies/runner.py", "metrics/frechet.py", "reporting/style.py", "generators/var/model.py"):
        assert changed_by(outside) == "", outside


def test_a_planted_bug_of_speculation_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {name: files_of(arm, monkeypatch) for name, arm in arms(VAR, tmp_path).items()}
    (bugs,) = {PACKAGE / "strategies/speculative/mutants.py"} & files["m"]
    assert bugs not in files["b"]


def test_lazy_imports_and_reexports_are_followed_and_those_for_types_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "of_a_test"
    folder.mkdir()
    for name, text in {
        "__init__": "",
        "top": "from typing import TYPE_CHECKING\nfrom . import middle\nif TYPE_CHECKING:\n    from . import types",
        "middle": "def f():\n    from of_a_test.lazy import x\n    import numpy.linalg\n",
        "lazy": "x = 1\n",
        "types": "T = int\n",
        "unused": "",
    }.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    found = closure.closure(["of_a_test.top"])
    assert set(found.files) == {"of_a_test", "of_a_test.top", "of_a_test.middle", "of_a_test.lazy"}
    assert found.libraries == {"numpy"}
    before = found.fingerprint()
    (folder / "lazy.py").write_text("x = 2\n")
    assert closure.closure(["of_a_test.top"]).fingerprint() != before
    assert "of_a_test.unused" in closure.closure(["of_a_test"]).files, "a package stands for all of it"


def test_the_roots_exist() -> None:
    assert all(closure.source(root) for root in ROOTS)
