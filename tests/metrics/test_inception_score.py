"""Laws of the inception score."""

import pytest
import torch

from sdaccel.metrics.inception_score import inception_score


def test_certain_and_even_answers_score_the_number_of_classes() -> None:
    one_hot = torch.eye(7).repeat(20, 1)
    assert inception_score(one_hot, splits=1) == pytest.approx((7, 0), rel=1e-9)
    assert inception_score(one_hot, splits=10) == pytest.approx((7, 0), rel=1e-9)


def test_uncertain_answers_and_a_collapsed_generator_score_one() -> None:
    assert inception_score(torch.full((40, 5), 0.2), splits=2)[0] == pytest.approx(1, rel=1e-6)
    assert inception_score(torch.eye(5)[[3]].repeat(40, 1), splits=2)[0] == pytest.approx(1, rel=1e-6)


@pytest.mark.filterwarnings("ignore:Metric `InceptionScore` will save:UserWarning", "ignore:std\\(\\):UserWarning")
def test_equals_torchmetrics_where_its_shuffle_does_not_matter() -> None:
    """Why this one is ours: theirs shuffles by the global generator, which no record could repeat, and takes logits alone."""
    import sdaccel.torchvision_guard  # noqa: F401, I001  (before torchmetrics)
    from torchmetrics.image.inception import InceptionScore

    logits = torch.randn(60, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    theirs = InceptionScore(feature=torch.nn.Identity(), splits=1)
    theirs.update(logits)
    with torch.random.fork_rng():
        wanted = float(theirs.compute()[0])
    assert inception_score(logits.softmax(1), splits=1)[0] == pytest.approx(wanted, rel=1e-6)


def test_splits_are_runs_of_rows() -> None:
    sorted_by_class = torch.eye(2).repeat_interleave(50, 0)
    assert inception_score(sorted_by_class, splits=1)[0] == pytest.approx(2)
    assert inception_score(sorted_by_class, splits=2)[0] == pytest.approx(1)


def test_logits_are_refused() -> None:
    with pytest.raises(ValueError, match="softmax"):
        inception_score(torch.randn(20, 5))
    with pytest.raises(ValueError, match="splits"):
        inception_score(torch.eye(5))
