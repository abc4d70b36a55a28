"""From names of figures to files: which a study gets, what each of them lacks, and drawing them from one record."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sdaccel.errors import BadInput, choices
from sdaccel.records.outline import Outline, outline_of
from sdaccel.records.view import Record
from sdaccel.reporting import registry, style
from sdaccel.reporting.registry import Find
from sdaccel.reporting.sample_sheet import kept


def validate(names: Sequence[str], outline: Outline) -> None:
    """Refuse figures that do not exist or that the study could not give what they need: before a run, not after it."""
    for sentence in lacking(names, outline):
        raise BadInput(f"study.figures: {sentence}")


def lacking(names: Sequence[str], outline: Outline) -> Iterator[str]:
    """A sentence for each of these figures that cannot be drawn."""
    known = registry.figures()
    for name in dict.fromkeys(names):
        if name not in known:
            raise BadInput(f"study.figures: {name} is unknown; {choices(name, known)}")
        if needs := known[name].needs(outline):
            yield f"figure {name} needs {needs}"


def names_of(outline: Outline) -> list[str]:
    """The figures that the study asks for, then those that speak for themselves wherever there is something to show."""
    asked = outline.study.figures
    also = [name for name, each in registry.figures().items() if each.unasked(outline) and name not in asked]
    return [name for name in dict.fromkeys([*asked, *also]) if not list(lacking([name], outline))]


def draw(
    record: Record, folder: Path, *, find: Find | None = None, done: Callable[[str], None] = lambda name: None
) -> list[Path]:
    """All figures that the record has what they need of, each as PDF and PNG.

    Without the pictures those figures of pictures that nobody asked for are left out. One that fails does not take the others
    with it: they are drawn first, then a BadInput names it. `done` is told of every one.
    """
    paths, failed = list[Path](), []
    with style.styled("".join(map(str, record.conditions))):
        for name in names_of(outline_of(record)):
            try:
                paths += _drawn(record, name, folder, find)
            except Exception as error:  # a figure may come from any package, and fail in any way
                failed.append(f"figure {name} cannot be drawn: {error if isinstance(error, BadInput) else repr(error)}")
            done(name)
    if failed:
        raise BadInput(" ".join(failed))
    return paths


def _drawn(record: Record, name: str, folder: Path, find: Find | None) -> list[Path]:
    drawing = registry.figures()[name]
    if not drawing.pictured:
        return style.save(drawing.draw(record), folder, name)
    if find is None or not (name in record.study.figures or kept(record, find)):
        return []
    return style.save(drawing.draw(record, find), folder, name)
