"""Laws of the pricing: exact counts where they are known by hand, and nothing is computed."""

import torch
from torch import nn
from torch.nn import functional as F

from sdaccel.measure.macs import forward_macs, operator_calls

META = torch.device("meta")


def test_a_linear_layer_costs_rows_x_in_x_out() -> None:
    layer = nn.Linear(5, 7, device=META)
    assert forward_macs(lambda: layer(torch.empty(2, 3, 5, device=META))) == 2 * 3 * 5 * 7


def test_a_convolution_costs_outputs_x_kernel_x_inputs_of_a_group() -> None:
    x = torch.empty(2, 6, 8, 10, device=META)
    full = nn.Conv2d(6, 4, 3, stride=2, padding=1, device=META)
    assert forward_macs(lambda: full(x)) == 2 * (4 * 4 * 5) * (6 * 3 * 3)
    grouped = nn.Conv2d(6, 4, 1, groups=2, device=META)
    assert forward_macs(lambda: grouped(x)) == 2 * (4 * 8 * 10) * 3


def test_attention_costs_its_two_products() -> None:
    """Scores over the head's width and the sum over values; more keys than queries as with a cache."""
    q, k, v = (torch.empty(2, 3, length, width, device=META) for length, width in ((5, 8), (11, 8), (11, 8)))
    assert forward_macs(lambda: F.scaled_dot_product_attention(q, k, v)) == 2 * 3 * 5 * 11 * (8 + 8)


def test_costs_add_up_and_elementwise_work_is_free() -> None:
    a, b = nn.Linear(4, 6, device=META), nn.Linear(6, 4, device=META)
    x = torch.empty(3, 4, device=META)
    assert forward_macs(lambda: x + b(F.gelu(a(x)))) == 3 * 4 * 6 + 3 * 6 * 4
    assert forward_macs(lambda: F.gelu(x) * 2 + 1) == 0


def test_operators_are_counted_one_by_one() -> None:
    x = torch.empty(3, device=META)
    assert operator_calls(lambda: torch.exp(x + x)) == 2
    assert operator_calls(lambda: None) == 0


def test_a_price_needs_no_memory_and_no_gradient() -> None:
    """A layer of 4 TiB is priced at once."""
    layer = nn.Linear(2**20, 2**20, device=META)
    made: list[torch.Tensor] = []
    assert forward_macs(lambda: made.append(layer(torch.empty(1, 2**20, device=META)))) == 2**40
    assert made[0].device == META and not made[0].requires_grad
