"""Pictures on the page: two on one another under a slider, and where they differ beside it."""

from html import escape

from sdaccel.reporting.page.content import Page, Pair, Picture


def slides(page: Page) -> str:
    return _quiet(page.legend) + "".join(
        f'<h3>{escape(row.title)}</h3>\n{_quiet(row.note)}<div class="pairs">{"".join(map(_pair, row.pairs))}</div>\n'
        for row in page.rows
    )


def _quiet(text: str) -> str:
    return f'<p class="quiet">{escape(text)}</p>\n' if text else ""


def image(picture: Picture) -> str:
    crisp = ' class="crisp"' if picture.crisp else ""
    return (
        f'<img src="{escape(picture.source)}" alt="{escape(picture.alt)}" width="{picture.width}" height="{picture.height}"'
        f' loading="lazy"{crisp}>'
    )


def _pair(pair: Pair) -> str:
    said = f" · {pair.said}" if pair.said else ""
    error = image(pair.error) if pair.error else ""
    shown = image(pair.picture) if pair.other is None else _slide(pair, pair.other)
    return (
        f'<figure class="pair"><div>{shown}{error}</div>\n'
        f"<figcaption>{escape(pair.caption)}{escape(said)}</figcaption></figure>\n"
    )


def _slide(pair: Pair, other: Picture) -> str:
    """Left of the bar what it is compared with, right of it the picture."""
    label = f"left {pair.other_name}, right {pair.name}: {pair.caption}"
    return (
        f'<div class="slide" style="width:{pair.picture.width}px">'
        f'<div class="frame">{image(other)}{image(pair.picture)}</div>'
        f'<input type="range" min="0" max="100" value="50" aria-label="{escape(label)}">'
        f'<div class="ends"><span>{escape(pair.other_name)}</span><span>{escape(pair.name)}</span></div></div>'
    )
