"""Laws of the fast engine that need a GPU: a replayed graph is the calls it recorded."""

from dataclasses import replace

import pytest
import torch

from sdaccel.benches.agreement import agreement
from sdaccel.conditions import Batch
from sdaccel.generators.nextscale.loop import Sample
from sdaccel.generators.nextscale.tokens import Sampling
from sdaccel.generators.var.engine_fast import Fast
from sdaccel.generators.var.generator import Var, VarRuntime
from sdaccel.strategies.scale_skipping import ScaleSkipping
from tests.generators.nextscale.test_sublayers import Reuse
from tests.generators.test_engine import TINY, batch

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
GPU = torch.device("cuda")
CONFIG = replace(TINY, dtype="float16", vocab=4096, cfg=3.0, top_k=900, top_p=0.95)


def fast(config: Var) -> tuple[VarRuntime, Fast]:
    runtime = replace(config, engine="fast").build(GPU)
    assert isinstance(runtime.engine, Fast)
    return runtime, runtime.engine


@torch.no_grad()
def run(engine: Fast, of: Batch, sampling: Sampling) -> Sample:
    loop = engine.start(torch.tensor(of.conditions, device=GPU), of.seeds.to(GPU), sampling=sampling)
    for k in range(TINY.steps):
        loop.full(k)
    return loop.finish()


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_replayed_graphs_draw_the_tokens_of_the_calls_they_recorded(dtype: str) -> None:
    config = replace(CONFIG, dtype=dtype)
    (_, graphed), (_, plain) = fast(config), fast(config)
    plain.graphs = False
    for of in (batch([1, 2], 3), batch([4, -1], 9), batch([1, 2], 3), batch([3], 5)):
        a, b = (run(engine, of, config.sampling) for engine in (graphed, plain))
        assert torch.equal(a.tokens, b.tokens)
        assert (a.f_hats - b.f_hats).abs().max() < 1e-3
        assert (a.images.float() - b.images.float()).abs().mean() < 1e-2


def test_other_guidance_and_filters_need_no_new_graph() -> None:
    runtime, engine = fast(CONFIG)
    of = batch([1, 2], 3)
    first = run(engine, of, CONFIG.sampling)
    (loop,) = engine.free[2, False]
    recorded = set(loop.graphs.recorded)
    other = replace(CONFIG, cfg=0.0, top_k=3, top_p=0.0)
    changed = run(engine, of, other.sampling)
    assert set(loop.graphs.recorded) == recorded
    assert torch.equal(changed.tokens, run(fast(other)[1], of, other.sampling).tokens)
    assert not torch.equal(first.tokens, changed.tokens)
    skipped = runtime.generate(of, backend=None, strategy=ScaleSkipping(last=1), keep=["tokens"]).arrays["tokens"]
    assert torch.equal(skipped[:, :14], first.tokens[:, :14])


@torch.no_grad()
def test_graphs_own_all_memory_that_they_work_in() -> None:
    """Lightning gives cuBLAS's workspaces back after every predict; whoever gets that memory then must not meet a replay."""
    _, engine = fast(replace(CONFIG, depth=8))
    of = batch([1, 2], 3)
    first = run(engine, of, CONFIG.sampling)
    torch._C._cuda_clearCublasWorkspaces()
    torch.cuda.empty_cache()
    others = [torch.full((2**18,), float(i), device=GPU) for i in range(512)]
    for _ in range(3):
        assert torch.equal(run(engine, of, CONFIG.sampling).tokens, first.tokens)
    torch.cuda.synchronize()
    assert all(bool((other == i).all()) for i, other in enumerate(others)), "a replay wrote into memory of another"


@torch.no_grad()
def test_truncating_and_redoing_through_graphs_changes_no_token() -> None:
    _, engine = fast(CONFIG)
    of = batch([1, 2], 3)
    straight = run(engine, of, CONFIG.sampling)
    loop = engine.start(torch.tensor(of.conditions, device=GPU), of.seeds.to(GPU), sampling=CONFIG.sampling)
    for k in range(TINY.steps):
        loop.full(k)
    for back_to in range(TINY.steps):
        loop.truncate(back_to)
        for k in range(back_to, TINY.steps):
            loop.full(k)
    again = loop.finish()
    assert torch.equal(again.tokens, straight.tokens)
    assert torch.equal(again.f_hats, straight.f_hats)


@pytest.mark.parametrize("how", ["keep", "drop"])
@torch.no_grad()
def test_reused_sublayers_replay_as_they_were_recorded(how: str) -> None:
    """The second round replays what the first one recorded, other samples between them; a plain generation records no more."""
    (_, graphed), (_, plain) = fast(CONFIG), fast(CONFIG)
    plain.graphs = False
    like = torch.zeros(4, 1, 64 * CONFIG.depth, dtype=torch.float16, device=GPU)
    alone = run(graphed, batch([1, 2], 3), CONFIG.sampling)
    (loop,) = graphed.free[2, False]
    recorded = len(loop.graphs.recorded)
    for seed in (3, 9, 3):
        made = []
        for engine in (graphed, plain):
            answers = Reuse({(1, "attn"): how, (0, "ffn"): "keep"}, like)
            some = engine.start(torch.tensor([1, 2], device=GPU), torch.arange(2, device=GPU) + seed, sampling=CONFIG.sampling)
            for k in range(TINY.steps):
                some.full(k, sublayers=answers)
            made.append(some.finish().tokens)
        assert torch.equal(*made)
    assert len(loop.graphs.recorded) == recorded + TINY.steps
    again = run(graphed, batch([1, 2], 3), CONFIG.sampling)
    assert torch.equal(again.tokens, alone.tokens) and len(loop.graphs.recorded) == recorded + TINY.steps


@torch.no_grad()
def test_fast_agrees_with_eager_on_the_same_inputs() -> None:
    for dtype, bound in (("float32", 1e-4), ("float16", 2e-2)):
        config = replace(CONFIG, dtype=dtype, top_k=0, top_p=0.0)
        _, engine = fast(config)
        loop = engine.start(torch.tensor([0, 1, 2, 3], device=GPU), torch.arange(4, device=GPU), sampling=config.sampling)
        found = agreement(loop.run, loop.condition, loop.seeds, sampling=config.sampling)
        assert found.relative_l2 < bound
        assert all(difference.explained for difference in found.differences), found.differences
