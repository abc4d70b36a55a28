"""Laws of the backend inside a generation on a small real FLUX."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch

from sdaccel.generators.flux.generator import FluxRuntime
from sdaccel.generators.flux.operators import in_order
from sdaccel.generators.flux.processor import OperatorProcessor
from sdaccel.strategies.column_sparse.operators import SparseOperators
from sdaccel.strategies.column_sparse.options import ColumnSparse, Patchify
from sdaccel.strategies.forecast.strategy import HiCache, Taylor
from sdaccel.strategies.plain import Dense, Original
from tests.generators.flux.tiny import CPU, MODES, TINY, batch, bind, built, noise, relative, same
from tests.strategies.column_sparse.tiny import ATTN, HALVES, MLP, OFF, SPARSE, generate, opened

ALL = ColumnSparse(replace(ATTN, top_keys=1.0), replace(MLP, top_keys=1.0), SPARSE.patchify)
NOTHING = replace(SPARSE, attn=replace(ATTN, **OFF), mlp=replace(MLP, **OFF))
ROUNDING = 2e-6


@pytest.fixture(scope="module")
def runtime() -> FluxRuntime:
    return built()


# What it computes


@pytest.mark.parametrize("form", ["lse_merge", "delta"])
def test_all_columns_and_neurons_are_the_dense_generation(form: str, runtime: FluxRuntime) -> None:
    """Every block: a bias that is counted twice in single blocks, or a norm that is forgotten, would show."""
    sparse, dense = generate(runtime, replace(ALL, attn=replace(ALL.attn, form=form))), generate(runtime, Dense())
    assert relative(sparse.arrays["latents"], dense.arrays["latents"]) < ROUNDING


@pytest.mark.parametrize("half", HALVES)
def test_with_some_left_out_it_is_another_generation_near_it(half: str, runtime: FluxRuntime) -> None:
    sparse, dense = generate(runtime, HALVES[half]).arrays["latents"], generate(runtime, Dense()).arrays["latents"]
    assert 1e-4 < relative(sparse, dense) < 0.2


def test_the_halves_are_different_approximations(runtime: FluxRuntime) -> None:
    made = [generate(runtime, options).arrays["latents"] for options in HALVES.values()]
    assert all(relative(a, b) > 1e-4 for i, a in enumerate(made) for b in made[:i])


def test_the_dense_model_does_not_mind_the_order_of_its_tokens(runtime: FluxRuntime) -> None:
    made, dense = generate(runtime, NOTHING), generate(runtime, Dense())
    assert relative(made.arrays["latents"], dense.arrays["latents"]) < ROUNDING
    assert torch.equal(made.arrays["latents"][:, 0], dense.arrays["latents"][:, 0]), "noise is dealt to places, not to ranks"


@torch.no_grad()
def test_it_does_mind_where_rope_does_not_follow(runtime: FluxRuntime) -> None:
    with opened(runtime, NOTHING) as operators:
        order = operators.order
    seam, x = bind(runtime), noise([1, 2])
    wanted = in_order(seam.full(3, x), order, dim=1)
    assert relative(seam.full(3, in_order(x, order, dim=1)), wanted) > 1e-3
    seam = bind(runtime)
    seam.inputs["img_ids"] = in_order(seam.inputs["img_ids"], order)
    assert relative(seam.full(3, in_order(x, order, dim=1)), wanted) < ROUNDING


def test_the_order_decides_which_tokens_share_their_columns(runtime: FluxRuntime) -> None:
    rows = generate(runtime, replace(SPARSE, patchify=Patchify(is_enabled=False)))
    assert relative(rows.arrays["latents"], generate(runtime).arrays["latents"]) > 1e-4


def test_random_neurons_are_a_function_of_the_samples_seed(runtime: FluxRuntime) -> None:
    options = replace(SPARSE, mlp=replace(MLP, random_keys=0.3))
    made = generate(runtime, options)
    assert same(made, generate(runtime, options)) and not same(made, generate(runtime))
    swapped = generate(runtime, options, wanted=batch(["two dogs", "a cat"], seeds=(2, 1)))
    assert relative(swapped.arrays["latents"].flip(0), made.arrays["latents"]) < 1e-4


# Composition with modes


@pytest.mark.parametrize("steps", [12, 28, 50])
@pytest.mark.parametrize("half", HALVES)
def test_interval_1_is_the_sparse_generation_bit_for_bit(half: str, steps: int) -> None:
    runtime = replace(TINY, num_steps=steps).build(CPU)
    alone = generate(runtime, HALVES[half])
    generate(runtime, HALVES[half], wanted=batch(["something", "else"], seeds=(70, 71)))
    assert same(generate(runtime, HALVES[half], HiCache(interval=1)), alone), "the third generation of these objects"


PREVIOUS = replace(SPARSE, attn=replace(ATTN, form="delta", column_mass="previous"))
FOLLOWING = replace(SPARSE, attn=replace(ATTN, follow_values=True, recompute_mask=True))


@pytest.mark.parametrize("options", [PREVIOUS, FOLLOWING, ALL, NOTHING])
def test_interval_1_is_the_sparse_generation_in_bfloat16(options: ColumnSparse) -> None:
    runtime = built("bfloat16")
    assert same(generate(runtime, options, Taylor(interval=1)), generate(runtime, options))


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_composes(mode: str, runtime: FluxRuntime) -> None:
    assert same(generate(runtime, SPARSE, MODES[mode](interval=1)), generate(runtime))
    made = generate(runtime, SPARSE, MODES[mode](interval=3))
    assert set(made.kinds) > {"full"}
    assert 1e-4 < relative(made.arrays["latents"], generate(runtime).arrays["latents"]) < 1


def test_forecast_steps_touch_no_state(runtime: FluxRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    class Watched(SparseOperators):
        @contextmanager
        def forward(self, step: int) -> Iterator[None]:
            with super().forward(step):
                yield
            assert self.plan is not None, "every layer ran once"
            seen.append(step)

    monkeypatch.setattr("sdaccel.strategies.column_sparse.options.SparseOperators", Watched)
    strategy = HiCache(interval=4, first_enhance=2)
    made = generate(runtime, SPARSE, strategy)
    assert seen == [step for step, kind in enumerate(made.kinds) if kind == "full"] == [0, 1, 5, 9]


def test_under_forecasting_it_stays_near_the_dense_run_of_the_same_mode(runtime: FluxRuntime) -> None:
    strategy = HiCache(interval=3)
    sparse, dense = (generate(runtime, backend, strategy).arrays["latents"] for backend in (SPARSE, Dense()))
    assert 1e-4 < relative(sparse, dense) < 0.2


@torch.no_grad()
def test_a_strategy_can_tell_full_anchors_from_sparse_ones(runtime: FluxRuntime) -> None:
    with opened(runtime) as operators:
        seam, exact = bind(runtime), []
        seam.operators = operators
        for step in range(12):
            seam.full(step, noise([1, 2]))
            exact.append(seam.exact)
    assert [step for step in range(12) if exact[step]] == [0, 5, 10]
    assert bind(runtime).exact, "a dense seam is"


@torch.no_grad()
def test_emitted_features_are_the_receivers_to_keep_and_to_destroy(runtime: FluxRuntime) -> None:
    def run(*, destroy: bool) -> list[torch.Tensor]:
        out = []
        with opened(runtime) as operators:
            seam = bind(runtime)
            seam.operators = operators
            for step in range(8):
                kept: dict[str, torch.Tensor] = {}
                copies: dict[str, torch.Tensor] = {}

                def emit(name: str, feature: torch.Tensor, kept: Any = kept, copies: Any = copies) -> None:
                    kept[name], copies[name] = feature, feature.clone()

                out.append(seam.full(step, noise([step, 2]), emit=emit))
                assert all(torch.equal(kept[name], copies[name]) for name in kept)
                before = {name: (feature, feature.clone()) for name, feature in kept.items()}
                seam.full(step, noise([step, 3]))
                assert all(torch.equal(*pair) for pair in before.values()), "the next forward changed what was handed out"
                for feature in kept.values() if destroy else ():
                    feature.fill_(torch.nan)
        return out

    assert all(torch.equal(a, b) for a, b in zip(run(destroy=False), run(destroy=True), strict=True))


# State of one generation


def test_the_second_image_is_that_of_a_fresh_process(runtime: FluxRuntime) -> None:
    for seeds in ((70, 71), (80, 81), (90, 91)):
        generate(runtime, wanted=batch(["something", "else"], seeds=seeds))
    assert same(generate(runtime), generate(built()))


def test_another_size_in_between_leaves_nothing(runtime: FluxRuntime) -> None:
    wanted = generate(runtime)
    generate(runtime, wanted=batch(["one alone"], seeds=(5,)))
    assert same(generate(runtime), wanted)


def test_rows_of_a_batch_do_not_know_of_each_other(runtime: FluxRuntime) -> None:
    """Bits depend on the shape of a batch, not on what else is in it."""
    first = generate(runtime, wanted=batch(["a cat", "two dogs"], seeds=(1, 2))).arrays["latents"]
    second = generate(runtime, wanted=batch(["a cat", "three owls"], seeds=(1, 9))).arrays["latents"]
    alone = generate(runtime, wanted=batch(["a cat"], seeds=(1,))).arrays["latents"]
    assert torch.equal(first[0], second[0]) and not torch.equal(first[1], second[1])
    assert relative(alone[0], first[0]) < 1e-4


def test_branches_of_true_guidance_do_not_know_of_each_other() -> None:
    """Both at once are the told and the untold run side by side; guidance 1 would take the told velocity alone."""
    guided = replace(TINY, true_cfg=2.0, guidance_embeds=False).build(CPU)
    plain = replace(TINY, guidance_embeds=False).build(CPU)
    told, untold = (bind(plain, prompts) for prompts in (["a cat", "two dogs"], ["", ""]))
    both = bind(guided)
    with torch.no_grad(), opened(guided) as a, opened(plain) as b:
        both.operators, told.operators = a, b
        velocities = [(both.full(step, noise([1, 2])), told.full(step, noise([1, 2]))) for step in range(5)]
        assert a.plan == b.plan and not a.exact
    with torch.no_grad(), opened(plain) as c:
        untold.operators = c
        for step, (v, t) in enumerate(velocities):
            u = untold.full(step, noise([1, 2]))
            assert relative(v, u + 2.0 * (t - u)) < 1e-5


@torch.no_grad()
def test_a_forward_that_dies_starts_over(runtime: FluxRuntime) -> None:
    with opened(runtime) as operators:
        seam = bind(runtime)
        seam.operators = operators
        for step in range(3):
            seam.full(step, noise([step, 3]))

        def die(name: str, feature: torch.Tensor) -> None:
            raise LookupError(name)

        with pytest.raises(LookupError):
            seam.full(3, noise([1, 2]), emit=die)
        assert operators.plan is None and not operators.running
        after = seam.full(4, noise([1, 2]))
        assert operators.plan is not None and operators.plan.ordinal == 0 and operators.exact
    assert relative(after, bind(runtime).full(4, noise([1, 2]))) < ROUNDING


def test_a_forward_in_which_a_layer_did_not_run_once_is_not_built_upon(runtime: FluxRuntime) -> None:
    """The cached branch that called a dense layer where the sparse one should have run."""
    with torch.no_grad(), opened(runtime) as operators:
        seam = bind(runtime)
        seam.operators = operators
        seam.full(0, noise([1, 2]))
        assert operators.plan is not None
        with operators.forward(1):
            pass
        assert operators.plan is None


@torch.no_grad()
def test_outside_of_a_real_forward_the_operators_are_dense_and_touch_nothing(runtime: FluxRuntime) -> None:
    with opened(runtime) as operators:
        seam = bind(runtime)
        seam.operators = operators
        for step in range(3):
            seam.full(step, noise([1, 2]))
        with_detour = bind(runtime)  # tells nobody
        detour = with_detour.full(3, noise([8, 9]))
        last = seam.full(3, noise([1, 3]))
    with opened(runtime) as operators:
        seam = bind(runtime)
        seam.operators = operators
        for step in range(3):
            seam.full(step, noise([1, 2]))
        assert torch.equal(seam.full(3, noise([1, 3])), last)
    assert relative(detour, bind(runtime).full(3, noise([8, 9]))) < ROUNDING


# Leaving


def everything(runtime: FluxRuntime) -> list[Any]:
    """Modules, their attributes and processors by identity, and every weight by value."""
    attributes = [(name, id(m), sorted(vars(m)), id(getattr(m, "processor", None))) for name, m in runtime.named_modules()]
    return attributes + [(name, p.detach().sum().item()) for name, p in runtime.named_parameters()]


def test_it_leaves_without_trace(runtime: FluxRuntime) -> None:
    before, dense = everything(runtime), generate(runtime, Dense())
    with opened(runtime):
        assert everything(runtime) != before, "the fingerprint would not see it"
    assert everything(runtime) == before
    generate(runtime)
    assert everything(runtime) == before and same(generate(runtime, Dense()), dense)


def test_it_leaves_without_trace_when_the_run_dies(runtime: FluxRuntime) -> None:
    class Dying(Original):
        def start(self, seam: Any, *, steps: int) -> None:
            seam.full(0, noise([1, 2]))
            raise LookupError

    before = everything(runtime)
    with pytest.raises(LookupError):
        generate(runtime, SPARSE, Dying())
    assert everything(runtime) == before


def test_layers_in_front_stay_the_models_own(runtime: FluxRuntime) -> None:
    options = replace(SPARSE, attn=replace(ATTN, first_n_dense_layers=1), mlp=replace(MLP, first_n_dense_layers=3))
    model = bind(runtime).model
    with opened(runtime, options) as operators:
        blocks = [*model.transformer_blocks, *model.single_transformer_blocks]
        sparse = [isinstance(block.attn.processor, OperatorProcessor) for block in blocks]
        assert sparse == [False, True, True, True]
        placed = ["forward" in vars(m) for m in (blocks[0].ff, blocks[1].ff, blocks[2].proj_out, blocks[3].proj_out)]
        assert placed == [False, False, False, True]
        assert list(operators.layers_of("attn")) == [1, 2, 3] and list(operators.layers_of("mlp")) == [3]
    everything_dense = replace(SPARSE, attn=replace(ATTN, first_n_dense_layers=9), mlp=replace(MLP, first_n_dense_layers=9))
    assert relative(generate(runtime, everything_dense).images, generate(runtime, Dense()).images) < ROUNDING
