"""Laws of the handover on small real models: its ends are the models alone, its middle is what the target would have read."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sdaccel.errors import BadInput
from sdaccel.generators.nextscale.kv import KVCache
from sdaccel.generators.nextscale.loop import ScaleLoop
from sdaccel.generators.nextscale.run import GuidedRun
from sdaccel.generators.nextscale.seam import Pass
from sdaccel.generators.nextscale.tokens import combine
from sdaccel.generators.var.generator import VarRuntime
from sdaccel.generators.var.model import HEAD_DIM, attend
from sdaccel.strategies.base import Done
from sdaccel.strategies.speculative.handover import Handover, HandoverRule
from sdaccel.strategies.speculative.masks import CORRECT, MASKS
from tests.strategies.pair import BATCH, CPU, DRAFT, SCALES, SIDES, TARGET, generate, same
from tests.studies import frame

ENGINES = ("eager", "fast")
MIDDLE = range(1, SCALES)


@pytest.fixture(scope="module", params=ENGINES)
def pair(request: pytest.FixtureRequest) -> tuple[VarRuntime, VarRuntime]:
    """Target and draft on one engine."""
    return replace(TARGET, engine=request.param).build(CPU), replace(DRAFT, engine=request.param).build(CPU)


@pytest.mark.parametrize("sd_mask", MASKS)
def test_no_draft_scales_are_the_target_and_all_of_them_the_draft_bit_for_bit(
    pair: tuple[VarRuntime, VarRuntime], sd_mask: int
) -> None:
    target, draft = pair
    none, all_ = (generate(target, Handover(entry_num=n, sd_mask=sd_mask), draft=draft) for n in (0, SCALES))
    assert same(none, generate(target, None)) and none.kinds == ["full"] * SCALES
    assert same(all_, generate(draft, None)) and all_.kinds == ["draft"] * SCALES
    assert not torch.equal(none.arrays["tokens"], all_.arrays["tokens"])


def test_autocast_hands_over_too() -> None:
    target, draft = (replace(config, engine="autocast", dtype="bfloat16").build(CPU) for config in (TARGET, DRAFT))
    assert same(generate(target, Handover(entry_num=SCALES), draft=draft), generate(draft, None))
    right, blind = (generate(target, Handover(entry_num=2, sd_mask=m), draft=draft).arrays["tokens"] for m in (CORRECT, 0))
    first = TARGET.layout.token_start(2)
    assert torch.equal(right[:, :first], blind[:, :first]) and not torch.equal(right, blind)


@pytest.mark.parametrize("entry", MIDDLE)
def test_a_target_that_takes_over_from_itself_makes_its_own_picture(pair: tuple[VarRuntime, VarRuntime], entry: int) -> None:
    target, _ = pair
    plain = generate(target, None).arrays
    own = generate(target, Handover(entry_num=entry), draft=target).arrays
    assert torch.equal(own["tokens"], plain["tokens"])
    assert torch.equal(own["f_hat"], plain["f_hat"])


@pytest.mark.parametrize("sd_mask", [m for m in MASKS if m != CORRECT])
def test_every_other_mask_makes_another_picture(pair: tuple[VarRuntime, VarRuntime], sd_mask: int) -> None:
    target, _ = pair
    plain = generate(target, None).arrays["tokens"]
    other = generate(target, Handover(entry_num=3, sd_mask=sd_mask), draft=target).arrays["tokens"]
    assert not torch.equal(other, plain)


def loops(target: VarRuntime, draft: VarRuntime) -> tuple[ScaleLoop, ScaleLoop]:
    """A generation of each, for rules that are driven by hand."""
    labels = torch.tensor(BATCH.conditions)
    started = [runtime.start(labels, BATCH.seeds) for runtime in (target, draft)]
    assert all(isinstance(loop, ScaleLoop) for loop in started)
    return started[0], started[1]  # type: ignore[return-value]


@contextmanager
def logged(loop: Any) -> Iterator[list[Tensor]]:
    """Guided logits of every pass over several scales."""
    seen: list[Tensor] = []
    guided = loop.guided

    def watched(*args: Any, **options: Any) -> Pass:
        said = guided(*args, **options)
        seen.append(said.logits)
        return said

    loop.guided = watched
    yield seen
    del loop.guided


@pytest.fixture(scope="module")
def eager() -> tuple[VarRuntime, VarRuntime]:
    return TARGET.build(CPU), DRAFT.build(CPU)


@torch.no_grad()
@pytest.mark.parametrize("sd_mask", MASKS)
@pytest.mark.parametrize("entry", MIDDLE)
def test_one_pass_with_the_right_mask_reads_what_a_prefill_scale_by_scale_does(
    eager: tuple[VarRuntime, VarRuntime], entry: int, sd_mask: int
) -> None:
    seam, draft = loops(*eager)
    rule = HandoverRule(seam, draft, entry=entry, sd_mask=sd_mask, kinds=Handover(entry_num=entry).plan(SCALES))
    with logged(seam) as passes:
        rule.decode()
    stepwise, _ = loops(*eager)
    stepwise.adopt(seam, SCALES)
    for k in range(entry + 1):
        wanted = stepwise.guided(stepwise.canvas.input_of(k) if k else None, first=k, last=k).logits
    found = passes[0][:, -(SIDES[entry] ** 2) :]
    coincides = sd_mask == CORRECT or (entry == 1 and sd_mask in (2, 5))  # a prefix of one token hides nothing from itself
    assert ((found - wanted).abs().max() < 1e-5) == coincides
    if sd_mask == CORRECT:
        end = TARGET.layout.row_start(entry + 1)
        ours, theirs = (torch.stack([loop.run.kv.keys, loop.run.kv.values])[..., :end, :] for loop in (seam, stepwise))
        assert torch.allclose(ours, theirs, atol=1e-6), "later scales must find the same keys and values, too"


@torch.no_grad()
def test_without_prefix_the_target_runs_as_if_the_entry_scale_were_its_first_token(
    eager: tuple[VarRuntime, VarRuntime],
) -> None:
    entry, (seam, draft) = 2, loops(*eager)
    seam.run.kv.keys.fill_(float("nan"))  # what was never written must not be read
    seam.run.kv.values.fill_(float("nan"))
    with logged(seam) as passes:
        HandoverRule(seam, draft, entry=entry, sd_mask=0, kinds=Handover(entry_num=entry).plan(SCALES)).decode()
    run, model = GuidedRun(seam.model, seam.condition), eager[0].var
    short = KVCache(layers=2, rows=6, heads=2, capacity=30, head_dim=HEAD_DIM, dtype=torch.float32, device=CPU)
    for k, found in zip(range(entry, SCALES), passes, strict=True):
        x = run.embed(seam.canvas.input_of(k), first=k, last=k)
        h = model.run_blocks(x, run.given.mod.blocks, kv=short, attend=attend)
        wanted = combine(run.logits(h), TARGET.cfg * k / (SCALES - 1))
        assert (found - wanted).abs().max() < 1e-5


def head_on_inputs(loop: ScaleLoop, maps: Tensor, *, first: int, last: int, bias: Tensor | None) -> Pass:
    """The blocks run, but the head reads what went into them."""
    x = loop.run.inputs(maps, first=first, last=last)
    loop.run.advance(x, first=first, last=last, bias=bias)
    return Pass(combine(loop.run.logits(x), loop.sampling.at(last).t))


def same_scale_codes(loop: ScaleLoop, maps: Tensor, *, first: int, last: int, bias: Tensor | None) -> Pass:
    """The target reads the tokens' own codes where it was trained on the canvas before them."""
    codes = torch.cat([loop.codebook[loop.tokens_of(k)] for k in range(1, last)], 1) if last > 1 else maps[:, :0]
    leaked = torch.cat([codes, maps[:, codes.shape[1] :]], 1)
    return ScaleLoop.guided(loop, leaked, first=first, last=last, bias=bias)


def shifted_positions(loop: ScaleLoop, maps: Tensor, *, first: int, last: int, bias: Tensor | None) -> Pass:
    """Tokens stand one position too early."""
    var: Any = loop.model.var  # type: ignore[attr-defined]
    positions = var.positions
    var.positions = lambda first, last: positions(first, last).roll(1, 1)
    try:
        return ScaleLoop.guided(loop, maps, first=first, last=last, bias=bias)
    finally:
        del var.positions


def conditional_start(loop: ScaleLoop, maps: Tensor, *, first: int, last: int, bias: Tensor | None) -> Pass:
    """The query is built for B rows and repeated: the unconditional half starts from the class."""
    run, begin = loop.run, loop.run.begin
    run.begin = lambda: begin()[: run.batch].repeat(2, 1, 1)  # type: ignore[method-assign]
    try:
        return ScaleLoop.guided(loop, maps, first=first, last=last, bias=bias)
    finally:
        del run.begin


def unguided(loop: ScaleLoop, maps: Tensor, *, first: int, last: int, bias: Tensor | None) -> Pass:
    """Conditional logits alone."""
    h = loop.run.advance(loop.run.inputs(maps, first=first, last=last), first=first, last=last, bias=bias)
    return Pass(loop.run.logits(h).chunk(2)[0])


def one_guidance_for_all(loop: ScaleLoop, maps: Tensor, *, first: int, last: int, bias: Tensor | None) -> Pass:
    """The last scale's guidance at every scale."""
    h = loop.run.advance(loop.run.inputs(maps, first=first, last=last), first=first, last=last, bias=bias)
    return Pass(combine(loop.run.logits(h), loop.sampling.at(SCALES - 1).t))


BUGS = (head_on_inputs, same_scale_codes, shifted_positions, conditional_start, unguided, one_guidance_for_all)


@torch.no_grad()
@pytest.mark.parametrize("bug", [None, *BUGS], ids=lambda bug: bug.__name__ if bug else "none")
def test_taking_over_from_itself_notices_every_bug_that_was_shipped(eager: tuple[VarRuntime, VarRuntime], bug: Any) -> None:
    target, entry = eager[0], 2
    plain: list[Tensor] = []
    alone, _ = loops(target, target)
    alone.record = lambda name, value: plain.append(value) if name == "logits" else None
    for k in range(entry + 1):
        alone.full(k)
    seam, draft = loops(target, target)
    if bug:
        seam.guided = partial(bug, seam)  # type: ignore[method-assign]
    drawn: list[Tensor] = []
    draw = seam.draw

    def watched(said: Pass, scale: int) -> tuple[Tensor, Tensor]:
        drawn.append(said.logits)
        return draw(said, scale)

    seam.draw = watched  # type: ignore[method-assign]
    HandoverRule(seam, draft, entry=entry, sd_mask=CORRECT, kinds=Handover(entry_num=entry).plan(SCALES)).decode()
    off = (drawn[0][:, -(SIDES[entry] ** 2) :] - plain[entry]).abs().max()
    assert off < 1e-5 if bug is None else off > 1e-3


@torch.no_grad()
def test_a_generation_leaves_nothing_behind(pair: tuple[VarRuntime, VarRuntime]) -> None:
    target, draft = pair
    before = generate(target, None), generate(draft, None)
    first = generate(target, Handover(entry_num=2), draft=draft)
    generate(target, Handover(entry_num=3, sd_mask=0), draft=draft)
    assert same(first, generate(target, Handover(entry_num=2), draft=draft))
    assert all(same(was, generate(runtime, None)) for was, runtime in zip(before, pair, strict=True))


def test_both_engines_hand_over_the_same_tokens() -> None:
    for sd_mask in MASKS:
        tokens = [
            generate(
                replace(TARGET, engine=engine).build(CPU),
                Handover(entry_num=2, sd_mask=sd_mask),
                draft=replace(DRAFT, engine=engine).build(CPU),
            ).arrays["tokens"]
            for engine in ENGINES
        ]
        assert torch.equal(*tokens)


def test_the_draft_is_added_to_the_whole_target_unless_the_prefix_is_not_fed(eager: tuple[VarRuntime, VarRuntime]) -> None:
    target, draft = TARGET.cost(), DRAFT.cost()
    for entry in range(SCALES + 1):
        for sd_mask in (0, CORRECT):
            strategy = Handover(entry_num=entry, sd_mask=sd_mask)
            stats = generate(eager[0], strategy, draft=eager[1]).stats
            of_one = {name: values[0].tolist() for name, values in stats.items()}
            read = target.macs if sd_mask and entry < SCALES else target.macs[entry:]
            done = Done([], target, {"draft": draft}, of_one)
            assert strategy.macs(done) == pytest.approx(sum(read) + sum(draft.macs[:entry]))


SMALL = (
    "generator=var_tiny",
    "generator.patch_nums=[1,2,3,4]",
    "generator.image_size=64",
    "data.limit=2",
    "data.batch_size=2",
    "strategy=handover",
    "strategy.entry_num=2",
    "generator@strategy.draft=var_tiny",
    "strategy.draft.patch_nums=[1,2,3,4]",
    "strategy.draft.image_size=64",
    "strategy.draft.depth=1",
)


def test_a_study_runs_it_and_prices_both_models(tmp_path: Path) -> None:
    checks = "[{equal: [target, none]}, {equal: [draft, all]}]"
    arms = (
        "{target: {strategy: original}, draft: {strategy: original, generator.depth: 1}, none: {entry_num: 0}, "
        "half: {}, all: {entry_num: 4}}"
    )
    record = frame.run(
        *SMALL,
        f"+study.arms={arms}",
        f"study.checks={checks}",
        "study.baseline=target",
        "study.keep=[tokens]",
        "study.timing.repeats=1",
        output=tmp_path,
    )
    assert record.verdict == "pass", record.failures
    found = record.arms
    assert found["half"].kinds == {"draft": 2, "full": 2}
    assert found["half"].macs > found["target"].macs > found["all"].macs == found["draft"].macs
    assert found["half"].samples[0].stats == {
        "target_runs": [1, 1, 1, 1],
        "draft_runs": [1, 1, 0, 0],
        "target_calls": 2,
    }
    assert record.timing.arms["half"].baseline == "target"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("strategy.entry_num=5", r"strategy.entry_num=5 is outside 0 \.\. 4: 0 is the target alone"),
        ("strategy.entry_num=-1", r"strategy.entry_num=-1 is outside 0 \.\. 4"),
        ("strategy.sd_mask=6", r"strategy.sd_mask=6 is outside 0 \.\. 5; 3 is the correct one"),
        ("strategy.draft.patch_nums=[1,2,4]", "differ: both must paint the same scales"),
        ("strategy.draft.vocab=99", "differ: a token must mean the same to both"),
        ("strategy.draft.init_seed=1", "two tokenizers"),
        ("strategy.draft.depth=0", "strategy.draft: generator.depth=0"),
        ("strategy.entry=2", "entry"),
        ("generator=flux_tiny", "attaches to scales, but generator flux offers denoise"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(override: str, message: str, tmp_path: Path) -> None:
    kept = [o for o in SMALL if not (override.startswith("generator=") and o.startswith("generator") and "@" not in o)]
    with pytest.raises(BadInput, match=message) as error:
        frame.compose.plan([*kept, override, f"output={tmp_path}"], conf=frame.CONF)
    assert "\n" not in str(error.value)
