"""What single kernels buy, beside the bytes they must move: `python experiments/bench.py +bench=kernels`.

Every case is one operation at the last scale of the chosen VAR, but for the sums of forecasting, which have sizes of their own.
The first arm is what the operation is otherwise done with. All arms of a case compute the same, or draw from the same law; the
kernel runs where there is a GPU.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from sdaccel.benches.base import Cases, compare, with_floor
from sdaccel.errors import BadInput, at_least
from sdaccel.generators.base import torch_dtype
from sdaccel.generators.nextscale import tokens
from sdaccel.generators.var.engine_parts import hidden
from sdaccel.generators.var.generator import Var
from sdaccel.generators.var.model import HEAD_DIM, FeedForward, attend
from sdaccel.kernels import adaln, philox
from sdaccel.kernels.filters import kept, threshold
from sdaccel.kernels.forecast_sums import forecast_sums, forecast_sums_reference
from sdaccel.kernels.race import guided_race, guided_race_reference, knobs
from sdaccel.measure.floor import Work, ceilings
from sdaccel.noise import Stream, exponential, normal
from sdaccel.registry import configurable

Arms = dict[str, Callable[[], Any]]


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Sizes of the sums over anchors."""

    steps: int = 4
    anchors: int = 3
    features: int = 8
    tokens: int = 256
    channels: int = 256


@configurable(group="bench", name="kernels")
@dataclass(frozen=True, kw_only=True)
class Kernels:
    batch_size: int = 2
    forecast: dict[str, int] = field(default_factory=dict)
    """Of `Forecast`, what differs; FLUX.1 at 1024 px has features=76, tokens=4096, channels=3072."""
    repeats: int = 10
    warmup: int = 2
    times: int = 1
    """Calls per timing: on a GPU several, so that it never waits for the host."""

    question: ClassVar[str] = "What does every kernel buy, and how near does it come to its floor?"
    figures: ClassVar[Sequence[str]] = ("bench_times",)

    def check(self, generator: Any) -> None:
        if not isinstance(generator, Var):
            raise BadInput(f"bench=kernels takes its sizes from a VAR, not {type(generator).__name__}; set generator=var_d16.")
        generator.check([])
        known = Forecast.__dataclass_fields__
        if unknown := self.forecast.keys() - known.keys():
            raise BadInput(f"bench.forecast.{min(unknown)} is unknown; it has {', '.join(known)}.")
        at_least(1, Forecast(**self.forecast), *known, where="bench.forecast")
        at_least(1, self, "batch_size", "repeats", "times", where="bench")

    def work(self, generator: Var) -> Cases:
        return {name: [case] for name, case in work(generator, self.batch_size, Forecast(**self.forecast)).items()}

    def run(self, generator: Var, device: torch.device) -> dict[str, Any]:
        ceiling = ceilings(device, torch_dtype(generator.dtype))
        cases = {}
        for name, stages in self.work(generator).items():
            arms = self.arms(name, generator, device)
            alone = {arm: partial(self._alone, name, arm, generator, device) for arm in arms}
            found = compare(arms, alone=alone, device=device, warmup=self.warmup, repeats=self.repeats, times=self.times)
            cases[name] = with_floor(found, dict.fromkeys(arms, stages), ceiling)
        return {"ceilings": asdict(ceiling), "cases": cases}

    def _alone(self, case: str, arm: str, generator: Var, device: torch.device) -> Callable[[], Any]:
        """Beside it lies what all arms of the case work on."""
        return self.arms(case, generator, device)[arm]

    @torch.no_grad()
    def arms(self, case: str, generator: Var, device: torch.device) -> Arms:
        """The calls of one case on memory of their own."""
        if case == "forecast sums":
            return forecast_arms(Forecast(**self.forecast), torch_dtype(generator.dtype), device)
        made = CASES[case](Sizes(generator, self.batch_size, device))
        return {arm: torch.no_grad()(call) for arm, call in made.items()}


class Sizes:
    """The last scale of a VAR: R rows, l tokens, n keys, C width, H heads, V codes, all in the config's number format."""

    def __init__(self, config: Var, batch: int, device: torch.device) -> None:
        g = config.geometry
        self.config, self.device, self.dtype = config, device, torch_dtype(config.dtype)
        self.B, self.R, self.l, self.n = batch, 2 * batch, g.patch_nums[-1] ** 2, sum(p * p for p in g.patch_nums)
        self.C, self.H, self.V = g.width, g.depth, g.vocab
        self.seeds = torch.arange(batch, device=device)
        self.gpu = device.type == "cuda"

    def draw(self, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        """The same numbers on every device."""
        made = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
        return made.to(self.device, dtype or self.dtype)

    @property
    def wide(self) -> torch.dtype:
        return torch.promote_types(self.dtype, torch.float32)


def work(config: Var, batch: int, forecast: Forecast) -> dict[str, Work]:
    """What each case must read, write and multiply."""
    s, f = Sizes(config, batch, torch.device("meta")), forecast
    item, stream = s.dtype.itemsize, s.wide.itemsize
    codes, width = s.B * s.l * s.V, s.R * s.l * s.C
    weights = 4 * s.C * s.C
    return {
        "race": Work(2 * item * codes + 8 * s.B * s.l, 0),
        "filters": Work(2 * stream * codes, 0),
        "exponential": Work(4 * codes, 0),
        "normal": Work(4 * codes, 0),
        "residual and adaLN": Work((2 * stream + 2 * item) * width, 0),
        "k and v into place": Work(6 * item * width, 0),
        "attention": Work(item * (2 * width + 2 * s.R * s.n * s.C), 2 * s.R * s.l * s.n * s.C),
        "GELU": Work(item * (width + weights + 4 * width), s.R * s.l * weights),
        "forecast sums": Work(
            (item * f.anchors * f.features + 4 * f.steps) * f.tokens * f.channels,
            f.steps * f.anchors * f.features * f.tokens * f.channels,
        ),
    }


def race(s: Sizes) -> Arms:
    raw, c = 3 * s.draw(s.R, s.l, s.V), s.config
    options = knobs(t=c.cfg, top_k=c.top_k, top_p=c.top_p, device=s.device)

    def multinomial() -> Tensor:
        logits = tokens.keep(tokens.combine(raw.to(s.wide), c.cfg), top_k=c.top_k, top_p=c.top_p)
        return torch.multinomial(logits.softmax(-1).flatten(0, 1), 1).view(s.B, s.l)

    reference = lambda: guided_race_reference(raw, s.seeds, options, start=0)  # noqa: E731
    kernel: Arms = {"kernel": lambda: guided_race(raw, s.seeds, options, start=0)} if s.gpu else {}
    return {"sort, torch.multinomial": multinomial, "plain torch": reference} | kernel


def filters(s: Sizes) -> Arms:
    """On a GPU the race's kernel holds these: plain torch alone is measured here."""
    logits, top_k, top_p = 3 * s.draw(s.B, s.l, s.V, dtype=s.wide), s.config.top_k, s.config.top_p
    return {
        "by sorting": lambda: tokens.keep(logits, top_k=top_k, top_p=top_p) > float("-inf"),
        "by threshold": lambda: kept(logits, threshold(logits, top_k=top_k, top_p=top_p)),
    }


def exponentials(s: Sizes) -> Arms:
    out, shape = torch.empty(s.B, s.l, s.V, device=s.device), (s.l, s.V)
    kernel: Arms = {"kernel": lambda: philox.exponential(s.seeds, Stream.RACE, shape)} if s.gpu else {}
    return {"torch's generator": out.exponential_, "plain torch": lambda: exponential(s.seeds, Stream.RACE, shape)} | kernel


def normals(s: Sizes) -> Arms:
    out, shape = torch.empty(s.B, s.l, s.V, device=s.device), (s.l, s.V)
    kernel: Arms = {"kernel": lambda: philox.normal(s.seeds, Stream.LATENT, shape)} if s.gpu else {}
    return {"torch's generator": out.normal_, "plain torch": lambda: normal(s.seeds, Stream.LATENT, shape)} | kernel


def residual(s: Sizes) -> Arms:
    x, branch = s.draw(s.R, s.l, s.C, dtype=s.wide), s.draw(s.R, s.l, s.C)
    gate, one_plus, shift = 1e-3 * s.draw(3, s.R, 1, s.C, dtype=s.wide)

    def plain() -> Tensor:
        return adaln.modulated_reference(adaln.add_gated_reference(x, gate, branch), one_plus, shift, s.dtype)

    kernel: Arms = {"kernel": lambda: adaln.add_modulated(x, gate, branch, one_plus, shift, s.dtype)} if s.gpu else {}
    return {"plain torch": plain} | kernel


def placed(s: Sizes) -> Arms:
    qkv, factor = s.draw(s.R, s.l, 3, s.H, HEAD_DIM), s.draw(2, s.H, 1, dtype=s.wide)
    cache = s.draw(2, s.R, s.H, s.n, HEAD_DIM)
    keys, values = cache[:, :, :, -s.l :]
    kernel: Arms = {"kernel": lambda: adaln.place(qkv, factor, keys, values)} if s.gpu else {}
    return {"plain torch": lambda: adaln.place_reference(qkv, factor, keys, values)} | kernel


def attention(s: Sizes) -> Arms:
    """What torch chooses, and on a GPU those it chooses from."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    q, (k, v) = s.draw(s.R, s.H, s.l, HEAD_DIM), s.draw(2, s.R, s.H, s.n, HEAD_DIM)

    def by(backend: SDPBackend) -> Callable[[], Tensor]:
        return lambda: sdpa_kernel(backend)(attend)(q, k, v)

    arms: Arms = {"torch's choice": lambda: attend(q, k, v)}
    if s.gpu:
        given = torch.backends.cuda.SDPAParams(q, k, v, None, 0.0, False, False)
        if torch.backends.cuda.can_use_flash_attention(given):
            arms["flash"] = by(SDPBackend.FLASH_ATTENTION)
        if torch.backends.cuda.can_use_cudnn_attention(given):
            arms["cuDNN"] = by(SDPBackend.CUDNN_ATTENTION)
    return arms


def gelu(s: Sizes) -> Arms:
    x = s.draw(s.R, s.l, s.C)
    with torch.device(s.device):
        fc1 = FeedForward(s.C).to(s.dtype).fc1
    plain = lambda: torch.nn.functional.gelu(fc1(x), approximate="tanh")  # noqa: E731
    return {"product, then GELU": plain} | ({"in the product": lambda: hidden(x, fc1)} if s.gpu else {})


CASES: dict[str, Callable[[Sizes], Arms]] = {
    "race": race,
    "filters": filters,
    "exponential": exponentials,
    "normal": normals,
    "residual and adaLN": residual,
    "k and v into place": placed,
    "attention": attention,
    "GELU": gelu,
}


def forecast_arms(f: Forecast, dtype: torch.dtype, device: torch.device) -> Arms:
    anchors = torch.randn(f.anchors, f.features, 1, f.tokens, f.channels, device=device).to(dtype)
    weights = torch.randn(f.steps, f.features, f.anchors, 1, device=device)
    kernel: Arms = {"kernel": lambda: forecast_sums(anchors, weights)} if device.type == "cuda" else {}
    return {"plain torch": lambda: forecast_sums_reference(anchors, weights)} | kernel
