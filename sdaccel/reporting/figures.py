"""From names of figures to files: which a study gets, what each of them lacks, and drawing them from one record."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from sdaccel.errors import BadInput
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
            raise BadInput(f"study.figures: {name} is unknown; choose from {', '.join(known)}.")
        if needs := known[name].needs(outline):
            yield f"figure {name} needs {needs}"


def names_of(outline: Outline) -> list[str]:
    """The figures that the study asks for, then those that speak for themselves wherever there is something to show."""
    asked = outline.study.figures
    also = [name for name, each in registry.figures().items() if each.unasked(outline) and name not in asked]
    return [name for name in dict.fromkeys([*asked, *also]) if not list(lacking([name], outline))]


def draw(record: Record, folder: Path, *, find: Find | None = None) -> list[Path]:
    """All figures that the record has what they need of, each as PDF and PNG; a BadInput names its figure.

    Without the pictures those figures of pictures that nobody asked for are left out.
    """
    known, paths = registry.figures(), []
    with style.styled():
        for name in names_of(outline_of(record)):
            try:
                if not known[name].pictured:
                    figure = known[name].draw(record)
                elif find is not None and (name in record.study.figures or kept(record, find)):
                    figure = known[name].draw(record, find)
                else:
                    continue
            except BadInput as error:
                raise BadInput(f"figure {name} cannot be drawn: {error}") from error
            paths += style.save(figure, folder, name)
    return paths
