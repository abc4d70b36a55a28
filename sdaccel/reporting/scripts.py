"""Fonts for prompts in any script: Noto where it is installed, and signs of a missing glyph where it is not."""

import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

OURS = "DejaVu Sans"
"""Ships with matplotlib: the same glyphs on every machine."""


@contextmanager
def unwarned() -> Iterator[None]:
    """A glyph that no font has is drawn as a box that shows its script, which says enough."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from font")
        yield


def families(text: str) -> list[str]:
    """Ours, then as few of the installed ones as it takes for the characters that ours lacks."""
    from matplotlib import font_manager

    def has(path: str) -> set[int]:
        return set(font_manager.get_font(path).get_charmap())

    missing = {ord(c) for c in text if c.isprintable()}
    if not missing or not (missing := missing - has(font_manager.findfont(OURS))):
        return [OURS]
    noto = {each.name: each.fname for each in font_manager.fontManager.ttflist if each.name.startswith("Noto Sans")}
    chosen = [OURS]
    for name in sorted(noto, key=lambda name: (len(name), name)):
        if there := missing & has(noto[name]):
            chosen, missing = [*chosen, name], missing - there
    return chosen


def cells(text: str) -> int:
    """Width in Latin letters: those of Chinese, Japanese and Korean are as wide as two."""
    return sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in text)
