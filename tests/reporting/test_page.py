"""Laws of the page that a run ends in: a function of its record and pictures, true to both, and whole without a network."""

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdaccel.records.view import Arm, Each, Record
from sdaccel.reporting import figures
from sdaccel.reporting.build import read
from sdaccel.reporting.cells import digits
from sdaccel.reporting.gallery import finder
from sdaccel.reporting.page import of_record
from sdaccel.reporting.page.answer import NOTHING, answer
from sdaccel.reporting.page.caveats import caveats
from sdaccel.reporting.page.names import source
from sdaccel.reporting.page.pictures import DARKEST, pictures
from sdaccel.reporting.strip import size
from sdaccel.samples import digest
from tests.conftest import ROOT


class Tags(HTMLParser):
    """Attributes of every tag, by its name; what is not closed stays open."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {key: value or "" for key, value in attrs}))
        self.open += [tag] if tag not in ("meta", "img", "br", "input") else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name == tag]


def written(record: Record, reports: Path, folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "record.json").write_text("{}")
    return of_record.write(record, folder, find=finder(reports))


@pytest.fixture(scope="module")
def record(scored: Path) -> Record:
    (found,) = read(scored)
    return found


@pytest.fixture(scope="module")
def page(record: Record, scored: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(record, scored, tmp_path_factory.mktemp("page") / "run")


def test_the_same_record_and_pictures_give_the_same_bytes_wherever_they_are(
    record: Record, scored: Path, page: Path, tmp_path: Path
) -> None:
    other = written(record, scored, tmp_path / "another name").parent
    names = sorted(path.relative_to(other) for path in other.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(page.parent) for path in page.parent.rglob("*") if path.is_file())
    assert [name for name in names if (other / name).read_bytes() != (page.parent / name).read_bytes()] == []
    assert str(page.parent.parent) not in page.read_text()


def test_a_page_is_whole_by_itself(page: Path) -> None:
    tags = Tags(page)
    links = [link for tag in tags.found for key in ("src", "href") if (link := tag[1].get(key)) and not link.startswith("#")]
    assert links and all((page.parent / link).is_file() for link in links)
    assert tags.open == [] and not tags.all("link")
    assert not re.search(r"https?://|url\(|@import", page.read_text()), "nothing is fetched from anywhere"


def test_every_picture_says_what_it_shows_and_loads_when_it_is_looked_at(page: Path) -> None:
    images = Tags(page).all("img")
    assert len(images) > 10
    assert all(image["alt"] and image["loading"] == "lazy" and int(image["width"]) > 0 for image in images)
    labels = [slider["aria-label"] for slider in Tags(page).all("input") if slider["type"] == "range"]
    assert labels and all("left target, right " in label for label in labels)


def test_no_picture_is_cropped_or_stretched(page: Path) -> None:
    for image in Tags(page).all("img"):
        wide, high = size(page.parent / image["src"])
        assert int(image["width"]) * high == int(image["height"]) * wide


def test_the_answer_has_the_records_numbers_with_n_and_the_device(record: Record) -> None:
    said = answer(record)
    best = max((a for a in record.timing.arms.values() if a.speedup), key=lambda a: a.speedup.estimate if a.speedup else 0)
    assert best.speedup and f"is {digits(best.speedup.estimate)} times as fast" in said
    assert re.search(r"\d of \d verdicts hold", said)
    assert re.search(r"\(CPU, N = 24, 1 rounds, random weights in \d of \d arms\)$", said)


def test_random_weights_and_few_samples_are_said(record: Record) -> None:
    said = " ".join(caveats(record))
    assert "Random weights" in said
    assert "an interval of FID" in said, "what has no value has a reason"
    assert "below 12" in " ".join(caveats(replace(record, conditions=record.conditions[:4])))
    assert "no claim" in " ".join(caveats(replace(record, checks=[])))


def test_every_arm_with_other_pictures_is_compared_and_equal_ones_have_no_map(
    record: Record, scored: Path, tmp_path: Path
) -> None:
    found = pictures(record, finder(scored), tmp_path)
    pairs = {pair.name: pair for row in found.rows for pair in row.pairs}
    assert pairs["target"].other is None and pairs["draft"].error
    note = "The same pixels: twin (random weights)."
    same = replace(record, arms={**record.arms, "twin": replace(record.arms["target"], name="twin", template="twin")})
    rows = pictures(same, finder(scored), tmp_path).rows
    assert [(row.title, row.note) for row in rows if row.note] == [("target (random weights), the baseline", note)]


def test_an_error_map_is_bright_where_pictures_differ_and_black_elsewhere(record: Record, tmp_path: Path) -> None:
    """Two pictures of 8 pixels that differ by 30 in all colours of one pixel."""
    base = np.full((8, 8, 3), 100, np.uint8)
    other = base.copy()
    other[2, 5] += 30
    places = {}
    for name, pixels in (("target", base), ("draft", other)):
        places[digest(pixels.tobytes())] = tmp_path / f"{name}.png"
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    hashes = dict(zip(("target", "draft"), places, strict=True))
    arms = {name: record.arms[name] for name in hashes}
    arms = {n: replace(a, each=_only(a, hashes[n])) for n, a in arms.items()}
    small = replace(record, arms=arms, conditions=record.conditions[:1])
    found = pictures(small, lambda arm, sample: places[sample.image], tmp_path)
    (pair,) = [pair for row in found.rows for pair in row.pairs if pair.error]
    assert pair.error and "largest 30 of 255" in pair.said and "16 of 255 or more" in found.legend and DARKEST < 30
    with Image.open(tmp_path / pair.error.source) as opened:
        drawn = np.asarray(opened)
    assert (drawn[2, 5] == 255).all() and drawn.sum() == 3 * 255


def _only(arm: Arm, image: str) -> Callable[[], Each]:
    each = arm.each()
    return lambda: replace(each, samples=[replace(each.samples[0], image=image)])


def test_pictures_that_the_page_no_longer_shows_are_removed(record: Record, scored: Path, tmp_path: Path) -> None:
    pictures(record, finder(scored), tmp_path)
    fewer = replace(record, arms={name: record.arms[name] for name in ("target", "draft")})
    found = pictures(fewer, finder(scored), tmp_path)
    used = {p.source for row in found.rows for pair in row.pairs for p in (pair.picture, pair.other, pair.error) if p}
    assert {f"pictures/{path.name}" for path in (tmp_path / "pictures").iterdir()} == used


def test_what_a_record_says_cannot_become_markup(record: Record, scored: Path, tmp_path: Path) -> None:
    study = replace(record.study, question='<script>alert(1)</script> "& more')
    bad = [f'"><img src=x onerror=alert(1)> {i}' for i in range(len(record.conditions))]
    text = written(replace(record, study=study, conditions=bad), scored, tmp_path / "run").read_text()
    assert text.count("<script") == 1 and "onerror=alert(1)>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &quot;&amp; more" in text


def test_figures_and_their_files_are_on_the_page(record: Record, scored: Path, tmp_path: Path) -> None:
    drawn = figures.draw(record, tmp_path)
    (tmp_path / "record.json").write_text("{}")
    tags = Tags(of_record.write(record, tmp_path, find=finder(scored), figures=drawn))
    (figure,) = [image for image in tags.all("img") if image["src"] == "timing.png"]
    assert "speed-up" in figure["alt"]
    assert {path.name for path in drawn} <= {link.get("href") for link in tags.all("a")}


def test_every_committed_record_is_answered_in_numbers() -> None:
    for committed in read(ROOT / "reports"):
        said = answer(committed)
        assert NOTHING not in said and not re.search(r"\b(nan|inf|None)\b", said.replace("None of", "")), committed.id
        assert said.endswith(f"({source(committed)})") and re.search(r"\d", said)
