"""Laws of collaborative decoding on small real models: its ends are the models alone, its stages shape logits alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sdaccel.errors import BadInput
from sdaccel.generators.nextscale.seam import Pass
from sdaccel.generators.nextscale.tokens import keep_top_k
from sdaccel.generators.var.generator import VarRuntime
from sdaccel.strategies.base import Done
from sdaccel.strategies.collaborative.code import CoDe, Stage
from tests.strategies.pair import CPU, DRAFT, SCALES, TARGET, generate, same
from tests.studies import frame

ENGINES = ("eager", "fast")


@pytest.fixture(scope="module", params=ENGINES)
def pair(request: pytest.FixtureRequest) -> tuple[VarRuntime, VarRuntime]:
    """Drafter and refiner on one engine."""
    return replace(TARGET, engine=request.param).build(CPU), replace(DRAFT, engine=request.param).build(CPU)


def test_all_scales_are_the_large_model_and_none_the_small_one_bit_for_bit(pair: tuple[VarRuntime, VarRuntime]) -> None:
    large, small = pair
    all_, none = (generate(large, CoDe(draft_scales=n), refiner=small) for n in (SCALES, 0))
    assert same(all_, generate(large, None)) and all_.kinds == ["full"] * SCALES
    assert same(none, generate(small, None)) and none.kinds == ["refine"] * SCALES


@pytest.mark.parametrize("drafted", range(SCALES + 1))
def test_a_model_that_refines_itself_makes_its_own_picture(pair: tuple[VarRuntime, VarRuntime], drafted: int) -> None:
    large, _ = pair
    plain, own = generate(large, None).arrays, generate(large, CoDe(draft_scales=drafted), refiner=large).arrays
    assert torch.equal(own["tokens"], plain["tokens"]) and torch.equal(own["f_hat"], plain["f_hat"])


@pytest.mark.parametrize("drafted", range(2, SCALES))
def test_the_first_scales_are_the_large_models_and_the_rest_reads_them(
    pair: tuple[VarRuntime, VarRuntime], drafted: int
) -> None:
    large, small = pair
    end = TARGET.layout.token_start(drafted)
    ours, first, last = (
        generate(large, CoDe(draft_scales=drafted), refiner=small).arrays["tokens"],
        generate(large, None).arrays["tokens"],
        generate(small, None).arrays["tokens"],
    )
    assert torch.equal(ours[:, :end], first[:, :end])
    assert not torch.equal(ours[:, end:], first[:, end:]) and not torch.equal(ours[:, end:], last[:, end:])


def greedy(stage: str) -> dict[str, Any]:
    return {f"{stage}_top_k": 1}


@pytest.mark.parametrize("stage", ["draft", "refine"])
def test_a_stage_shapes_its_own_scales_alone(pair: tuple[VarRuntime, VarRuntime], stage: str) -> None:
    large, small = pair
    end = TARGET.layout.token_start(2)
    plain, shaped = (
        generate(large, CoDe(draft_scales=2, **options), refiner=small).arrays["tokens"] for options in ({}, greedy(stage))
    )
    assert torch.equal(plain[:, :end], shaped[:, :end]) == (stage == "refine")
    assert not torch.equal(plain[:, end:], shaped[:, end:])


def test_greedy_stages_draw_what_a_greedy_generator_draws() -> None:
    large, small = TARGET.build(CPU), DRAFT.build(CPU)
    by_stage = generate(large, CoDe(draft_scales=2, **greedy("draft"), **greedy("refine")), refiner=small)
    greedy_pair = (replace(config, top_k=1).build(CPU) for config in (TARGET, DRAFT))
    by_generator = generate(next(greedy_pair), CoDe(draft_scales=2), refiner=next(greedy_pair))
    assert torch.equal(by_stage.arrays["tokens"], by_generator.arrays["tokens"])


def test_both_engines_draw_the_same_tokens_from_shaped_logits() -> None:
    strategy = CoDe(draft_scales=2, draft_temperature=1.1, draft_top_k=60, refine_temperature=0.9, refine_top_k=40)
    tokens = [
        generate(
            replace(TARGET, engine=engine, top_p=0.96).build(CPU),
            strategy,
            refiner=replace(DRAFT, engine=engine, top_p=0.96).build(CPU),
        ).arrays["tokens"]
        for engine in ENGINES
    ]
    assert torch.equal(*tokens)


def test_shaped_logits_are_tempered_and_keep_the_largest() -> None:
    logits = torch.randn(2, 3, 50, generator=torch.Generator().manual_seed(0))
    shaped = Stage(temperature=1.5, top_k=7).shaped(Pass(logits)).logits.softmax(-1)
    wanted: Tensor = keep_top_k(logits / 1.5, 7).softmax(-1)
    assert torch.allclose(shaped, wanted, atol=1e-7) and ((shaped > 0) == (wanted > 0)).all()
    assert torch.isfinite(Stage(temperature=1.0, top_k=7).shaped(Pass(logits)).logits).all()


def test_the_refiner_reads_everything_and_is_priced_for_it() -> None:
    large, small, costs = TARGET.build(CPU), DRAFT.build(CPU), (TARGET.cost(), DRAFT.cost())
    for drafted in range(SCALES + 1):
        strategy = CoDe(draft_scales=drafted)
        stats = generate(large, strategy, refiner=small).stats
        of_one = {name: values[0].tolist() for name, values in stats.items()}
        refined = sum(costs[1].macs) if drafted < SCALES else 0
        done = Done([], costs[0], {"refiner": costs[1]}, of_one)
        assert strategy.macs(done) == pytest.approx(sum(costs[0].macs[:drafted]) + refined)


SMALL = (
    "generator=var_tiny",
    "generator.patch_nums=[1,2,3,4]",
    "generator.image_size=64",
    "data.limit=2",
    "data.batch_size=2",
    "strategy=code",
    "strategy.draft_scales=2",
    "generator@strategy.refiner=var_tiny",
    "strategy.refiner.patch_nums=[1,2,3,4]",
    "strategy.refiner.image_size=64",
    "strategy.refiner.depth=1",
)


def test_a_study_runs_it_beside_both_models(tmp_path: Path) -> None:
    arms = (
        "{large: {strategy: original}, small: {strategy: original, generator.depth: 1}, all: {draft_scales: 4}, "
        "some: {draft_temperature: 1.1}, none: {draft_scales: 0}}"
    )
    checks = "[{equal: [large, all]}, {equal: [small, none]}]"
    options = ("study.baseline=large", "study.keep=[tokens]", "study.timing.repeats=0")
    record = frame.run(*SMALL, f"+study.arms={arms}", f"study.checks={checks}", *options, output=tmp_path)
    assert record.verdict == "pass", record.failures
    found = record.arms
    assert found["some"].kinds == {"full": 2, "refine": 2}
    assert found["small"].macs < found["some"].macs < found["large"].macs


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("strategy.draft_scales=5", r"strategy.draft_scales=5 is outside 0 \.\. 4"),
        ("strategy.refine_temperature=0", "strategy.refine_temperature=0.0 must be a finite number above 0"),
        ("strategy.draft_temperature=nan", "strategy.draft_temperature=nan must be a finite number above 0"),
        ("strategy.refine_top_k=257", r"strategy.refine_top_k=257 is outside 0 \.\. 256"),
        ("strategy.refiner.patch_nums=[1,2,4]", "strategy.refiner.patch_nums=.* differ: both must paint the same scales"),
        ("strategy.refiner.init_seed=1", "two tokenizers"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(override: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=message) as error:
        frame.compose.plan([*SMALL, override, f"output={tmp_path}"], conf=frame.CONF)
    assert "\n" not in str(error.value)
