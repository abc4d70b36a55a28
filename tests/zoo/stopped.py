"""A training run that is killed and started again."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sdaccel.zoo.training import Recipe, fit


def ends_in_the_same_weights(make: Callable[[], Any], recipe: Recipe, folder: Path, *, losses: int, every: int) -> bool:
    """A run that dies behind so many losses, with checkpoints `every` so many steps, and one that does not."""
    recipe = replace(recipe, checkpoint_every=every)
    whole, _ = fit(make(), recipe, folder=folder / "whole", device="cpu")
    stopped = make()
    enough, loss = iter(range(losses)), stopped.loss

    def dying(*given: Any) -> Any:
        if next(enough, None) is None:
            raise InterruptedError
        return loss(*given)

    stopped.loss = dying
    with pytest.raises(InterruptedError):
        fit(stopped, recipe, folder=folder / "stopped", device="cpu")
    resumed, _ = fit(make(), recipe, folder=folder / "stopped", device="cpu")
    ours, theirs = resumed.state_dict(), whole.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in theirs)
