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

SURROGATE = re.compile("[\ud800-\udfff]")
"""What bytes that are not UTF-8 become on a command line, and a broken escape in JSON."""


def conditions_of(data: Any, arms: Sequence[Arm]) -> list[Condition]:
    """The condition of every sample; all arms of a study share them."""
    kinds = {arm.generator.takes for arm in arms}
    if len(kinds) > 1:
        raise BadInput("study.arms mixes generators that take labels with ones that take prompts; split the study.")
    (kind,) = kinds
    at_least(1, data, "limit", "per_condition", "batch_size", where="data")
    source = _of_world(data, kind) if data.world is not None else _given(data, kind)
    if any(isinstance(condition, str) and not condition.strip() for condition in source):
        raise BadInput("data.prompts holds an empty prompt; give every prompt some words.")
    if any(isinstance(condition, str) and SURROGATE.search(condition) for condition in source):
        raise BadInput("data.prompts holds half a character (a lone surrogate), which is no text; write the prompt in UTF-8.")
    if not source:
        raise BadInput(f"data.{kind}s is empty; give at least one.")
    everything = [condition for condition in source for _ in range(data.per_condition)]
    return everything[: data.limit]


def _given(data: Any, kind: str) -> list[Condition]:
    if kind == "label":
        return list(data.labels or [])
    return [*(read_prompts(Path(data.prompt_file)) if data.prompt_file else data.prompts or [])]


def _of_world(data: Any, kind: str) -> list[Condition]:
    """`limit` of them: sample i has label i % 24, or the caption of test scene i."""
    if data.world not in GIVES:
        raise BadInput(f"data.world={data.world} does not exist; choose {' or '.join(GIVES)}.")
    if GIVES[data.world] != kind:
        raise BadInput(f"data.world={data.world} gives {GIVES[data.world]}s and the generator takes {kind}s; choose the other.")
    if data.limit is None:
        raise BadInput(f"data.world={data.world} has no end; say how many samples with data.limit=N.")
    if data.world == "classes":
        return [i % len(CLASSES) for i in range(data.limit)]
    return [*captions(captioned("test", range(data.limit)), complete=True)]
