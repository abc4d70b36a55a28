"""Every figure of document 000's tables beside what follows from the stages themselves; no picture is needed."""

import itertools
from collections.abc import Iterable, Iterator

from sdaccel.errors import BadInput
from sdaccel.records.outline import Outline
from sdaccel.records.view import Record
from sdaccel.reporting.cells import Cell, Table
from sdaccel.reporting.promised import HOLDS, REFUTED
from sdaccel.reporting.registry import table
from sdaccel.reporting.stage_cache_claims import official, slot_bytes
from sdaccel.strategies.stage_cache.maps import MAPS
from sdaccel.strategies.stage_cache.options import KINDS, Options
from sdaccel.strategies.stage_cache.presets import UPSTREAM, adapted, renamed

COLUMNS = ("of", "document 000 says", "found", "verdict", "reason")
SIDES = {
    "v1": (1, 2, 3, 4, 5, 6, 8, 10, 13, 16),
    "v2": (1, 2, 3, 4, 5, 7, 9, 12, 16, 21, 27, 36, 48, 64),
}
"""Its columns next_patch_size and resolution."""
INDEX = {"v1": tuple(range(10)), "v2": (0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14)}
"""Its column length2iteration."""
COUNT = {"v1": 10, "v2": 15}
"""Its numbers of stages, and lengths of arrays."""
LOW = (1, 4, 9, 16, 25, 256)
"""Stages that are to keep their indices."""
CHAINS = {
    "conservative-cache": ((256,), (144,)),
    "original-cache": ((144, 256), (81, 144)),
    "aggressive-cache": ((49, 81, 144, 256), (25, 49, 81, 144)),
    "ultra-fast": ((25, 49, 81, 144, 256, 441), (16, 25, 49, 81, 144, 256)),
    "attn-only-cache": ((144, 256), (81, 144)),
    "memory-efficient": ((144, 256), (144,)),
}
"""Preset -> the new skip and cache stages."""
EXAMPLES = (((441, 729, 1296, 2304, 4096), (144, 256, 441, 729)), ((2304, 4096), (1296, 2304)))
"""Skip and cache stages of its command lines."""
ITEM = 8
"""Bytes of a similarity."""


def of_mappings(outline: Outline) -> str | None:
    if any(arm.strategy.options.get("mapping") for arm in outline.honest):
        return None
    return "stages that are named by another map: strategy: stage_cache, mapping: v1."


@table(name="mapping", place=104, needs=of_mappings)
def mapping(record: Record) -> Table:
    return Table(COLUMNS, [*_stages(), *_presets(), *_examples(), *_memory()])


def _row(of: str, says: str | int, found: str | int, reason: str = "") -> tuple[Cell, ...]:
    return of, says, found, HOLDS if says == found else REFUTED, reason


def _listed(figures: Iterable[int]) -> str:
    return " ".join(map(str, figures))


def _stages() -> Iterator[tuple[Cell, ...]]:
    """Resolutions, what comes next, indices, arrays."""
    for name, stages in MAPS.items():
        sides, index = [round(tokens**0.5) for tokens in stages.tokens], stages.index.values()
        yield _row(f"{name}: sides", _listed(SIDES[name]), _listed(sides))
        yield _row(
            f"{name}: side after each", _listed(SIDES[name][1:]), _listed(after for _, after in itertools.pairwise(sides))
        )
        yield _row(f"{name}: indices", _listed(INDEX[name]), _listed(index))
        holes = set(range(stages.columns)) - set(index)
        counted = f"It counts places of an array, of which {_listed(holes)} is none's." if holes else ""
        yield _row(f"{name}: number of stages", COUNT[name], len(stages.tokens), counted)
        yield _row(f"{name}: length of arrays", COUNT[name], stages.columns)
    kept = [tokens for tokens in LOW if MAPS["v1"].index[tokens] == MAPS["v2"].index[tokens]]
    yield _row("stages that keep their index", _listed(LOW), _listed(kept), "Which is what leaves the hole.")


def _presets() -> Iterator[tuple[Cell, ...]]:
    """New stages of every preset, beside its old ones under their nearest new ones."""
    for name, (skip, cache) in CHAINS.items():
        near = renamed(UPSTREAM[name].options, MAPS["v2"])
        by_hand = _listed(sorted({*skip} - {*near.skip_stages} | {*cache} - {*near.cache_stages}))
        found = f"{_listed(near.skip_stages)} / {_listed(near.cache_stages)}"
        why = [f"Added by hand: {by_hand}."] * bool(by_hand) + _refused(UPSTREAM[name].options)
        yield _row(f"{name}: new skip / cache stages", f"{_listed(skip)} / {_listed(cache)}", found, " ".join(why))
    refused = [name for name, each in UPSTREAM.items() if _refused(each.options)]
    without = f"all but {', '.join(refused)}" if refused else "all"
    yield _row(
        "old configurations adapt to the nearest stage", "all", without, "Some stages would wait for what nothing stores."
    )


def _refused(options: Options) -> list[str]:
    """Why, under the new map."""
    try:
        adapted(options, MAPS["v2"])
    except BadInput as error:
        return [f"Refused: {str(error).partition(': ')[2]}"]
    return []


def _examples() -> Iterator[tuple[Cell, ...]]:
    for skip, cache in EXAMPLES:
        why = _refused(Options(skip_stages=[*skip], cache_stages=[*cache]))
        yield _row(f"command line: {_listed(skip)} / {_listed(cache)}", "runs", "is refused" if why else "runs", " ".join(why))


def _memory() -> Iterator[tuple[Cell, ...]]:
    """It gives no figure."""
    full = official("hart")
    tables = " then ".join(str(len(KINDS) * full.cost.layers * stages.columns * ITEM) for stages in MAPS.values())
    yield "arrays of similarities", "no figure", f"{tables} bytes", "", f"At {full.size}, {ITEM} bytes a number."
    for name in ("conservative-cache", "ultra-fast", "late-1", "late-2", "late-3"):
        held = f"{slot_bytes('hart', name) / 1e6:.0f} MB"
        yield f"slots under {name}", "no figure", held, "", f"At {full.size}, one picture, both branches, half precision."
