"""The benchmark of kernels: what is compared computes the same, and no floor lies above what could be reached."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sdaccel.benches import runner
from sdaccel.benches.kernels import CASES, Forecast, Kernels, work
from sdaccel.cli.bench import show
from sdaccel.errors import BadInput
from sdaccel.generators.flux.generator import Flux
from sdaccel.generators.var.generator import Var
from sdaccel.records.read import view_of
from tests.conftest import CONF
from tests.generators.test_engine import TINY

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
RANDOM = ("exponential", "normal")
"""Cases whose arms draw other numbers of the same law."""


@pytest.mark.parametrize("case", [*CASES, "forecast sums"])
def test_all_arms_of_a_case_compute_the_same(case: str) -> None:
    config = replace(TINY, top_k=9, dtype="float32" if DEVICE.type == "cpu" else "float16")
    made: dict[str, Tensor] = {}
    for name, call in Kernels().arms(case, config, DEVICE).items():
        torch.manual_seed(0)
        made[name] = call()
    first, *others = made.items()
    for name, value in others:
        assert value.shape == first[1].shape and value.dtype == first[1].dtype, name
        if case in RANDOM:
            assert abs(float(value.double().mean() - first[1].double().mean())) < 0.2, name
        elif case == "race":
            assert value.max() < TINY.vocab
        elif case == "residual and adaLN":  # every call adds to the stream
            assert (value - first[1]).abs().max() < 0.1, name
        else:
            assert torch.allclose(value.float(), first[1].float(), rtol=2e-3, atol=2e-3), name


def test_both_races_follow_one_law() -> None:
    """The sorting arm reads torch's generator, so its tokens differ; how often each code wins must not."""
    config = replace(TINY, vocab=4, top_k=3, top_p=0.0, patch_nums=[1, 32], image_size=512, cfg=1.0)
    torch.manual_seed(0)
    counts = [
        torch.bincount(call().flatten(), minlength=4) for call in Kernels(batch_size=1).arms("race", config, DEVICE).values()
    ]
    shares = [(c.double() / c.sum()).cpu() for c in counts]
    assert all((share - shares[0]).abs().max() < 0.06 for share in shares)


def test_the_floors_are_the_bytes_and_products_that_cannot_be_saved() -> None:
    found = work(Var(depth=16, dtype="float16"), 32, Forecast(features=76, tokens=4096, channels=3072))
    assert found["race"].bytes == pytest.approx(2 * 2 * 32 * 256 * 4096, rel=1e-3)
    assert found["exponential"].bytes == 4 * 32 * 256 * 4096
    assert found["residual and adaLN"].bytes == 12 * 64 * 256 * 1024
    assert found["attention"].macs == 2 * 64 * 256 * 680 * 1024
    assert found["forecast sums"].bytes == pytest.approx(5.7e9, rel=0.05)  # as the kernel's own docstring has it


def test_every_case_has_its_arms_its_floor_and_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    small = ["generator.patch_nums=[1,2]", "generator.image_size=32", "bench.forecast={features: 2, tokens: 8, channels: 8}"]
    plan = runner.plan(["+bench=kernels", *small, "bench.repeats=1", "bench.warmup=0", "bench.times=2"], conf=CONF)
    made = view_of(runner.run(plan))
    assert list(made.timing.cases) == list(made.content["work"]) == [*CASES, "forecast sums"]
    for case in made.timing.cases.values():
        assert all(arm.seconds.p50 > 0 and len(arm.rounds) == 1 for arm in case.arms.values())
        assert all(arm.floor_seconds and arm.of_floor for arm in case.arms.values())
        assert [sorted(turn) for turn in case.order] == [list(range(len(case.arms)))]
    show(made, Console(width=160))
    assert capsys.readouterr().out.count("least work") == len(CASES) + 1


@pytest.mark.parametrize(
    ("bench", "message"),
    [
        (Kernels(forecast={"layers": 2}), "bench.forecast.layers is unknown; it has steps"),
        (Kernels(forecast={"tokens": 0}), "tokens=0 must be at least 1"),
        (Kernels(times=0), "times=0 must be at least 1"),
    ],
)
def test_sizes_that_are_none_are_refused(bench: Kernels, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        bench.check(TINY)


def test_sizes_come_from_a_var() -> None:
    with pytest.raises(BadInput, match="takes its sizes from a VAR, not Flux"):
        Kernels().check(Flux())
