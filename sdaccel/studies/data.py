"""The condition of every sample: labels or prompts from the configuration, a file, or the small world itself."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sdaccel.conditions import Condition, read_prompts
from sdaccel.errors import BadInput, at_least
from sdaccel.studies.arms import Arm
from sdaccel.world import captioned
from sdaccel.world.attributes import CLASSES
from sdaccel.world.captions import captions

GIVES = {"classes": "label", "captions": "prompt"}
"""What each kind of `data.world` is."""
HANDFUL: dict[str, list[Condition]] = {
    "label": [0, 1, 2, 3],
    "prompt": [
        "a red cube on a blue table",
        "two green bottles beside a window",
        "a striped cat under a lamp",
        "a bowl of yellow fruit",
    ],
}
"""What a study gets that asks for nothing."""

SURROGATE = re.compile("[\ud800-\udfff]")
"""What bytes that are not UTF-8 become on a command line, and a broken escape in JSON."""


def conditions_of(data: Any, arms: Sequence[Arm], *, of_world: bool = False) -> list[Condition]:
    """The condition of every sample; all arms of a study share them. `of_world`: the metrics know the small world alone."""
    kinds = {arm.generator.takes for arm in arms}
    if len(kinds) > 1:
        raise BadInput("study.arms mixes generators that take labels with ones that take prompts; split the study.")
    (kind,) = kinds
    at_least(1, data, "limit", "per_condition", "batch_size", where="data")
    _one_source(data, kind)
    known = of_world or all(getattr(arm.generator, "of_world", False) for arm in arms)
    if data.world is not None:
        source = _of_world(data.world, data.limit, kind)
    elif data.prompt_file is not None:
        source = [*read_prompts(Path(data.prompt_file))]
    elif (given := data[f"{kind}s"]) is not None:
        source = list(given)
    else:  # nothing is asked for: what generator and metrics were made for, as many as a look takes
        source = _of_world(next(w for w in GIVES if GIVES[w] == kind), data.limit or 4, kind) if known else HANDFUL[kind]
    if any(isinstance(condition, str) and not condition.strip() for condition in source):
        raise BadInput("data.prompts holds an empty prompt; give every prompt some words.")
    if any(isinstance(condition, str) and SURROGATE.search(condition) for condition in source):
        raise BadInput("data.prompts holds half a character (a lone surrogate), which is no text; write the prompt in UTF-8.")
    if not source:
        raise BadInput(f"data.{kind}s is empty; give at least one.")
    everything = [condition for condition in source for _ in range(data.per_condition)]
    return everything[: data.limit]


def _one_source(data: Any, kind: str) -> None:
    """Two sources, or one of the other kind, would leave one of them without effect."""
    given = [name for name in ("world", "prompt_file", "prompts", "labels") if data[name] is not None]
    if data.prompt_file == "":
        raise BadInput("data.prompt_file is empty; name a file with one prompt per line, or leave it out.")
    if len(given) > 1:
        made = f"data.world={data.world} makes the conditions" if data.world else "data.prompt_file gives the prompts"
        way = f"leave it out, or add data.world=null to use data.{given[1]}" if data.world else "give one of them"
        raise BadInput(f"data.{given[1]} has no effect: {made}; {way}.")
    if given and given[0] != "world" and (given[0] == "labels") != (kind == "label"):
        raise BadInput(f"data.{given[0]} has no effect: the generator takes {kind}s; set data.{kind}s.")


def _of_world(world: str, limit: int | None, kind: str) -> list[Condition]:
    """`limit` of them: sample i has label i % 24, or the caption of test scene i."""
    if world not in GIVES:
        raise BadInput(f"data.world={world} does not exist; choose {' or '.join(GIVES)}.")
    if GIVES[world] != kind:
        raise BadInput(f"data.world={world} gives {GIVES[world]}s and the generator takes {kind}s; choose the other.")
    if limit is None:
        raise BadInput(f"data.world={world} has no end; say how many samples with data.limit=N.")
    if world == "classes":
        return [i % len(CLASSES) for i in range(limit)]
    return [*captions(captioned("test", range(limit)), complete=True)]
