"""Laws of the perceptual distance: a naive loop, directions and not sizes, identity."""

import pytest
import torch
from torch import Tensor, nn

import sdaccel.torchvision_guard  # noqa: F401
from sdaccel.metrics.perceptual import feature_distance, perceptual_distance
from tests.metrics.tiny import images


class Maps(nn.Module):
    """Two feature maps of a random network."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two = nn.Conv2d(3, 4, 3, stride=2), nn.Conv2d(4, 6, 3, stride=2)

    def forward(self, x: Tensor) -> list[Tensor]:
        first = self.one(x.float() / 255).relu()
        return [first, self.two(first).relu()]


def naive(a: list[Tensor], b: list[Tensor]) -> list[float]:
    out = []
    for sample in range(len(a[0])):
        total = 0.0
        for f, g in zip(a, b, strict=True):
            _, channels, height, width = f.shape
            for h in range(height):
                for v in range(width):
                    p, q = f[sample, :, h, v], g[sample, :, h, v]
                    p, q = p / (p.norm() + 1e-10), q / (q.norm() + 1e-10)
                    total += sum(float(p[c] - q[c]) ** 2 for c in range(channels)) / (height * width)
        out.append(total)
    return out


def test_equals_a_loop_over_pixels() -> None:
    a, b = (Maps()(images(2, side=12, seed=seed)) for seed in (0, 1))
    with torch.no_grad():
        assert feature_distance(a, b).tolist() == pytest.approx(naive(a, b), rel=1e-4)


def test_brightness_of_a_feature_does_not_count_but_its_direction_does() -> None:
    f = torch.rand(1, 5, 3, 3) + 0.1
    assert float(feature_distance([f], [7 * f])) == pytest.approx(0, abs=1e-10)
    assert float(feature_distance([f], [f.flip(1)])) > 0.01


def test_identical_images_are_at_distance_zero_and_noise_moves_them_apart() -> None:
    a = images(3, side=16, low=100, high=150)
    noise = torch.randint(-20, 20, a.shape, generator=torch.Generator().manual_seed(0))
    near, far = ((a + s * noise).clamp(0, 255).to(torch.uint8) for s in (1, 4))
    net = Maps()
    assert perceptual_distance(net, a, a).tolist() == [0, 0, 0]
    assert (perceptual_distance(net, a, near) < perceptual_distance(net, a, far)).all()


def test_lists_of_unequal_length_are_an_error() -> None:
    f = torch.rand(1, 5, 3, 3)
    with pytest.raises(ValueError, match="zip"):
        feature_distance([f, f], [f])
