"""Laws of a comparison of runs: it shows what their records hold, and puts nothing side by side that cannot be compared."""

from pathlib import Path

import pytest

from sdaccel.cli import compare
from sdaccel.errors import BadInput
from sdaccel.records.merged import labels, merged
from sdaccel.records.read import load
from sdaccel.records.view import Record
from sdaccel.reporting.page import of_runs
from tests.reporting.test_page import Tags
from tests.studies.frame import run

SHORT = ("data.limit=4", "data.batch_size=2", "strategy=hicache", "metrics=pairs")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Record]:
    """Two runs on the same noise, and one of fewer samples."""
    output = tmp_path_factory.mktemp("runs")
    for more in (["strategy.interval=2"], ["strategy.interval=3"], ["strategy.interval=3", "data.limit=2"]):
        run(*SHORT, *more, output=output)
    found = {path.parent: load(path) for path in sorted(output.glob("*/record.json"))}
    return dict(sorted(found.items(), key=lambda each: (-len(each[1].conditions), each[1].provenance.command)))


def whole(records: list[Record]) -> Record:
    return merged(records, name="whole", question="?", command=[]).record


def test_every_arm_is_there_under_its_runs_name_and_a_shared_one_once(runs: dict[Path, Record]) -> None:
    two, four, _ = runs.values()
    assert labels([two, four]) == ["interval=2", "interval=3"]
    found = whole([two, four])
    assert list(found.arms) == ["baseline", "interval=2", "interval=3"] and found.study.baseline == "baseline"
    for record, name in ((two, "interval=2"), (four, "interval=3")):
        assert found.arms[name].metrics == record.arms["run"].metrics
        assert found.arms[name].values == record.arms["run"].values
        assert found.arms[name].paired == record.arms["run"].paired
        assert found.folders[name] == record.folders["run"]
    assert not found.checks and found.verdict == "no claim"


def test_runs_of_other_conditions_are_not_paired_and_say_so(runs: dict[Path, Record]) -> None:
    four, _, two = runs.values()
    found = merged([four, two], name="whole", question="?", command=[])
    assert any("N from 2 to 4" in line for line in found.caveats)
    assert len(found.record.conditions) == 2, "pictures of the conditions that both have"
    assert not any(arm.values for arm in found.record.arms.values())
    assert not any("fid" in arm.metrics for arm in found.record.arms.values())


def test_the_page_leads_to_every_run_and_is_the_same_each_time(runs: dict[Path, Record], tmp_path: Path) -> None:
    some = dict(list(runs.items())[:2])
    page = of_runs.write(some, next(iter(runs)).parent)
    first = {path.name: path.read_bytes() for path in page.parent.rglob("*") if path.is_file()}
    assert of_runs.write(some, page.parent.parent) == page
    assert {path.name: path.read_bytes() for path in page.parent.rglob("*") if path.is_file()} == first
    links = [link["href"] for link in Tags(page).all("a") if link["href"].startswith("../")]
    assert [page.parent.joinpath(link).resolve().parent for link in links] == [folder.resolve() for folder in some]
    assert str(page.parent.parent) not in page.read_text()


def test_a_run_is_named_by_folder_file_or_id_and_a_mistake_is_one_line(
    runs: dict[Path, Record], capsys: pytest.CaptureFixture[str]
) -> None:
    folders = list(runs)
    named = [str(folders[0]), str(folders[1] / "record.json"), folders[2].name]
    assert compare.main([*named, "--output", str(folders[0].parent)]) == 0
    assert "page " in capsys.readouterr().out
    for wrong, words in (([named[0], named[0]], "each once"), ([named[0], "no_such"], "matches nothing")):
        assert compare.main([*wrong, "--output", str(folders[0].parent)]) == 2
        assert words in (said := capsys.readouterr().err) and said.count("\n") == 1
    with pytest.raises(BadInput, match="benchmark"):
        merged([Record(runs[folders[0]].study, {}, id="bench")], name="x", question="", command=[])
