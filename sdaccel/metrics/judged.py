"""What the judge says of pictures: the share of stated attributes that it reads off them, and how sure and varied it is."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sdaccel.metrics.aggregate import Scores, of_samples
from sdaccel.metrics.distribution import shuffled_score
from sdaccel.metrics.extractors import clean_resize
from sdaccel.metrics.inception_score import INCEPTION
from sdaccel.metrics.judge import RESOLUTION
from sdaccel.metrics.metric import Metric, metric
from sdaccel.metrics.pictures import Pictures, streamed
from sdaccel.world.attributes import COLUMN, FIELDS, MATERIALS
from sdaccel.world.reading import parse

CLASS = metric(
    Metric(name="judge.class", label="judge: class", direction="higher", each=True, share=True, place=10, screen=True)
)
MEAN = metric(
    Metric(name="judge.mean", label="judge: mean", direction="higher", each=True, share=True, place=20, screen=True, panel=10)
)
ATTRIBUTES = {
    name: metric(Metric(name=f"judge.{name}", label=f"judge: {name}", direction="higher", share=True))
    for name in dict.fromkeys(column.rstrip("012") for column in COLUMN)
}
"""Attribute -> its metric."""
SHOWN = (MEAN, CLASS)
"""Columns whose values stand in the record."""


def facts_of(conditions: Sequence[int | str]) -> Tensor:
    """(N, 17) what labels or captions state; -1 is not to be judged."""
    if isinstance(conditions[0], str):
        return torch.stack([parse(str(caption)) for caption in conditions])
    labels = torch.tensor(conditions)
    facts = torch.full((len(labels), len(FIELDS)), -1)
    facts[:, COLUMN["shape0"]], facts[:, COLUMN["material0"]] = labels // len(MATERIALS), labels % len(MATERIALS)
    return facts


def attributes_of(facts: Tensor) -> dict[str, list[int]]:
    """Attribute -> its columns, of those that any row states: `colour` of three objects is one attribute."""
    groups: dict[str, list[int]] = {}
    for name, column in COLUMN.items():
        if bool((facts[:, column] >= 0).any()):
            groups.setdefault(name.rstrip("012"), []).append(column)
    return groups


def names_of(conditions: Sequence[int | str]) -> tuple[str, ...]:
    """The metrics that these conditions allow."""
    attributes = tuple(ATTRIBUTES[name] for name in attributes_of(facts_of(conditions)))
    return (MEAN, *attributes, *(() if isinstance(conditions[0], str) else (CLASS, INCEPTION)))


class Judged:
    def __init__(self, judge: Any, conditions: Sequence[int | str], device: torch.device) -> None:
        self.judge, self.device = judge.to(device), device
        self.facts, self.labelled = facts_of(conditions), not isinstance(conditions[0], str)

    def __call__(self, pictures: Pictures, baseline: Pictures | None) -> Scores:
        parts = self._logits(pictures)
        found = torch.stack([part.argmax(-1) for part in parts], -1)
        facts = torch.stack([*pictures.of(list(self.facts))])
        right, stated = found == facts, facts >= 0
        columns = {MEAN: _share(right, stated)}
        for name, group in attributes_of(self.facts).items():
            columns[ATTRIBUTES[name]] = _share(right[:, group], stated[:, group])
        if not self.labelled:
            return of_samples(columns, shown=SHOWN)
        columns[CLASS] = right.where(stated, True).all(1).double().numpy()
        score = Scores({INCEPTION: shuffled_score(_classes(parts))})
        return of_samples(columns, shown=SHOWN).merged(score)

    @torch.no_grad()
    def _logits(self, pictures: Pictures) -> list[Tensor]:
        """(N, values) per column of FIELDS."""
        batches = streamed(pictures.read(), self.device)
        every = torch.cat([self.judge(clean_resize(images, RESOLUTION) / 255).float().cpu() for images in batches])
        return list(every.split(list(FIELDS.values()), -1))


def _share(right: Tensor, stated: Tensor) -> np.ndarray:
    """(N,) of what is stated in each row, the part that is right; NaN where nothing is."""
    return ((right & stated).sum(1).double() / stated.sum(1)).numpy()


def _classes(parts: list[Tensor]) -> Tensor:
    """(N, 24) probabilities of the classes: the judge's shapes times its materials."""
    shape, material = (parts[COLUMN[name]].double().softmax(-1) for name in ("shape0", "material0"))
    return (shape.unsqueeze(2) * material.unsqueeze(1)).flatten(1)
