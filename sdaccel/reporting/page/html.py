"""A page as one HTML file: style and script stand in it, and nothing is fetched from anywhere."""

from collections.abc import Sequence
from functools import cache
from html import escape
from pathlib import Path
from string import Template

from sdaccel.reporting.page.content import Page
from sdaccel.reporting.page.grid import badge, grid
from sdaccel.reporting.page.slides import image, slides


def html(page: Page) -> str:
    parts = _parts(page)
    return Template(_file("page.html")).substitute(
        title=escape(page.name),
        style=_file("page.css"),
        script=_file("page.js"),
        badge=badge(page.verdict),
        name=escape(page.name),
        question=escape(page.question),
        answer=escape(page.answer),
        caveats=_list(page.caveats, label="Caveats"),
        reasons=_list(page.reasons, label="Failed or open", kind="bad"),
        contents=" ".join(f'<a href="#part{i}">{escape(title)}</a>' for i, (title, _) in enumerate(parts)),
        body="".join(
            f'<section aria-labelledby="part{i}">\n<h2 id="part{i}">{escape(title)}</h2>\n{body}\n</section>\n'
            for i, (title, body) in enumerate(parts)
        ),
    )


@cache
def _file(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _parts(page: Page) -> list[tuple[str, str]]:
    """Title and body of all that is there: what decides, what it looks like, what is looked up."""
    first, *others = [(section.title, grid(section)) for section in page.sections if not section.folded] or [("", "")]
    parts = [first] if first[0] else []
    if page.rows:
        parts.append(("Pictures", slides(page)))
    parts += others
    if page.figures:
        figures = "".join(
            f'<figure><a href="{escape(picture.source)}">{image(picture)}</a></figure>' for picture in page.figures
        )
        parts.append(("Figures", f'<div class="figures">{figures}</div>'))
    if folded := [section for section in page.sections if section.folded]:
        tables = (f"<details><summary>{escape(s.title)}</summary>{grid(s)}</details>\n" for s in folded)
        parts.append(("All numbers", "".join(tables)))
    return [*parts, ("Command", _command(page))]


def _command(page: Page) -> str:
    files = " · ".join(f'<a href="{escape(name)}">{escape(name)}</a>' for name in page.files)
    return f'<pre>{escape(page.command)}</pre>\n<p class="quiet">{escape(page.made)}</p>\n<p>{files}</p>'


def _list(lines: Sequence[str], *, label: str, kind: str = "") -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<ul class="notes {kind}" aria-label="{label}">{items}</ul>\n' if lines else ""
