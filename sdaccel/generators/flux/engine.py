"""How the blocks of a FLUX are computed: what a generation asks of an engine, and the engine that runs diffusers' own modules.

An engine runs one block at a time and hands out what its gates multiply. It serves a backend's operators in the places of
attention and MLP, and lets an observer see every feature where the model makes it, by other means than it hands them out.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any, Protocol

from torch import Tensor, nn
from torch.nn.functional import linear

from sdaccel.generators.flux.blocks import Rope, compiled, double, single
from sdaccel.generators.flux.operators import Operators, Weights
from sdaccel.generators.flux.processor import OperatorProcessor


class Engine(Protocol):
    doubles: int
    singles: int

    def double(
        self, index: int, image: Tensor, text: Tensor, temb: Tensor, rope: Rope
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(image, text, attention, mlp) behind a double block; the last two are features."""
        ...

    def single(self, index: int, image: Tensor, text: Tensor, temb: Tensor, rope: Rope) -> tuple[Tensor, Tensor, Tensor]:
        """(image, text, total) behind a single block; the last is its feature."""
        ...

    def serving(self, operators: Operators | None) -> AbstractContextManager[None]:
        """Inside, blocks compute with these operators."""
        ...

    def watched(self, *, text: int) -> AbstractContextManager[dict[str, Tensor]]:
        """Copies of all features that are made inside, of the image tokens behind so many of text, and under `singles` what
        the single blocks added to these, where they ran."""
        ...


class Modules:
    """diffusers' modules, one by one or each kind of block as one compiled graph."""

    def __init__(self, model: Any, *, compile: bool = False) -> None:
        self.blocks, self.single_blocks = list(model.transformer_blocks), list(model.single_transformer_blocks)
        self.doubles, self.singles = len(self.blocks), len(self.single_blocks)
        self.norm_out = model.norm_out
        self._double: Callable[..., Any]
        self._single: Callable[..., Any]
        self._double, self._single = compiled() if compile else (double, single)

    def double(
        self, index: int, image: Tensor, text: Tensor, temb: Tensor, rope: Rope
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self._double(self.blocks[index], image, text, temb, rope)

    def single(self, index: int, image: Tensor, text: Tensor, temb: Tensor, rope: Rope) -> tuple[Tensor, Tensor, Tensor]:
        return self._single(self.single_blocks[index], image, text, temb, rope)

    @contextmanager
    def serving(self, operators: Operators | None) -> Iterator[None]:
        """The parts of a block are called as before, so whatever watches or wraps its modules sees what the operators make."""
        with ExitStack() as stack:
            if operators is not None:
                self._place_all(stack, operators)
            yield

    def _place_all(self, stack: ExitStack, operators: Operators) -> None:
        for i in operators.layers_of("attn"):
            attn = [*self.blocks, *self.single_blocks][i].attn
            stack.callback(setattr, attn, "processor", attn.processor)
            attn.processor = OperatorProcessor(partial(operators.attend, i))
        for i in operators.layers_of("mlp"):
            if i < self.doubles:
                ff = self.blocks[i].ff
                _place(stack, ff, partial(_double_mlp, operators, i, ff))
                continue
            block = self.single_blocks[i - self.doubles]
            _place(stack, block.proj_mlp, _unchanged)
            _place(stack, block.act_mlp, _unchanged)
            _place(stack, block.proj_out, partial(_single_out, operators, i, block))

    @contextmanager
    def watched(self, *, text: int) -> Iterator[dict[str, Tensor]]:
        """By hooks of the modules, which share nothing with what blocks return."""
        seen: dict[str, Tensor] = {}
        entered: list[Tensor] = []

        def keep(name: str, module: Any, args: Any, output: Any) -> None:
            image = output[0] if isinstance(output, tuple) else output
            seen[name] = (image[:, text:] if name.startswith("single") else image).clone()

        def enter(module: Any, args: Any) -> None:
            entered[:] = [args[0][:, text:].clone()]

        def leave(module: Any, args: Any) -> None:
            if entered:
                seen["singles"] = args[0] - entered.pop()

        places = [(f"double.{i}.attn", block.attn) for i, block in enumerate(self.blocks)]
        places += [(f"double.{i}.mlp", block.ff) for i, block in enumerate(self.blocks)]
        places += [(f"single.{i}", block.proj_out) for i, block in enumerate(self.single_blocks)]
        handles = [module.register_forward_hook(partial(keep, name)) for name, module in places]
        handles += [block.norm.register_forward_pre_hook(enter) for block in self.single_blocks[:1]]
        handles.append(self.norm_out.register_forward_pre_hook(leave))
        try:
            yield seen
        finally:
            for handle in handles:
                handle.remove()


def _place(stack: ExitStack, module: nn.Module, forward: Callable[..., Tensor]) -> None:
    """An instance's own `forward` goes before its class's until it is deleted."""
    module.forward = forward
    stack.callback(delattr, module, "forward")


def _unchanged(x: Tensor) -> Tensor:
    return x


def _double_mlp(operators: Operators, layer: int, ff: Any, x: Tensor) -> Tensor:
    up, down = ff.net[0].proj, ff.net[2]
    return operators.feed_forward(layer, x, Weights(up.weight, up.bias, down.weight, down.bias))


def _single_out(operators: Operators, layer: int, block: Any, joint: Tensor) -> Tensor:
    """proj_out of [attention; x], where the first layer of the MLP has left x for this place to work on.

    The last layer is one matrix over both halves and its bias is counted once, with the MLP.
    """
    width = joint.shape[-1] - block.proj_mlp.in_features
    attention, x = joint.split([width, block.proj_mlp.in_features], -1)
    up, down = block.proj_mlp, block.proj_out
    weights = Weights(up.weight, up.bias, down.weight[:, width:], down.bias)
    mlp = operators.feed_forward(layer, x, weights)
    return linear(attention, down.weight[:, :width]) + mlp
