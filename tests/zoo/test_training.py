"""Training is a function of its recipe: killed and started again, it ends in the same weights."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sdaccel.errors import BadInput
from sdaccel.shipped import restore, ship, weights
from sdaccel.zoo.training import Batch, Recipe, fit, indices, learning_rate
from tests.studies.frame import forked

RECIPE = Recipe(steps=8, batch=4, lr=0.01, warmup=2, checkpoint_every=3, log_every=1, bf16=False)


class Toy:
    """A line fitted to noisy points; kills its process at one step if asked to."""

    def __init__(self, dies_at: int | None = None) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.net: nn.Module = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
        self.dies_at = dies_at

    def batch(self, step: int, size: int) -> Batch:
        return {"index": indices(step, size), "step": torch.tensor(step)}

    def loss(self, net: nn.Module, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        if self.dies_at == int(batch["step"]):
            os.kill(os.getpid(), signal.SIGKILL)
        x = batch["index"].float().unsqueeze(1) / 32
        noise = 0.1 * torch.randn(x.shape, generator=generator)
        return (net(x + noise) - x.sin()).square().mean(), {}

    def measure(self, net: nn.Module, device: torch.device) -> dict[str, float]:
        return {}


def _final(folder: Path) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
    net, _ = fit(Toy(), RECIPE, folder=folder, device="cpu")
    lines = [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]
    return net.state_dict(), [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


@pytest.mark.skipif(torch.cuda.is_initialized(), reason="a forked child cannot use a GPU that its parent has opened")
@pytest.mark.filterwarnings("ignore:.*:UserWarning", "ignore:.*:FutureWarning")
@pytest.mark.parametrize("step", [1, 4, 7])
def test_killed_training_resumes_to_the_same_weights_and_curve(step: int, tmp_path: Path) -> None:
    whole, curve = _final(tmp_path / "whole")
    status = forked(lambda: fit(Toy(dies_at=step), RECIPE, folder=tmp_path / "killed", device="cpu"))  # type: ignore[arg-type]
    assert os.WIFSIGNALED(status)
    resumed, again = _final(tmp_path / "killed")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert again == curve
    assert [line["step"] for line in curve] == list(range(8))


@pytest.mark.filterwarnings("ignore:.*:UserWarning", "ignore:.*:FutureWarning")
def test_a_finished_training_is_not_begun_again_and_cost_what_it_cost(tmp_path: Path) -> None:
    net, seconds = fit(Toy(), RECIPE, folder=tmp_path, device="cpu")
    again, cost = fit(Toy(dies_at=0), RECIPE, folder=tmp_path, device="cpu")
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), again.parameters(), strict=True))
    assert 0 < cost <= seconds


def test_the_learning_rate_rises_then_falls_to_a_hundredth() -> None:
    rates = [learning_rate(step, RECIPE) for step in range(9)]
    assert rates[:2] == [0.005, 0.01]
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[8] == pytest.approx(RECIPE.lr / 100)


def test_shipped_weights_are_checked_by_hash(tmp_path: Path) -> None:
    net = Toy().net
    path = ship("toy", net, folder=tmp_path)
    back = restore("toy", Toy().net, folder=tmp_path)
    assert all(torch.equal(p.half().float(), q) for p, q in zip(net.parameters(), back.parameters(), strict=True))
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(BadInput, match="restore the file"):
        weights("toy", folder=tmp_path)
    with pytest.raises(BadInput, match="train them"):
        weights("none_such", folder=tmp_path)


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    ship("toy", Toy().net, folder=tmp_path)
    with pytest.raises(BadInput, match="another architecture"):
        restore("toy", nn.Linear(1, 8), folder=tmp_path)
