"""A built FLUX: prompts and noise to latents to images. Everything that belongs to one generation lives in `generate`."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from sdaccel.conditions import Batch
from sdaccel.generators.base import Generation, told, torch_dtype
from sdaccel.generators.flux.denoise import denoise
from sdaccel.generators.flux.engine import Modules
from sdaccel.generators.flux.operators import in_order, in_rows
from sdaccel.generators.flux.packing import unpack_maps
from sdaccel.generators.flux.seam import FluxSeam
from sdaccel.generators.flux.solvers import solver
from sdaccel.generators.flux.vae import FluxVae
from sdaccel.noise import Stream, normal

if TYPE_CHECKING:
    from sdaccel.generators.flux.generator import Flux


class Reader(Protocol):
    """What turns prompts into the transformer's text."""

    def read(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Hidden states (B, T, W) and pooled embeddings (B, P)."""
        ...


class FluxRuntime(nn.Module):
    """The transformer, and where there are latents and words their autoencoder and reader."""

    def __init__(
        self, config: "Flux", transformer: nn.Module, *, vae: FluxVae | None = None, reader: Reader | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.transformer = transformer
        self.vae = vae
        self.reader = reader

    @torch.inference_mode()
    def generate(self, batch: Batch, *, backend: Any, strategy: Any, keep: Collection[str] = ()) -> Generation:
        config, dtype = self.config, torch_dtype(self.config.dtype)
        device = next(self.transformer.parameters()).device
        prompts = [str(c) for c in batch.conditions]
        inputs = {name: value.to(device) for name, value in config._inputs(prompts, self.reader).items()}
        for name in ("encoder_hidden_states", "pooled_projections"):
            inputs[name] = inputs[name].to(dtype)
        seeds = batch.seeds.to(device)
        x = normal(seeds, Stream.LATENT, (config.tokens, config.channels)).to(torch.promote_types(dtype, torch.float32))
        latents = [x]
        sides = config.height // config.cell, config.width // config.cell
        operators = backend.start(layers=config.doubles + config.singles, grid=sides, seeds=seeds)
        order = operators.order if operators else None
        inputs["img_ids"] = in_order(inputs["img_ids"], order)
        engine = Modules(self.transformer, compile=config.engine == "compiled")
        with engine.serving(operators):
            seam = FluxSeam(
                self.transformer,
                inputs=inputs,
                times=config.times,
                dtype=dtype,
                true_cfg=config.true_cfg,
                operators=operators,
                engine=engine,
            )
            rule = strategy.start(seam, steps=config.steps)
            keeping = (lambda x: latents.append(in_rows(x, order, dim=1))) if "latents" in keep else lambda x: None
            advance = solver(config.solver).start(config.grid)
            x, kinds = denoise(seam, in_order(x, order, dim=1), advance=advance, rule=rule, seen=keeping)
        x = in_rows(x, order, dim=1)
        arrays, stats = told(rule)
        kept = {"latents": torch.stack(latents, 1)} if "latents" in keep else {}
        return Generation(self.images(x.float()), kinds, kept | arrays, stats)

    def images(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] of the last latents."""
        size = {"height": self.config.height, "width": self.config.width}
        return unpack(x, **size) if self.vae is None else self.vae.decode(x, **size)


def unpack(x: Tensor, *, height: int, width: int) -> Tensor:
    """(B, L, 3 * 4) packed patches of RGB to (B, 3, H, W) in [0, 1]."""
    return (unpack_maps(x, height=height, width=width) / 2 + 0.5).clamp(0, 1)


def random_init(model: nn.Module, *, seed: int) -> None:
    """Gaussian weights that keep a layer's scale, small biases, unit norms; drawn where the model lies, on a GPU other ones."""
    with torch.no_grad():
        generators: dict[torch.device, torch.Generator] = {}
        for name, p in model.named_parameters():
            generator = generators.setdefault(p.device, torch.Generator(p.device).manual_seed(seed))
            if p.ndim > 1 or name.endswith("bias"):
                deviation = p[0].numel() ** -0.5 if p.ndim > 1 else 0.02
                p.copy_(torch.empty(p.shape, device=p.device).normal_(0, deviation, generator=generator))
            else:
                p.fill_(1)
