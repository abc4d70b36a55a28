"""Skipping scales on a small real VAR: what runs is the generator's own, what does not run costs nothing."""

from pathlib import Path

import pytest
import torch

from sdaccel.conditions import batches
from sdaccel.errors import BadInput
from sdaccel.generators.base import Generation
from sdaccel.generators.var.generator import Var, VarRuntime
from sdaccel.strategies.plain import Original
from sdaccel.strategies.scale_skipping import ScaleSkipping
from tests.studies import frame

SIDES = [1, 2, 3, 4]
TINY = Var(depth=2, num_classes=5, vocab=32, Cvae=4, ch=32, image_size=64, patch_nums=SIDES, init_unit_scale=True, top_k=0)
SMALL = ("generator=var_tiny", "generator.patch_nums=[1,2,3,4]", "generator.image_size=64", "data.limit=1")


@pytest.fixture(scope="module")
def runtime() -> VarRuntime:
    return TINY.build(torch.device("cpu"))


def generate(runtime: VarRuntime, strategy: object) -> Generation:
    return runtime.generate(batches([1, 3], seed=5, size=2)[0], backend=None, strategy=strategy, keep=["tokens", "f_hat"])


def test_skipping_nothing_is_the_original_bit_for_bit(runtime: VarRuntime) -> None:
    original, none = generate(runtime, Original()), generate(runtime, ScaleSkipping(last=0))
    assert torch.equal(original.images, none.images)
    assert all(torch.equal(original.arrays[name], none.arrays[name]) for name in ("tokens", "f_hat"))
    assert original.kinds == none.kinds == ["full"] * 4


@pytest.mark.parametrize("last", [1, 2, 3])
def test_skipping_decodes_the_canvas_of_the_full_run_before_the_skipped_scales(runtime: VarRuntime, last: int) -> None:
    full, short = generate(runtime, None), generate(runtime, ScaleSkipping(last=last))
    ran = len(SIDES) - last
    with torch.no_grad():
        decoded = (runtime.vae.decode(full.arrays["f_hat"][:, ran - 1]) + 1) / 2
    assert torch.equal(short.images, decoded)
    assert short.kinds == ["full"] * ran + ["skip"] * last
    end = TINY.layout.token_start(ran)
    assert torch.equal(short.arrays["tokens"][:, :end], full.arrays["tokens"][:, :end])
    assert (short.arrays["tokens"][:, end:] == -1).all()
    assert short.arrays["tokens"].shape == full.arrays["tokens"].shape
    for k in range(len(SIDES)):
        assert torch.equal(short.arrays["f_hat"][:, k], full.arrays["f_hat"][:, min(k, ran - 1)])


def test_nothing_of_the_strategy_stays_on_the_model(runtime: VarRuntime) -> None:
    before = generate(runtime, None)
    state = {name: value.clone() for name, value in runtime.state_dict().items()}
    attributes = {name: set(vars(module)) for name, module in runtime.named_modules()}
    generate(runtime, ScaleSkipping(last=2))
    assert attributes == {name: set(vars(module)) for name, module in runtime.named_modules()}
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in runtime.modules())
    assert all(torch.equal(value, state[name]) for name, value in runtime.state_dict().items())
    assert torch.equal(generate(runtime, None).images, before.images)


def test_a_study_prices_only_the_scales_that_ran(tmp_path: Path) -> None:
    arms = "+study.arms={baseline: {strategy: original}, skip: {strategy: scale_skipping, last: [0, 2]}}"
    plan = frame.compose.plan([*SMALL, arms, "study.timing.repeats=0", f"output={tmp_path}"], conf=frame.CONF)
    record = frame.runner.run(plan, console=frame.Console(quiet=True))
    assert record is not None
    found = record.arms
    macs = plan.arms[0].generator.cost().macs
    assert found["skip[last=0]"].mac_ceiling == 1
    assert (paired := found["skip[last=0]"].paired) and paired.identical == 1
    assert found["skip[last=2]"].mac_ceiling == pytest.approx(sum(macs) / sum(macs[:2]))
    assert found["skip[last=2]"].kinds == {"full": 2, "skip": 2}


@pytest.mark.parametrize("last", [-1, 4, 10])
def test_the_first_scale_must_run(last: int) -> None:
    with pytest.raises(BadInput, match=rf"last={last} is outside 0 \.\. 3"):
        ScaleSkipping(last=last).check(4)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([*SMALL, "strategy=scale_skipping", "strategy.last=4"], r"last=4 is outside 0 \.\. 3"),
        ([*SMALL, "strategy=taylor"], "taylor attaches to denoise, but generator var offers scales"),
        (["strategy=scale_skipping"], "scale_skipping attaches to scales, but generator flux offers denoise"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(overrides: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=message) as error:
        frame.compose.plan([*overrides, f"output={tmp_path}"], conf=frame.CONF)
    assert "\n" not in str(error.value)
