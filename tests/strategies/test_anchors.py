"""Laws of the anchor ring and of the sum over anchors."""

import pytest
import torch
from torch import Tensor

from sdaccel.strategies.forecast.anchors import AnchorRing
from sdaccel.strategies.forecast.weights import divided_differences
from tests.strategies.sums import weighted_sum


class ViewRing(AnchorRing):
    """The bug that flattened a ladder: it keeps what it was given instead of a copy."""

    views: list[Tensor]

    def write(self, name: str, feature: Tensor) -> None:
        self.views = [feature, *getattr(self, "views", [])]

    def anchors(self, name: str) -> list[Tensor]:
        return self.views


def slope_through_a_reused_buffer(ring: AnchorRing) -> Tensor:
    """L_1 of F(s) = 2 s when the model writes every output into the same memory."""
    buffer = torch.empty(4)
    for step in (2, 6):
        buffer.fill_(2 * step)
        ring.begin(step)
        ring.write("mlp", buffer)
    return weighted_sum(ring.anchors("mlp"), divided_differences(ring.steps)[1])


def test_anchors_survive_a_model_that_reuses_its_output_buffer() -> None:
    assert torch.equal(slope_through_a_reused_buffer(AnchorRing(2, ["mlp"])), torch.full((4,), 2.0))


def test_a_ring_of_views_loses_the_slope() -> None:
    assert torch.equal(slope_through_a_reused_buffer(ViewRing(2, ["mlp"])), torch.zeros(4))


def test_the_ring_keeps_the_newest_steps_and_forgets_the_oldest() -> None:
    ring = AnchorRing(3, ["a"])
    for step in (0, 1, 2, 8, 14):
        ring.begin(step)
        ring.write("a", torch.tensor([step]))
    assert ring.steps == [14, 8, 2]
    assert [int(anchor) for anchor in ring.anchors("a")] == [14, 8, 2]


def test_a_full_ring_allocates_nothing_more() -> None:
    ring = AnchorRing(2, ["a", "b"])
    for step in range(5):
        ring.begin(step)
        ring.write("a", torch.zeros(2, 3, dtype=torch.bfloat16))
        ring.write("b", torch.zeros(2, 3, dtype=torch.bfloat16))
        if step == 1:
            memory = {anchor.data_ptr() for name in "ab" for anchor in ring.anchors(name)}
    assert {anchor.data_ptr() for name in "ab" for anchor in ring.anchors(name)} == memory
    assert ring.memory.nbytes == 2 * 2 * (2 * 3 * 2)


def test_a_feature_that_was_not_emitted_is_not_taken_from_an_older_step() -> None:
    ring = AnchorRing(1, ["a"])
    ring.begin(0)
    ring.write("a", torch.zeros(1))
    ring.begin(5)
    with pytest.raises(KeyError, match="a was not written at step 5"):
        ring.anchors("a")


@pytest.mark.parametrize("changed", [torch.zeros(1, 3), torch.zeros(2, 3, dtype=torch.float64)])
def test_a_feature_that_would_be_broadcast_or_cast_is_refused(changed: Tensor) -> None:
    ring = AnchorRing(1, ["a"])
    ring.begin(0)
    ring.write("a", torch.zeros(2, 3))
    with pytest.raises(ValueError, match="feature a is"):
        ring.write("a", changed)


def test_a_ring_needs_room_for_one_step() -> None:
    with pytest.raises(ValueError, match="capacity 0"):
        AnchorRing(0, ["a"])


def test_anchors_keep_the_feature_dtype_and_gradients_stay_out() -> None:
    ring = AnchorRing(1, ["a"])
    ring.begin(0)
    ring.write("a", torch.zeros(2, dtype=torch.bfloat16, requires_grad=True))
    (anchor,) = ring.anchors("a")
    assert anchor.dtype == torch.bfloat16 and not anchor.requires_grad


def filled(ring: AnchorRing, steps: list[int], *, inexact: tuple[int, ...] = ()) -> AnchorRing:
    for step in steps:
        ring.begin(step)
        ring.write("a", torch.full((1, 1, 1), float(step)))
        ring.close(exact=step not in inexact)
    return ring


def test_weights_newest_first_meet_their_anchors_wherever_these_lie() -> None:
    """Four steps in three slots: the newest lies in the first slot, and the oldest one left is not used."""
    ring = filled(AnchorRing(3, ["a"]), [1, 2, 3, 4])
    weights = torch.tensor([[5.0], [7.0]])
    assert ring.slots == [0, 2, 1]
    assert ring.by_slot(weights).tolist() == [[5.0], [0.0], [7.0]]
    assert float((ring.by_slot(weights) * ring.memory[:, 0, 0, 0]).sum()) == 5 * 4 + 7 * 3


def test_an_inexact_anchor_is_held_until_the_next_one_comes_and_costs_no_slot() -> None:
    ring = filled(AnchorRing(3, ["a"]), [0, 1, 2], inexact=(1,))
    assert ring.steps == [2, 0] and ring.exact
    assert filled(ring, [5]).steps == [5, 2, 0]
    assert filled(ring, [6], inexact=(6,)).steps == [6, 5, 2] and not ring.exact
    assert filled(ring, [7]).steps == [7, 5, 2] and ring.exact
    assert [int(anchor) for anchor in ring.anchors("a")] == [7, 5, 2]


def test_a_ring_of_another_format_casts_what_it_is_given() -> None:
    ring = AnchorRing(1, ["a"], dtype=torch.bfloat16)
    ring.begin(0)
    ring.write("a", torch.tensor([1 + 2**-10]))
    (anchor,) = ring.anchors("a")
    assert anchor.dtype == torch.bfloat16 and float(anchor) == 1
