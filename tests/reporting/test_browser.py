"""The page as a reader meets it: in Chromium, by pointer and by keyboard, on a phone and on a desk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sdaccel.reporting import figures
from sdaccel.reporting.build import read
from sdaccel.reporting.gallery import finder
from sdaccel.reporting.page import of_record
from tests.browser import CHROMIUM, Browser, browser

pytestmark = [
    pytest.mark.verify,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
]
CUT = "document.querySelector('.frame').style.getPropertyValue('--cut')"
COLUMN = "[...document.querySelectorAll('table')[1].tBodies[0].rows].map(row => row.cells[1].dataset.value)"


@pytest.fixture(scope="module")
def page(scored: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    (record,), folder = read(scored), tmp_path_factory.mktemp("page")
    (folder / "record.json").write_text("{}")
    return of_record.write(record, folder, find=finder(scored), figures=figures.draw(record, folder))


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1400])
def test_nothing_overflows_no_picture_is_missing_and_nothing_is_fetched(
    width: int, dark: bool, page: Path, tab: Browser
) -> None:
    tab.open(page, width=width, dark=dark)
    assert tab.js("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert tab.js("[...document.images].filter(image => !image.naturalWidth).length") == 0
    assert tab.errors == []
    assert tab.asked and all(address.startswith("file://") for address in tab.asked)
    ground = tab.js("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") is not dark


def test_a_slider_moves_by_pointer_and_by_keyboard(page: Path, tab: Browser) -> None:
    tab.open(page, width=1400)
    tab.js("document.querySelector('.frame').scrollIntoView({block: 'center'})")
    box = tab.js("(b => [b.x, b.y, b.width, b.height])(document.querySelector('.frame').getBoundingClientRect())")
    middle = box[1] + box[3] / 2
    tab.drag((box[0] + 5, middle), (box[0] + 0.75 * box[2], middle))
    assert tab.js(CUT) == "75%"
    tab.js("document.querySelector('input[type=range]').focus()")
    tab.press("ArrowLeft")
    assert tab.js(CUT) == "74%"
    tab.press("End")
    assert tab.js(CUT) == "100%"


def test_a_table_sorts_by_keyboard_up_and_down_with_missing_values_last(page: Path, tab: Browser) -> None:
    tab.open(page, width=1400)
    tab.js("document.querySelectorAll('table')[1].tHead.rows[0].cells[1].querySelector('button').focus()")
    for way, key in (("ascending", "Enter"), ("descending", " ")):
        tab.press(key)
        values = tab.js(COLUMN)
        known = [float(value) for value in values if value]
        assert known == sorted(known, reverse=way == "descending") and len(set(known)) > 1
        assert values == [value for value in values if value] + [value for value in values if not value]
        assert tab.js("document.querySelectorAll('table')[1].tHead.rows[0].cells[1].getAttribute('aria-sort')") == way


def test_every_link_slider_and_head_is_reached_by_tab(page: Path, tab: Browser) -> None:
    tab.open(page, width=1400)
    wanted = tab.js("[...document.querySelectorAll('a, input, th button, summary')].filter(e => e.checkVisibility()).length")
    tab.js("window.reached = new Set(); addEventListener('focusin', event => reached.add(event.target))")
    for _ in range(2 * wanted):
        tab.press("Tab")
    reached = "[...reached].filter(e => e.matches('a, input, th button, summary')).length"
    assert tab.js(reached) == wanted
