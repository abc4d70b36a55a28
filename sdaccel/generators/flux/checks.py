"""What cannot work is refused before anything large is built."""

import math
from typing import TYPE_CHECKING

from sdaccel.errors import BadInput, at_least
from sdaccel.generators.flux import weights
from sdaccel.generators.flux.solvers import EULER, SOLVERS, solver
from sdaccel.generators.flux.vae import GROUPS
from sdaccel.generators.text import check_tower

if TYPE_CHECKING:
    from sdaccel.generators.flux.generator import Flux

FILES = ("weights", "vae_weights", "text_weights")
"""Options that name files; all of them or none."""


def check_widths(widths: list[int], *, groups: int = GROUPS) -> None:
    if not widths or any(width < groups or width % groups for width in widths):
        raise BadInput(f"generator.vae_widths={widths} must list positive multiples of {groups}, the number of norm groups.")


def check_sizes(config: "Flux") -> None:
    """Raise BadInput for numbers that fit no model or picture."""
    sizes = ("doubles", "singles", "heads", "text_tokens", "text_width", "latent_channels", "num_steps", "pooled_width")
    at_least(1, config, *sizes, where="generator")
    if config.vae_widths is not None:
        check_widths(config.vae_widths, groups=config.norm_groups)
    for name, value in (("height", config.height), ("width", config.width)):
        if value < config.cell or value % config.cell:
            raise BadInput(f"generator.{name}={value} must be a positive multiple of {config.cell}, one packed patch.")
    for name, number in (("guidance", config.guidance), ("true_cfg", config.true_cfg)):
        if not math.isfinite(number):
            raise BadInput(f"generator.{name}={number} must be a finite number.")
    check_rope(config)
    check_solver(config)


def check_solver(config: "Flux") -> None:
    """Raise BadInput for a solver that would change nothing, or change what a model was distilled to do."""
    known = solver(config.solver)
    if config.evaluations is not None:
        at_least(1, config, "evaluations", where="generator")
        if config.num_steps != type(config).num_steps:
            raise BadInput(
                f"generator.num_steps={config.num_steps} has no effect beside generator.evaluations={config.evaluations}, "
                "which decides the number of steps; leave one of them out."
            )
    if known is SOLVERS[EULER]:
        return
    if config.few_steps:
        raise BadInput(
            f"generator.solver={config.solver} does not go with a few-step model: it was distilled to jump along Euler's steps "
            "and leaves no curve for a better solver to follow; write generator.solver=euler."
        )
    if config.grid_steps < 2:
        raise BadInput(
            f"generator.solver={config.solver} has one step here, which is Euler's own; write generator.solver=euler, or "
            f"{known.evaluations(2)} or more evaluations."
        )


def check_rope(config: "Flux") -> None:
    """Raise BadInput unless a head splits into three even axes."""
    axes, head_dim = config.axes, config.head_dim
    if axes is None and head_dim % 8:
        raise BadInput(f"generator.head_dim={head_dim} must be a multiple of 8: rope splits it into three even axes.")
    if axes is not None and (len(axes) != 3 or sum(axes) != head_dim or any(axis < 2 or axis % 2 for axis in axes)):
        raise BadInput(f"generator.axes={axes} must be three even numbers that add up to head_dim={head_dim}.")


def check_files(config: "Flux") -> None:
    """Raise BadInput for files that are missing, of another model, or only some of the three."""
    given = [name for name in FILES if getattr(config, name) is not None]
    missing = [name for name in FILES if getattr(config, name) is None]
    if given and missing:
        raise BadInput(
            f"generator.{missing[0]} is not given but generator.{given[0]} is; a trained and a random half make noise, so "
            "give all of weights, vae_weights and text_weights, or none."
        )
    if config.weights is None or config.vae_weights is None or config.text_weights is None:
        return
    if config.vae_widths is None:
        raise BadInput("generator.vae_widths is not given but vae_weights is; list the widths of that autoencoder's levels.")
    weights.check_trained(weights.TRANSFORMER, config.weights, config.transformer)
    weights.check_trained(weights.VAE, config.vae_weights, config.autoencoder)
    shape = config.shape
    sizes = {"text_tokens": config.text_tokens, "text_width": shape.text_width, "pooled_width": shape.pooled_width}
    check_tower(config.text_weights, {f"generator.{name}": size for name, size in sizes.items()})
