"""The pictures of a record on the page: samples down and arms across, or many arms down and a few samples across."""

from html import escape
from pathlib import Path

from sdaccel.records.view import Arm, Record
from sdaccel.reporting import series
from sdaccel.reporting.quality import named
from sdaccel.reporting.sample_sheet import kept, said

CRISP = 128
"""Pixels: a smaller image is enlarged by a whole factor to about this, pixel by pixel."""


def strip(record: Record, thumbnails: Path) -> tuple[str, str]:
    """Title and table; an empty table where no picture of every arm is there."""
    return "Samples", by_arm(record, thumbnails) if record.measured else by_sample(record, thumbnails)


def by_arm(record: Record, thumbnails: Path) -> str:
    """For studies of quality: what differs between arms stands below one another."""
    arms = {name: arm for name, arm in record.arms.items() if not arm.control or arm.metrics}
    rows = kept(record, lambda name, sample: thumbnails / thumbnail(sample.image))
    if not rows:
        return ""
    heads = "".join(f"<th>{escape(said(record, i))}</th>" for i in rows)
    said_of = series.labels(arms) | named(record)
    names, lines = {name: series.weighted(said_of[name], arm) for name, arm in arms.items()}, ""
    for own, images in series.coinciding({name: [arm.samples[i].image for i in rows] for name, arm in arms.items()}):
        cells = "".join(f"<td>{_image(image, thumbnails)}</td>" for image in images)
        lines += f"<tr><th>{'<br>'.join(escape(names[name]) for name in own)}</th>{cells}</tr>\n"
    count = len(record.conditions)
    rest = f'<p class="quiet">{count - len(rows)} more samples stand in the record.</p>' if len(rows) < count else ""
    return f'<div class="bleed"><table class="strip across"><tr><th></th>{heads}</tr>\n{lines}</table></div>{rest}'


def by_sample(record: Record, thumbnails: Path) -> str:
    """Rows are samples, columns distinct results: arms whose every image coincides share one."""
    arms, count = record.arms, len(record.conditions)
    columns = series.coinciding({name: [s.image for s in arm.samples] for name, arm in arms.items()})
    if not arms:
        return ""
    shown = [i for i in range(count) if all((thumbnails / thumbnail(images[i])).is_file() for _, images in columns)]
    if not shown:
        return ""
    heads = "".join(f"<th>{_heading([arms[n] for n in names], names, record)}</th>" for names, _ in columns)
    rows = ""
    for i in shown:
        cells = "".join(f"<td>{_image(images[i], thumbnails)}</td>" for _, images in columns)
        rows += f"<tr><th>{escape(str(record.conditions[i]))}</th>{cells}</tr>\n"
    rest = f'<p class="quiet">{count - len(shown)} more samples stand in the record.</p>' if len(shown) < count else ""
    return f'<div class="wide"><table class="strip"><tr><th></th>{heads}</tr>\n{rows}</table></div>{rest}'


def _heading(column: list[Arm], names: list[str], record: Record) -> str:
    """The arms of a column by template, what they share of the study's options, and how they compare with the baseline."""
    varied = series.varying(record.arms)
    who = series.counted(f"planted {arm.template}" if arm.control else arm.template for arm in column)
    values = {key: {str(arm.point[key]) for arm in column if key in arm.point} for key in varied}
    shared = ", ".join(f"{series.short(key)}={next(iter(v))}" for key, v in values.items() if len(v) == 1)
    random = "random weights" if any(arm.facts.random_weights for arm in column) else ""
    lines = [f'<b title="{escape(", ".join(names))}">{escape(who)}</b>', escape(shared), random, _compared(column, names)]
    return "<br>".join(line for line in lines if line)


def _compared(column: list[Arm], names: list[str]) -> str:
    paired = [arm.paired for arm in column if arm.paired]
    if not paired:
        return ""
    if paired[0].against in names:
        return '<span class="quiet">baseline</span>' if len(names) == 1 else '<span class="quiet">identical to baseline</span>'
    psnr = "" if paired[0].psnr is None else f"PSNR {paired[0].psnr:.1f} dB, "
    return f'<span class="quiet">{psnr}{paired[0].identical} of {paired[0].n} identical to baseline</span>'


def thumbnail(image: str) -> str:
    return f"{image[:16]}.png"


def _image(image: str, thumbnails: Path) -> str:
    width, height = size(thumbnails / thumbnail(image))
    factor = -(-CRISP // width) if width < CRISP else min(1, 2 * CRISP / width)
    lengths = f'width="{round(width * factor)}" height="{round(height * factor)}"'
    crisp = ' class="crisp"' if width < CRISP else ""
    return f'<img src="thumbnails/{thumbnail(image)}" alt="" {lengths}{crisp}>'


def size(image: Path) -> tuple[int, int]:
    from PIL import Image

    with Image.open(image) as opened:
        return opened.size
