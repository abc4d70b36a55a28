"""From a record's JSON, of whichever format, to the view."""

from collections.abc import Mapping
from dataclasses import fields
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

from sdaccel.records import migrate, store, view
from sdaccel.records.view import Quantiles

T = TypeVar("T")
Json = Mapping[str, Any]


def load(path: Path) -> view.Record:
    """The record at a path; what belongs to its samples is read when it is asked for."""
    raw = store.load(path)
    return view_of(raw, each=lambda: store.load_each(path, raw["content"]["samples"]))


def view_of(raw: Json, *, each: Any = None) -> view.Record:
    """`each` gives what belongs to single samples of a record of today's format."""
    content, source, study = migrate.content_of(raw), raw["provenance"], raw["content"]["config"]["study"]
    inline = "format" not in raw["content"]

    @cache
    def per_sample() -> Json:
        found: Json = migrate.each_of(raw) if inline else each()
        return found

    config = content["config"]
    made = {
        "study": _made(view.Study, study),
        "arms": {
            n: _arm(n, arm, config["arms"][n], cache(partial(_each, per_sample, n))) for n, arm in content["arms"].items()
        },
        "checks": [_made(view.Check, check) for check in content["checks"]],
        "timing": _timing(raw["timing"] or {}),
        "conditions": config.get("data", {}).get("conditions", ()),
        "bench": _part(config["bench"]) if "bench" in config else None,
        "provenance": _made(view.Provenance, source, git=source["git"] and _made(view.Git, source["git"])),
        "folders": raw.get("samples", {}),
        "content": content,
    }
    return _made(view.Record, {**content, **raw}, **made)


def _made(cls: type[T], entries: Json, **parsed: Any) -> T:
    """A dataclass of the entries that it has fields for; `parsed` are those that are more than numbers and words."""
    known = {f.name for f in fields(cls)}  # type: ignore[arg-type]
    return cls(**{key: value for key, value in entries.items() if key in known} | parsed)


def _part(config: Json) -> view.Part:
    return view.Part(config["name"], {key: value for key, value in config.items() if key != "name"})


def _each(per_sample: Any, arm: str) -> view.Each:
    found = per_sample()[arm]
    samples = [view.Sample(s["index"], s["image"], s.get("arrays", {}), s.get("stats", {})) for s in found["samples"]]
    return view.Each(samples, found["values"])


def _arm(name: str, arm: Json, config: Json, each: Any) -> view.Arm:
    facts, control = arm["facts"], arm["control"]
    return _made(
        view.Arm,
        arm,
        name=name,
        **{key: _part(config[key]) for key in ("generator", "backend", "strategy")},
        facts=_made(view.Facts, facts, models={n: view.Model(**model) for n, model in facts["models"].items()}),
        control=control and view.Control(control["mutant"], control["for"], control["fails"]),
        paired=arm["paired"] and view.Paired(**arm["paired"]),
        metrics={metric: view.Metric(**found) for metric, found in arm.get("metrics", {}).items()},
        each=each,
    )


def _timing(found: Json) -> view.Timing:
    fit = found.get("fit")
    fits = fit["images"] | {"all": fit} if fit else {}
    return view.Timing(
        batch_size=found.get("batch_size", 0),
        arms={name: _made(view.Timed, arm, **_seconds(arm)) for name, arm in found.get("arms", {}).items()},
        cases={name: _case(case) for name, case in found.get("cases", {}).items()},
        parts={
            case: {name: Quantiles(**part) for name, part in parts.items()} for case, parts in found.get("parts", {}).items()
        },
        fits={name: view.Fit(each["predicted"], each["measured"]) for name, each in fits.items()},
        agreement={name: view.Agreement(**each) for name, each in found.get("agreement", {}).items()},
    )


def _case(case: Json) -> view.Case:
    arms = {
        name: _made(view.Benched, arm, **_seconds(arm), kernels=[view.Kernel(**each) for each in arm.get("kernels", ())])
        for name, arm in case["arms"].items()
    }
    return view.Case(case["floor_seconds"], arms)


def _seconds(arm: Json) -> dict[str, Any]:
    return {"seconds": Quantiles(**arm["seconds"]), "speedup": arm["speedup"] and Quantiles(**arm["speedup"])}
