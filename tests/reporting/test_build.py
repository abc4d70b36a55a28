"""Laws of the report: a pure function of the records that are there."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sdaccel.errors import BadInput
from sdaccel.reporting.build import build, read
from sdaccel.reporting.gallery import page
from tests.conftest import ROOT


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def built(promoted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished report, to be read."""
    folder = Path(shutil.copytree(promoted, tmp_path_factory.mktemp("built") / "reports"))
    build(folder)
    return folder


def test_two_reports_of_the_same_records_are_the_same_bytes_wherever_they_are(built: Path, reports: Path) -> None:
    other = reports.rename(reports.with_name("under another name"))
    build(other)
    first, second = contents(built), contents(other)
    assert list(first) == list(second)
    assert [name for name in first if first[name] != second[name]] == []
    assert {Path(name).suffix for name in first} == {".pdf", ".png", ".csv", ".tex", ".html", ".json", ".gz"}


def test_another_process_and_a_users_own_matplotlib_settings_change_no_byte(built: Path, reports: Path, tmp_path: Path) -> None:
    settings = tmp_path / "matplotlibrc"
    settings.write_text("font.size: 20\nlines.linewidth: 9\nsavefig.dpi: 31\naxes.grid: True\n")
    command = [sys.executable, "-W", "error", str(ROOT / "experiments" / "report.py"), "--reports", str(reports)]
    env = os.environ | {"MATPLOTLIBRC": str(settings), "PYTHONHASHSEED": "7"}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert contents(built) == contents(reports)


def test_a_report_holds_no_date_and_no_path_of_this_machine(built: Path) -> None:
    for name, data in contents(built).items():
        if not name.startswith(("results", "thumbnails")):
            assert not [own for own in (built.parent.parent, ROOT) if str(own).encode() in data], name
            assert b"CreationDate" not in data and b"Matplotlib" not in data, name


def test_what_no_record_asks_for_any_more_is_removed_and_nothing_else(built: Path, tmp_path: Path) -> None:
    reports = Path(shutil.copytree(built, tmp_path / "reports"))
    stale = next((reports / "figures").glob("interval1*/*")) / "of_an_older_version.pdf"
    stale.write_bytes(b"%PDF")
    own = reports / "figures" / "README.md"
    own.write_text("mine")
    (gone,) = (reports / "results" / "sample").glob("*.json")
    gone.unlink()
    build(reports)
    left = contents(reports)
    assert not [name for name in left if gone.stem in name and name.startswith(("figures", "tables"))]
    assert not (reports / "figures" / "sample").exists()
    assert gone.stem not in left["index.html"].decode()
    assert own.read_text() == "mine"
    assert [name for name in left if name.startswith("figures/interval1_equivalence/")] and not stale.exists()


def test_a_record_changed_by_hand_is_named_in_one_line_and_the_others_are_reported(reports: Path) -> None:
    (path,) = (reports / "results" / "sample").glob("*.json")
    record = json.loads(path.read_bytes())
    record["content"]["arms"]["run"]["mac_ceiling"] = 100.0
    path.write_text(json.dumps(record))
    command = [sys.executable, str(ROOT / "experiments" / "report.py"), "--reports", str(reports)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert re.fullmatch(rf"{path} is left out: record .* was changed after it was written .*\n", done.stderr)
    assert path.stem not in (reports / "index.html").read_text()
    assert [found.name for found in (reports / "figures").iterdir()] == ["interval1_equivalence"]


def test_a_record_under_another_name_is_refused(reports: Path) -> None:
    (path,) = (reports / "results" / "sample").glob("*.json")
    path.rename(path.with_stem("sample-000000000000"))
    with pytest.raises(BadInput, match="promote puts it where it belongs"):
        read(reports)


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for key, value in attrs if key in ("href", "src") and value]
        self.open += [tag] if tag not in ("meta", "img", "br") else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_every_link_of_the_page_is_relative_and_leads_to_a_file(built: Path) -> None:
    links = Links()
    links.feed((built / "index.html").read_text(encoding="utf-8"))
    files = [link for link in links.found if not link.startswith("#")]
    assert {Path(link).suffix for link in files} == {".pdf", ".png", ".csv", ".tex", ".json"}
    assert all((built / link).is_file() for link in files)
    assert links.open == []


def test_arms_with_the_same_images_share_one_column_of_the_page(built: Path) -> None:
    text = (built / "index.html").read_text(encoding="utf-8")
    assert "A, B ×4, B2 ×2, planted sign_flip" in text
    assert "<br>random weights<br>" in text, "captions say so"
    (record,) = [record for record in read(built) if record.checks]
    images = {sample.image for arm in record.arms.values() for sample in arm.samples}
    section = text.split('<section id="interval1')[1].split("</section>")[0]
    assert section.count('src="thumbnails/') == len(images)


def test_what_a_record_says_cannot_become_markup(reports: Path) -> None:
    record = read(reports)[0]
    study = replace(record.study, question="<script>alert(1)</script> & more")
    text = page([(replace(record, study=study), [])], reports=reports)
    assert "<script" not in text and "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in text
