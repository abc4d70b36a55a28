"""How alike a HART's stages are, measured over prompts and kept in a file of the kind that a threshold calibration writes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from torch import Tensor

from sdaccel.conditions import Batch
from sdaccel.errors import BadInput
from sdaccel.generators.base import Generation
from sdaccel.generators.hart.generator import Hart
from sdaccel.generators.hart.runtime import HartRuntime
from sdaccel.strategies.stage_cache.bound import bound, check_bound
from sdaccel.strategies.stage_cache.measure import SIMILARITY, StageSimilarity
from sdaccel.strategies.stage_cache.options import KINDS
from sdaccel.user_files import yaml_of

FIX = "give a file that save_similarity_data or a threshold calibration wrote"


class Similarities:
    """What is known of one model's stages: the mean over samples that were measured, or what a file holds."""

    def __init__(self, runtime: HartRuntime, path: str | Path | None) -> None:
        self.runtime, self.path = runtime, path
        self.known: dict[str, Any] | None = None
        """As strategy stage_cache takes it, bound to the model."""
        self.samples: np.ndarray | None = None
        """(N, kinds, layers, stages), whose mean is known; None where a file was read."""
        self.mode: str | None = None
        """The interpolation that they were measured under; None: the file's."""

    def under(self, mode: str, batch: Callable[[], Batch]) -> dict[str, Any]:
        """Those that are known, those of the file, or those of the batch's prompts, measured now."""
        if self.known is not None and self.mode in (mode, None):
            return self.known
        if self.known is None and self.path is not None and Path(self.path).exists():
            self.known, self.samples, self.mode = read(self.path, self.runtime.config), None, None
            return self.known
        return self.measure(batch(), mode)

    def measure(self, batch: Batch, mode: str) -> dict[str, Any]:
        """Of every prompt by itself, in place of what was known."""
        each = [Batch((prompt,), batch.seeds[i : i + 1], {0: i}) for i, prompt in enumerate(batch.conditions)]
        return self._learn(np.concatenate([watched(self.runtime, one, mode)[1] for one in each]), mode)

    def join(self, runtime: HartRuntime, batch: Batch, mode: str) -> Tensor:
        """Pictures of which nothing is reused, and what they tell beside what was measured before."""
        made, samples = watched(runtime, batch, mode)
        before = [self.samples] if self.samples is not None and self.mode == mode else []
        self._learn(np.concatenate([*before, samples]), mode)
        return made.images

    def _learn(self, samples: np.ndarray, mode: str) -> dict[str, Any]:
        self.samples, self.mode = samples, mode
        self.known = bound(dict(zip(KINDS, samples.mean(0), strict=True)), self.runtime.config, samples=len(samples))
        if self.path is not None:
            save(self.path, self.known)
        return self.known


def watched(runtime: HartRuntime, batch: Batch, mode: str) -> tuple[Generation, np.ndarray]:
    """A generation in which everything is computed, and how alike its stages are: (B, kinds, layers, stages)."""
    made = runtime.generate(batch, backend=None, strategy=StageSimilarity(interpolation_mode=mode))
    return made, made.arrays[SIMILARITY].numpy()


def save(path: str | Path, similarity: dict[str, Any]) -> None:
    text = yaml.safe_dump({"strategy": {"similarity": similarity}}, sort_keys=False, width=10**6, default_flow_style=None)
    try:
        Path(path).write_text(f"# @package _global_\n{text}")
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror}); name another file.") from None


def read(path: str | Path, config: Hart) -> dict[str, Any]:
    """Of a file that was measured on this model."""
    strategy = yaml_of(Path(path), option="sim_path", fix=FIX).get("strategy")
    found = strategy.get("similarity") if isinstance(strategy, dict) else None
    if not isinstance(found, dict):
        raise BadInput(f"sim_path={path} holds no strategy.similarity; {FIX}.")
    try:
        check_bound(found, config)
    except BadInput as error:
        raise BadInput(f"sim_path={path}: {error}") from None
    return found
