"""Prompts in any script are drawn, with whatever fonts this machine has, and without a warning (here an error)."""

import numpy as np
import pytest
from matplotlib import font_manager

from sdaccel.reporting import style
from sdaccel.reporting.sample_sheet import sheet
from sdaccel.reporting.scripts import OURS, cells, families

PROMPTS = ("一只红狐狸在雪山上", "a fox 🦊 for $5 or $6", "ลูกสุนัข", "लाल लोमड़ी", "красная лиса", "\ue000 of nobody's alphabet")


def _characters(name: str) -> set[int]:
    return set(font_manager.get_font(font_manager.findfont(name)).get_charmap())


def test_text_that_our_font_has_asks_for_no_other() -> None:
    assert families("a red fox · ×4 ≥ σ") == [OURS] == families("") == families("красная лиса\n")


@pytest.mark.parametrize("text", PROMPTS)
def test_fonts_that_are_installed_serve_what_ours_lacks(text: str) -> None:
    chosen, has = families(text), {name: _characters(name) for name in families(text)}
    assert chosen[0] == OURS
    lacking = set(map(ord, text)) - has[OURS]
    for name in chosen[1:]:
        assert lacking & has[name], f"{name} is of no use"
        lacking -= has[name]
    everyone = {each.name for each in font_manager.fontManager.ttflist if each.name.startswith("Noto Sans")}
    assert not any(lacking & _characters(name) for name in everyone)


def test_every_script_is_drawn_and_its_lines_end_inside_the_sheet() -> None:
    picture = np.zeros((128, 128, 3), np.uint8)
    prompts = [*PROMPTS[:2], PROMPTS[0] * 6]
    with style.styled("".join(prompts)):
        drawn = sheet([("run", [picture] * len(prompts))], prompts, title="A title much longer than the pictures are wide")
        drawn.draw_without_rendering()
        right = max(text.get_window_extent().x1 for text in drawn.texts)
        assert right <= drawn.bbox.x1 * 1.01
    assert cells("雪a") == 3
