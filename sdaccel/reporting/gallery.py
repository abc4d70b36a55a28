"""reports/index.html: one page that needs nothing but the files beside it."""

import shlex
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from sdaccel.records.outline import outline_of
from sdaccel.records.view import Git, Record
from sdaccel.reporting import figures, strip, tables
from sdaccel.reporting.cells import Cell, Range, Table, digits, shown
from sdaccel.reporting.models import Model
from sdaccel.reporting.models import models as tabulated
from sdaccel.reporting.registry import Find
from sdaccel.reporting.sheet import SHEET
from sdaccel.reporting.style import titled

DENSITY = 1.8
"""Pixels of a figure per pixel of the page: sharp on a dense screen, text as large as the page's small print."""
BADGES = ("pass", "fail", "open", "caught", "NOT CAUGHT", "not judged", "FAIL")


def finder(reports: Path) -> Find:
    """Pictures as promoted: under the beginning of their hash."""
    return lambda arm, sample: reports / "thumbnails" / strip.thumbnail(sample.image)


def page(records: Sequence[tuple[Record, list[Path]]], *, reports: Path, models: Sequence[Model] = ()) -> str:
    """All records with the files that were made of each, linked relative to `reports`; then the models."""
    contents = "".join(
        f'<tr><td><a href="#{escape(r.id)}">{escape(r.id)}</a></td><td>{escape(_question(r))}</td>'
        f'<td class="quiet">{escape(_made(r))}</td><td>{_badge(r.verdict)}{_today(r)}</td></tr>'
        for r, _ in records
    )
    sections = "".join(_section(record, paths, reports) for record, paths in records)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>sdaccel: results</title>\n<style>\n{SHEET}</style></head>\n<body>\n<h1>sdaccel: results</h1>\n"
        '<p class="quiet">Every number, figure and table of this page is a function of the committed records in '
        "<code>results/</code>; <code>python experiments/report.py</code> makes them again, byte for byte.</p>\n"
        '<div class="wide"><table><tr><th>record</th><th>question</th><th>made of</th><th>verdict</th></tr>'
        f"{contents}</table></div>\n"
        f"{sections}{_models(models, reports) if models else ''}</body></html>\n"
    )


def _section(record: Record, paths: Iterable[Path], reports: Path) -> str:
    links = [path.relative_to(reports).as_posix() for path in paths]
    time = _tables(record, "Time", "timing", "bench", "split", "agreement")
    pictures = [_titled(*found) for found in [strip.strip(record, reports / "thumbnails")] if found[1]]
    quality = [*pictures, *_tables(record, "Quality", "quality", container="bleed")] if record.measured else []
    missing = figures.lacking(record.study.figures, outline_of(record))
    parts = [
        f'<section id="{escape(record.id)}">\n{_badge(record.verdict)} <span class="quiet">{escape(record.id)}</span>',
        f"<h2>{escape(_question(record))}</h2>",
        _run(record),
        *(f'<p class="badge fail">{escape(reason)}</p>' for reason in record.failures),
        *_tables(record, "Verdict", "summary"),
        *_again(record),
        *(quality if quality else time),
        *_tables(record, "Who wins at which cost", "winners", container="bleed"),
        *(_figure(link, reports) for link in links if link.endswith(".png") and Path(link).stem != "sample_sheet"),
        *(f'<p class="quiet">{escape(sentence)}</p>' for sentence in missing),
        *(time if quality else pictures),
        *_tables(record, "All metrics", "metrics", folded=True),
        *_tables(record, f"All {len(record.arms)} arms", "arms", folded=True),
        _downloads(record, links),
        "</section>\n",
    ]
    return "\n".join(part for part in parts if part)


def _today(record: Record) -> str:
    return f'<br><span class="quiet">judged again</span> {_badge(record.again.verdict)}' if record.again else ""


def _again(record: Record) -> list[str]:
    """What the checks of today say, beside what was said then."""
    if record.again is None:
        return []
    reasons = [f'<p class="badge fail">{escape(reason)}</p>' for reason in record.again.failures]
    found = _tables(record, f"Judged again by today's checks: {_badge(record.again.verdict)}", "judged_again")
    return [*found, *reasons]


def _tables(record: Record, title: str, *names: str, container: str = "wide", folded: bool = False) -> list[str]:
    """Those of these tables that have something to say, each under the title."""
    under = _details if folded else _titled
    return [under(title, table(found, container=container)) for found in tables.tables(record, *names).values()]


def _models(models: Sequence[Model], reports: Path) -> str:
    """What ships, each with its training curve and, where there is one, its sheet of samples."""
    figures = "".join(_figure(f"zoo/{model.name}/curve.png", reports) for model in models)
    sheets = "".join(
        f'<h3>{escape(model.name)}</h3><div class="bleed"><img src="zoo/{escape(model.name)}/sheet.png" alt="samples"></div>'
        for model in models
        if (reports / "zoo" / model.name / "sheet.png").is_file()
    )
    files = "".join(
        f'<p class="quiet"><a href="zoo/{name}/result.json">{name}/result.json</a> · '
        f'<a href="zoo/{name}/curve.jsonl">{name}/curve.jsonl</a></p>'
        for name in (escape(model.name) for model in models)
    )
    return (
        f'<section id="models">\n<h2>Models that ship</h2>\n{table(tabulated(list(models)))}\n'
        f'<div class="curves">{figures}</div>\n'
        f"{sheets}{_details('Files', files)}\n</section>\n"
    )


def _question(record: Record) -> str:
    return record.study.question or record.study.name


def _made(record: Record) -> str:
    """What tells records of one study apart: samples of an arm, and the machine; and that weights are random."""
    count, source = len(record.conditions), record.provenance
    number = f"{count} {'sample' if count == 1 else 'samples'}, " if record.arms else ""
    return titled(record, number + ("CPU" if source.device == "cpu" else source.device_name))


def _badge(text: str) -> str:
    colour = {"pass": "pass", "caught": "pass", "fail": "fail", "FAIL": "fail", "NOT CAUGHT": "fail"}.get(text, "")
    return f'<span class="badge {colour}">{escape(text)}</span>'


def _titled(title: str, body: str) -> str:
    return f"<h3>{title}</h3>\n{body}"


def _details(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>{body}</details>"


def table(of: Table, *, container: str = "wide") -> str:
    """A table as HTML, for this page and for notebooks."""
    marks = [' class="number"' if number else "" for number in of.numeric]
    head = "".join(f"<th{mark}>{escape(name)}</th>" for mark, name in zip(marks, of.columns, strict=True))
    rows = ""
    for row in of.rows:
        cells = (_cell(cell, of.missing) for cell in row)
        rows += "<tr>" + "".join(f"<td{mark}>{cell}</td>" for mark, cell in zip(marks, cells, strict=True)) + "</tr>\n"
    return f'<div class="{container}"><table><tr>{head}</tr>\n{rows}</table></div>'


def _cell(cell: Cell, missing: str) -> str:
    """An interval stands under its estimate."""
    if isinstance(cell, Range):
        below = f'<br><span class="quiet interval">{escape(cell.interval)}</span>' if cell.interval else ""
        return escape(digits(cell.estimate)) + below
    text = shown(cell, missing=missing)
    return _badge(text) if text in BADGES else escape(text)


def _run(record: Record) -> str:
    """What ran, and on what."""
    source = record.provenance
    command = shlex.join(["python", *source.command])
    threads = f", threads: {source.threads}" if source.threads is not None else ""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(source.libraries.items()))
    git = source.git or Git("not in git")
    changed = " with uncommitted changes" if git.dirty else ""
    weights = f" · {record.weights}" if record.weights else ""
    return (
        f"<pre>{escape(command)}</pre>\n"
        f'<p class="quiet">{escape(source.device)} ({escape(source.device_name)}){threads} · '
        f"python {escape(source.python)}, {escape(versions)} · commit {escape(git.commit[:12])}{changed} · "
        f"content {escape(record.content_hash[:12])}{weights}</p>"
    )


def _figure(png: str, reports: Path) -> str:
    pdf, name = escape(png.removesuffix(".png") + ".pdf"), escape(Path(png).stem.replace("_", " "))
    width = round(strip.size(reports / png)[0] / DENSITY)
    return f'<figure><a href="{pdf}"><img src="{escape(png)}" alt="{name}" width="{width}"></a></figure>'


def _downloads(record: Record, links: list[str]) -> str:
    wanted = [link for link in links if not link.endswith(".png")] + [f"results/{record.study.name}/{record.id}.json"]
    return "<p>" + " · ".join(f'<a href="{escape(link)}">{escape(Path(link).name)}</a>' for link in wanted) + "</p>"
