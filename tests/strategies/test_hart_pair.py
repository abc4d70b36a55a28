"""Next-scale strategies on HART with a smaller one beside it: the residual is the target's, drawn when its tokens stand."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from sdaccel.errors import BadInput
from sdaccel.generators.hart.sampler import HartModel
from sdaccel.strategies.collaborative.code import CoDe
from sdaccel.strategies.scale_skipping import ScaleSkipping
from sdaccel.strategies.speculative.coupled import Coupled
from sdaccel.strategies.speculative.handover import Handover
from sdaccel.strategies.speculative.masks import CORRECT, MASKS
from sdaccel.strategies.speculative.rejection import Rejection
from tests.generators.hart.tiny import DOUBLE, DRAFT, TINY, batch, close, generate, same
from tests.strategies import pair

K = TINY.steps
LITTLE = replace(DRAFT, dtype="float64")
OTHER = replace(DRAFT, cfg=0.5, head_steps=2, residual=False, more_smooth=True)
"""Beside a target it is sampled as that is."""
SIX = batch(["a cat", "two dogs", "a cube", "a sea", "a tree", "a moon"], torch.arange(6))


@pytest.mark.parametrize("gamma", [1, 2, 3])
def test_coupled_speculation_makes_the_targets_own_sample_residual_included(gamma: int) -> None:
    """Rows part ways: the head must read the block output and the noise of the right ones."""
    made = generate(DOUBLE, SIX, Coupled(draft=DRAFT, gamma=gamma))
    assert close(made, generate(DOUBLE, SIX))
    assert (made.images - generate(DOUBLE, SIX).images).abs().max() < 1e-6
    assert gamma == 1 or len(set(made.stats["accepted"].tolist())) > 1, "no two rows parted"


@pytest.mark.parametrize("residual", [True, False])
def test_rejection_draws_the_last_scale_and_its_residual_from_the_target(monkeypatch: Any, residual: bool) -> None:
    """A draft never paints the last scale, so its own residual head never runs."""
    ran, original = list[int](), HartModel.residual

    def watched(self: HartModel, z: torch.Tensor, **options: Any) -> torch.Tensor:
        ran.append(self.layers)
        return original(self, z, **options)

    monkeypatch.setattr(HartModel, "residual", watched)
    made = generate(replace(DOUBLE, residual=residual), SIX, Rejection(draft=DRAFT, gamma=2))
    assert set(ran) == ({DOUBLE.depth} if residual else set())
    assert made.images.isfinite().all()


def test_a_draft_that_is_the_target_stands_everywhere() -> None:
    made = generate(DOUBLE, SIX, Coupled(draft=DOUBLE, gamma=3))
    assert torch.equal(made.stats["accepted"], made.stats["drafted"]) and close(made, generate(DOUBLE, SIX))


@pytest.mark.parametrize("sd_mask", MASKS)
def test_handovers_end_in_the_models_alone_and_only_the_right_mask_continues_a_model_by_itself(sd_mask: int) -> None:
    def handed(draft: Any, entry: int) -> Any:
        return generate(DOUBLE, strategy=Handover(draft=draft, entry_num=entry, sd_mask=sd_mask))

    assert same(handed(DRAFT, 0), generate(DOUBLE)) and same(handed(OTHER, K), generate(LITTLE))
    itself = [close(handed(DOUBLE, entry), generate(DOUBLE)) for entry in range(1, K)]
    assert all(itself) if sd_mask == CORRECT else not all(itself)


def test_code_ends_in_the_models_alone_and_the_refiner_adds_the_residual_of_a_scale_that_it_makes() -> None:
    assert same(generate(DOUBLE, strategy=CoDe(refiner=DRAFT, draft_scales=K)), generate(DOUBLE))
    assert close(generate(DOUBLE, strategy=CoDe(refiner=OTHER, draft_scales=0)), generate(LITTLE))
    itself, mixed = (generate(DOUBLE, strategy=CoDe(refiner=model, draft_scales=2)) for model in (DOUBLE, DRAFT))
    assert close(itself, generate(DOUBLE)) and not close(mixed, generate(DOUBLE))
    assert torch.equal(mixed.arrays["f_hat"][:, :2], generate(DOUBLE).arrays["f_hat"][:, :2])


def test_skipping_the_last_scale_skips_its_residual() -> None:
    whole, skipped = generate(TINY), generate(TINY, strategy=ScaleSkipping(last=1))
    assert torch.equal(skipped.arrays["f_hat"][:, :-1], whole.arrays["f_hat"][:, :-1])
    assert torch.equal(skipped.arrays["f_hat"][:, -1], whole.arrays["f_hat"][:, -2])
    assert same(generate(TINY, strategy=ScaleSkipping(last=0)), whole)


@pytest.mark.parametrize(
    ("target", "draft", "words"),
    [
        (TINY, replace(DRAFT, patch_nums=[1, 2, 4]), "strategy.draft.patch_nums=[1, 2, 4] and generator.patch_nums"),
        (TINY, replace(DRAFT, context_width=8), "both are told by the same text"),
        (TINY, replace(DRAFT, init_seed=1), "two tokenizers"),
        (TINY, pair.DRAFT, "strategy.draft is a var and generator a hart; choose two of one kind"),
        (pair.TARGET, DRAFT, "strategy.draft is a hart and generator a var; choose two of one kind"),
        (replace(TINY, engine="autocast", dtype="float16"), DRAFT, "set generator.engine=eager"),
        (TINY, None, "no next-scale generator"),
    ],
)
def test_a_pair_that_does_not_fit_is_bad_input(target: Any, draft: Any, words: str) -> None:
    Coupled(draft=DRAFT).fits(TINY, ["a cat"])
    with pytest.raises(BadInput) as caught:
        Coupled(draft=draft).fits(target, ["a cat"])
    assert words in str(caught.value)
