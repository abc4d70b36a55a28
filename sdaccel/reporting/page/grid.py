"""A table that sorts by any column, and is filtered where it is long."""

from collections.abc import Sequence
from html import escape

from sdaccel.reporting.cells import Cell, Range, digits, shown
from sdaccel.reporting.page.content import Section

GOOD, BAD, NEUTRAL = ("pass", "caught"), ("fail", "FAIL", "NOT CAUGHT"), ("open", "no claim", "not judged")
MANY = 12
"""Rows from which it can be filtered."""


def badge(text: str) -> str:
    kind = "good" if text in GOOD else "bad" if text in BAD else ""
    return f'<span class="badge {kind}">{escape(text)}</span>'


def grid(section: Section) -> str:
    of, title = section.table, escape(section.title)
    marks = [' class="number"' if number else "" for number in of.numeric]
    heads = "".join(
        f'<th scope="col"{mark}><button type="button">{escape(name)}</button></th>'
        for mark, name in zip(marks, of.columns, strict=True)
    )
    links = section.links or [""] * len(of.rows)
    rows = "".join(_row(row, marks, of.missing, link) for row, link in zip(of.rows, links, strict=True))
    field = f'<input type="search" placeholder="filter rows" aria-label="filter rows of {title}">'
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{title}">{field if len(of.rows) > MANY else ""}'
        f"<table><thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>"
    )


def _row(row: Sequence[Cell], marks: Sequence[str], missing: str, link: str) -> str:
    cells = [f"<td{mark}{_value(cell)}>{_text(cell, missing)}</td>" for cell, mark in zip(row, marks, strict=True)]
    if link:
        cells[0] = f'<td><a href="{escape(link)}">{_text(row[0], missing)}</a></td>'
    return f"<tr>{''.join(cells)}</tr>\n"


def _value(cell: Cell) -> str:
    """What it is sorted by, where that is not its text."""
    number = cell.estimate if isinstance(cell, Range) else cell
    if number is None:
        return ' data-value=""'
    return f' data-value="{number!r}"' if isinstance(number, int | float) and not isinstance(number, bool) else ""


def _text(cell: Cell, missing: str) -> str:
    """An interval stands under its estimate."""
    if isinstance(cell, Range):
        return escape(digits(cell.estimate)) + (
            f'<br><span class="quiet">{escape(cell.interval)}</span>' if cell.interval else ""
        )
    text = shown(cell, missing=missing)
    return badge(text) if text in (*GOOD, *BAD, *NEUTRAL) else escape(text)
