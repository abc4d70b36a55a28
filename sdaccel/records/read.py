"""From a record's JSON, of whichever format, to the view."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from sdaccel.records import judged, migrate, store
from sdaccel.records.view import Arm, Each, Part, Record

Json = Mapping[str, Any]


def load(path: Path) -> Record:
    """The record at a path, with later verdicts beside it; what belongs to its samples is read when it is asked for."""
    raw = store.load(path)
    record = view_of(raw, each=lambda: store.load_each(path, raw["content"]["samples"]))
    return judged.attached(record, path)


def view_of(raw: Json, *, each: Callable[[], Json] = dict) -> Record:
    """`each` gives what belongs to single samples, of a record of today's format."""
    content = migrate.content_of(raw)
    config = content["config"]
    per_sample = cache(each if "format" in raw["content"] else partial(migrate.each_of, raw))

    def of_arm(name: str) -> Each:
        return _parsed(Each, per_sample()[name])

    arms = {
        name: _parsed(Arm, {"name": name, **config["arms"][name], **arm, "each": cache(partial(of_arm, name))})
        for name, arm in content["arms"].items()
    }
    also = {"arms": {}, "timing": migrate.timing_of(raw), "folders": raw.get("samples", {}), "content": content}
    return replace(_parsed(Record, {**config.get("data", {}), **config, **content, **raw, **also}), arms=arms)


def _parsed(kind: Any, value: Any) -> Any:
    """A value of JSON as a field of this type: dataclasses, lists and mappings of them; what has no field is left out."""
    if value is None or _bare(kind):
        return value
    if kind is Part:
        return Part(value["name"], {key: option for key, option in value.items() if key != "name"})
    if isinstance(kind, type) and is_dataclass(kind):
        return kind(**{name: _parsed(of, value[name]) for name, of in _hints(kind).items() if name in value})
    *_, inner = [of for of in get_args(kind) if of is not type(None)]
    if get_origin(kind) is Mapping:
        return {key: _parsed(inner, entry) for key, entry in value.items()}
    return [_parsed(inner, entry) for entry in value] if get_origin(kind) is Sequence else _parsed(inner, value)


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


@cache
def _bare(kind: Any) -> bool:
    """No dataclass in it: what JSON holds is what the field does."""
    return not is_dataclass(kind) and (get_origin(kind) is Callable or all(map(_bare, get_args(kind))))
