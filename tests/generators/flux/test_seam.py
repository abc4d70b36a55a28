"""Laws of the seam: a full step is diffusers' own, and its features are all that the velocity needs."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sdaccel.generators.flux.blocks import compiled, double, single
from sdaccel.generators.flux.generator import FluxRuntime
from sdaccel.generators.flux.schedule import times
from sdaccel.generators.flux.seam import FluxSeam
from sdaccel.strategies.forecast.strategy import HiCache
from sdaccel.strategies.plain import Original
from tests.generators.flux.tiny import CPU, PROMPTS, TINY, bind, built, from_features, generate, hooks, noise, relative, same

STEP = 5
FEATURES = ["double.0.attn", "double.0.mlp", "double.1.attn", "double.1.mlp", "single.0", "single.1"]


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def diffusers_step(seam: FluxSeam, step: int, x: Tensor) -> Tensor:
    """The model called as its documentation says, in its own number format."""
    t = times(TINY.num_steps, tokens=TINY.tokens)[step]
    rows, columns = TINY.height // 2, TINY.width // 2
    ids = torch.tensor([[0.0, row, column] for row in range(rows) for column in range(columns)])
    out = seam.model(
        hidden_states=x.to(seam.dtype),
        encoder_hidden_states=seam.inputs["encoder_hidden_states"],
        pooled_projections=seam.inputs["pooled_projections"],
        timestep=torch.tensor([t] * len(x), dtype=seam.dtype),
        img_ids=ids,
        txt_ids=torch.zeros(TINY.text_tokens, 3),
        guidance=torch.tensor([3.5] * len(x)),
    )
    return out.sample


def emitted(seam: FluxSeam, step: int, x: Tensor, names: list[str] | None = None) -> tuple[Tensor, dict[str, Tensor]]:
    """The velocity of a full step and copies of its features."""
    features: dict[str, Tensor] = {}
    v = seam.full(step, x, emit=lambda name, feature: features.update({name: feature.clone()}), names=names)
    return v, features


def test_a_full_step_is_diffusers_own_with_and_without_emit(either: FluxRuntime) -> None:
    seam, x = bind(either), noise([1, 2])
    own = diffusers_step(seam, STEP, x)
    assert own.dtype == seam.dtype
    plain, (watched, _) = seam.full(STEP, x), emitted(seam, STEP, x)
    assert plain.dtype == torch.float32
    assert torch.equal(plain, own.float()) and torch.equal(watched, own.float())


def test_features_come_in_the_named_order_over_image_tokens_only(runtime: FluxRuntime) -> None:
    seam = bind(runtime)
    _, features = emitted(seam, STEP, noise([1, 2]))
    assert seam.features == list(features) == FEATURES
    assert {feature.shape for feature in features.values()} == {(2, TINY.tokens, TINY.heads * TINY.head_dim)}


def test_features_equal_those_of_other_places(either: FluxRuntime) -> None:
    """Deeper in the modules: the last linear layers of a double block, and the input of a single block's."""
    seam, x = bind(either), noise([1, 2])
    seen: dict[str, Tensor] = {}

    def keep(name: str, module: Any, args: Any, output: Any) -> None:
        seen[name] = output.clone()

    def project(name: str, module: Any, args: Any) -> None:
        seen[name] = F.linear(args[0], module.weight, module.bias)[:, TINY.text_tokens :]

    handles = []
    for i, block in enumerate(seam.model.transformer_blocks):
        handles.append(block.attn.to_out[0].register_forward_hook(partial(keep, f"double.{i}.attn")))
        handles.append(block.ff.net[-1].register_forward_hook(partial(keep, f"double.{i}.mlp")))
    for i, block in enumerate(seam.model.single_transformer_blocks):
        handles.append(block.proj_out.register_forward_pre_hook(partial(project, f"single.{i}")))
    _, features = emitted(seam, STEP, x)
    for handle in handles:
        handle.remove()
    assert {name: torch.equal(feature, seen[name]) for name, feature in features.items()} == dict.fromkeys(FEATURES, True)


def test_a_step_from_its_own_features_is_the_full_step(runtime: FluxRuntime) -> None:
    """Features are pre-gate, gates come from time, guidance and pooled text, and text tokens drop out."""
    seam, x = bind(runtime), noise([1, 2])
    for step in (0, STEP, TINY.num_steps - 1):
        v, features = emitted(seam, step, x)
        assert relative(from_features(seam, step, x, features), v) < 2e-6


def test_a_step_from_its_own_features_is_the_full_step_in_bfloat16_up_to_its_rounding() -> None:
    seam, x = bind(built("bfloat16")), noise([1, 2])
    v, features = emitted(seam, STEP, x)
    assert relative(from_features(seam, STEP, x, features), v) < 2e-2


def test_the_sum_of_gated_features_is_the_full_step_to_1e_10_in_float64() -> None:
    """Nothing small is missing from it."""
    seam, x = bind(built("float64")), noise([1, 2]).double()
    _, features = emitted(seam, STEP, x)
    v = from_features(seam, STEP, x, features)
    assert v.dtype == torch.float64
    assert relative(v, diffusers_step(seam, STEP, x)) < 1e-10


@pytest.mark.parametrize("dropped", FEATURES)
def test_without_one_feature_it_is_another_step(dropped: str, runtime: FluxRuntime) -> None:
    seam, x = bind(runtime), noise([1, 2])
    v, features = emitted(seam, STEP, x)
    features[dropped].zero_()
    assert relative(from_features(seam, STEP, x, features), v) > 1e-3


def test_with_the_gates_of_another_step_text_or_guidance_it_is_another_step(runtime: FluxRuntime) -> None:
    seam, x = bind(runtime), noise([1, 2])
    v, features = emitted(seam, STEP, x)
    swapped = bind(runtime, PROMPTS[::-1])
    unguided = bind(runtime)
    unguided.inputs["guidance"] = torch.zeros(2)
    for other, step in [(seam, STEP - 1), (swapped, STEP), (unguided, STEP)]:
        assert relative(from_features(other, step, x, features), v) > 1e-4


SUMMED = ["trunk", "singles", "output", "block.0", "block.1", "block.2", "block.3"]


def test_what_blocks_add_sums_up_to_what_stacks_add(either: FluxRuntime) -> None:
    """Every name is emitted once, when it is asked for, and all of them tell the same stream."""
    seam, x = bind(either), noise([1, 2])
    v, added = emitted(seam, STEP, x, names=SUMMED)
    assert set(added) == set(SUMMED) and set(seam.blocks) < set(SUMMED)
    rounding = 1e-5 if seam.dtype == torch.float32 else 2e-2
    assert relative(sum((added[name] for name in seam.blocks), torch.zeros(())), added["trunk"]) < rounding
    assert relative(added["block.2"] + added["block.3"], added["singles"]) < rounding
    assert relative(seam.from_trunk(STEP, x, added["trunk"]), v) < rounding
    assert relative(seam.from_singles(STEP, x, added["singles"]), v) < rounding
    assert torch.equal(seam.from_output(STEP, x, added["output"]), v)


def test_the_doubles_are_computed_anew_where_only_the_singles_are_given(runtime: FluxRuntime) -> None:
    seam, x = bind(runtime), noise([1, 2])
    _, added = emitted(seam, STEP, x, names=["singles", "trunk"])
    other, t = noise([3, 4]), STEP + 1
    by_singles, by_trunk = seam.from_singles(t, other, added["singles"]), seam.from_trunk(t, other, added["trunk"])
    assert relative(by_singles, by_trunk) > 1e-3


def test_the_gates_of_many_steps_are_those_of_each(runtime: FluxRuntime) -> None:
    seam = bind(runtime)
    gates = seam.gates([2, 7])
    assert gates.shape == (2, len(FEATURES), 2, TINY.heads * TINY.head_dim)
    assert relative(gates, torch.cat([seam.gates([2]), seam.gates([7])])) < 1e-6
    assert relative(gates[0], gates[1]) > 1e-3


@pytest.mark.parametrize("kind", ["double", "single"])
def test_a_block_that_emits_is_one_graph_without_breaks(kind: str, runtime: FluxRuntime) -> None:
    """Compiled once for all blocks of a kind, bit for bit the same: what hooks could not do."""
    seam, x = bind(runtime), noise([1, 2])
    image, text, temb = seam._entered(STEP, x)
    run = {"double": double, "single": single}[kind]
    stack = seam.model.transformer_blocks if kind == "double" else seam.model.single_transformer_blocks
    graphs = []

    def count(graph: torch.fx.GraphModule, inputs: object) -> object:
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(run, fullgraph=True, backend=count)
    for block in stack:
        ours, theirs = (call(block, image, text, temb, seam._rope) for call in (run, compiled))
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert len(graphs) == 1
    torch.compiler.reset()


@torch.inference_mode()
def test_the_compiled_engine_runs_graphs_with_strategy_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an inductor, so that the bits are those of the eager engine; the two graphs serve every full step."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    compiled.cache_clear()
    eager, fused = (replace(TINY, engine=engine).build(CPU) for engine in ("eager", "compiled"))
    for strategy in (Original(), HiCache(interval=1), HiCache(interval=3)):
        assert same(generate(fused, strategy), generate(eager, strategy))
    monkeypatch.undo()
    compiled.cache_clear()
    torch.compiler.reset()


def test_a_step_leaves_no_hook_even_when_an_emit_raises(runtime: FluxRuntime) -> None:
    def emit(name: str, feature: Tensor) -> None:
        assert hooks(runtime) == 0
        if name == "double.1.attn":
            raise LookupError(name)

    seam, x = bind(runtime), noise([1, 2])
    before = seam.full(STEP, x)
    with pytest.raises(LookupError, match=r"double\.1\.attn"):
        seam.full(STEP, x, emit=emit)
    assert torch.equal(seam.full(STEP, x), before)
