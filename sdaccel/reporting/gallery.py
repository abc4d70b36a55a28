"""reports/index.html: one page that needs nothing but the files beside it."""

import shlex
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from sdaccel.reporting import series, tables
from sdaccel.reporting.sheet import SHEET
from sdaccel.reporting.tables import Table

Record = dict[str, Any]

CRISP = 128
"""Pixels: a smaller image is enlarged by a whole factor to about this, pixel by pixel."""
DENSITY = 1.8
"""Pixels of a figure per pixel of the page: sharp on a dense screen, text as large as the page's small print."""
BADGES = ("pass", "fail", "caught", "NOT CAUGHT", "FAIL")


def page(records: Sequence[tuple[Record, list[Path]]], *, reports: Path) -> str:
    """All records with the files that were made of each, linked relative to `reports`."""
    contents = "".join(
        f'<tr><td><a href="#{escape(r["id"])}">{escape(r["id"])}</a></td><td>{escape(_question(r))}</td>'
        f"<td>{_badge(_verdict(r))}</td></tr>"
        for r, _ in records
    )
    sections = "".join(_section(record, paths, reports) for record, paths in records)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>sdaccel: results</title>\n<style>\n{SHEET}</style></head>\n<body>\n<h1>sdaccel: results</h1>\n"
        '<p class="quiet">Every number, figure and table of this page is a function of the committed records in '
        "<code>results/</code>; <code>python experiments/report.py</code> makes them again, byte for byte.</p>\n"
        f'<div class="wide"><table><tr><th>record</th><th>question</th><th>verdict</th></tr>{contents}</table></div>\n'
        f"{sections}</body></html>\n"
    )


def _section(record: Record, paths: Iterable[Path], reports: Path) -> str:
    links = [path.relative_to(reports).as_posix() for path in paths]
    parts = [
        f'<section id="{escape(record["id"])}">\n{_badge(_verdict(record))} <span class="quiet">{escape(record["id"])}</span>',
        f"<h2>{escape(_question(record))}</h2>",
        _run(record),
        *(f'<p class="badge fail">{escape(reason)}</p>' for reason in record["content"]["failures"]),
        *(_titled("Verdict", table(t)) for t in [tables.summary(record)] if t.rows),
        *(_titled("Time", table(t)) for t in [tables.timing(record)] if t.rows),
        *(_figure(link, reports) for link in links if link.endswith(".png")),
        _strip(record, reports / "thumbnails"),
        f"<details><summary>All {len(record['content']['arms'])} arms</summary>{table(tables.arms(record))}</details>",
        _downloads(record, links),
        "</section>\n",
    ]
    return "\n".join(part for part in parts if part)


def _question(record: Record) -> str:
    study = record["content"]["config"]["study"]
    return str(study["question"] or study["name"])


def _verdict(record: Record) -> str:
    return str(record["content"]["verdict"]) if record["content"]["checks"] else "no checks"


def _badge(text: str) -> str:
    colour = {"pass": "pass", "caught": "pass", "fail": "fail", "FAIL": "fail", "NOT CAUGHT": "fail"}.get(text, "")
    return f'<span class="badge {colour}">{escape(text)}</span>'


def _titled(title: str, body: str) -> str:
    return f"<h3>{title}</h3>\n{body}"


def table(of: Table) -> str:
    """A table as HTML, for this page and for notebooks."""
    numeric = [any(isinstance(row[i], int | float) for row in of.rows) for i in range(len(of.columns))]
    marks = [' class="number"' if number else "" for number in numeric]
    head = "".join(f"<th{mark}>{escape(name)}</th>" for mark, name in zip(marks, of.columns, strict=True))
    rows = ""
    for row in of.rows:
        texts = [tables.shown(cell, missing=of.missing) for cell in row]
        cells = (_badge(text) if text in BADGES else escape(text) for text in texts)
        rows += "<tr>" + "".join(f"<td{mark}>{cell}</td>" for mark, cell in zip(marks, cells, strict=True)) + "</tr>\n"
    return f'<div class="wide"><table><tr>{head}</tr>\n{rows}</table></div>'


def _run(record: Record) -> str:
    """What ran, and on what."""
    source = record["provenance"]
    command = shlex.join(["python", *source["command"]])
    threads = f", threads: {source['threads']}" if "threads" in source else ""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(source["libraries"].items()))
    git = source["git"] or {"commit": "not in git", "dirty": None}
    changed = " with uncommitted changes" if git["dirty"] else ""
    return (
        f"<pre>{escape(command)}</pre>\n"
        f'<p class="quiet">{escape(source["device"])} ({escape(source["device_name"])}){threads} · '
        f"python {escape(source['python'])}, {escape(versions)} · commit {escape(git['commit'][:12])}{changed} · "
        f"content {escape(record['content_hash'][:12])}</p>"
    )


def _figure(png: str, reports: Path) -> str:
    pdf, name = escape(png.removesuffix(".png") + ".pdf"), escape(Path(png).stem.replace("_", " "))
    width = round(_size(reports / png)[0] / DENSITY)
    return f'<figure><a href="{pdf}"><img src="{escape(png)}" alt="{name}" width="{width}"></a></figure>'


def _strip(record: Record, thumbnails: Path) -> str:
    """Rows are samples, columns distinct results: arms whose every image coincides share one."""
    arms = record["content"]["arms"]
    columns = series.coinciding({name: [s["image"] for s in arm["samples"]] for name, arm in arms.items()})
    first = next(iter(arms.values()))["samples"]
    kept = [i for i in range(len(first)) if all((thumbnails / _thumbnail(images[i])).is_file() for _, images in columns)]
    if not kept:
        return ""
    heads = "".join(f"<th>{_heading([arms[n] for n in names], names, record)}</th>" for names, _ in columns)
    rows, conditions = "", record["content"]["config"]["data"]["conditions"]
    for i in kept:
        cells = "".join(f"<td>{_image(images[i], thumbnails)}</td>" for _, images in columns)
        rows += f"<tr><th>{escape(str(conditions[first[i]['index']]))}</th>{cells}</tr>\n"
    rest = f'<p class="quiet">{len(first) - len(kept)} more samples stand in the record.</p>' if len(kept) < len(first) else ""
    return _titled("Samples", f'<div class="wide"><table class="strip"><tr><th></th>{heads}</tr>\n{rows}</table></div>{rest}')


def _heading(column: list[dict[str, Any]], names: list[str], record: Record) -> str:
    """The arms of a column by template, what they share of the study's options, and how they compare with the baseline."""
    varied = series.varying(record["content"]["arms"])
    who = series.counted(f"planted {arm['template']}" if arm["control"] else arm["template"] for arm in column)
    values = {key: {str(arm["point"][key]) for arm in column if key in arm["point"]} for key in varied}
    shared = ", ".join(f"{series.short(key)}={next(iter(v))}" for key, v in values.items() if len(v) == 1)
    lines = [f'<b title="{escape(", ".join(names))}">{escape(who)}</b>', escape(shared), _compared(column, names)]
    return "<br>".join(line for line in lines if line)


def _compared(column: list[dict[str, Any]], names: list[str]) -> str:
    paired = [arm["paired"] for arm in column if arm["paired"]]
    if not paired:
        return ""
    if paired[0]["against"] in names:
        return '<span class="quiet">baseline</span>' if len(names) == 1 else '<span class="quiet">identical to baseline</span>'
    psnr = "" if paired[0]["psnr"] is None else f"PSNR {paired[0]['psnr']:.1f} dB, "
    return f'<span class="quiet">{psnr}{paired[0]["identical"]} of {paired[0]["n"]} identical to baseline</span>'


def _thumbnail(image: str) -> str:
    return f"{image[:16]}.png"


def _image(image: str, thumbnails: Path) -> str:
    width, height = _size(thumbnails / _thumbnail(image))
    factor = -(-CRISP // width) if width < CRISP else min(1, 2 * CRISP / width)
    size = f'width="{round(width * factor)}" height="{round(height * factor)}"'
    crisp = ' class="crisp"' if width < CRISP else ""
    return f'<img src="thumbnails/{_thumbnail(image)}" alt="" {size}{crisp}>'


def _size(image: Path) -> tuple[int, int]:
    from PIL import Image

    with Image.open(image) as opened:
        return opened.size


def _downloads(record: Record, links: list[str]) -> str:
    study = record["content"]["config"]["study"]["name"]
    wanted = [link for link in links if not link.endswith(".png")] + [f"results/{study}/{record['id']}.json"]
    return "<p>" + " · ".join(f'<a href="{escape(link)}">{escape(Path(link).name)}</a>' for link in wanted) + "</p>"
