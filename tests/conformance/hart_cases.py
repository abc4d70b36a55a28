"""Golden cases of HART: sampling with forced tokens, the residual head, positions, the hybrid tokenizer, the manifest."""

import math
import zlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sdaccel.generators.hart.context import Context
from sdaccel.generators.hart.diffusion import Chain, cosine_betas, denoised
from sdaccel.generators.hart.head import ResidualHead, ResidualNet
from sdaccel.generators.hart.model import HART, Angles, Geometry, hybrid_layout
from sdaccel.generators.hart.rope import angles, image_frequencies, image_positions, rotate, text_frequencies
from sdaccel.generators.hart.sampler import RESIDUAL_SCALE, HartModel, guided_noise, stale_guidance
from sdaccel.generators.nextscale.canvas import as_map, as_tokens, shrink
from sdaccel.generators.nextscale.layout import TICKS, Layout, nearest_phi
from sdaccel.generators.nextscale.run import GuidedRun
from sdaccel.generators.nextscale.seam import Due, Kind
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE
from sdaccel.generators.nextscale.tokens import combine, keep, race, soft_weights
from tests.conformance.cases import Case, Line
from tests.conformance.upstream import TorchGeneratorRace

IGNORED = ("lvl_1L", "attn_bias_for_masking")
"""Buffers of published files that follow from the layout."""
GAINS = {
    "attn.qkv_proj.weight": 4,
    "attn.proj.weight": 0.25,
    "ffn.down_proj.weight": 3,
    "lvl_embed.mlp.2.weight": 0.5,
    "head_nm.ada_lin.1.weight": 0.2,
    "head.weight": 0.5,
    "final_layer.linear.weight": 0.3,
}


def handles(case: Case) -> bool:
    return case.meta.get("kind") in HANDLERS and (case.meta["kind"] != "manifest" or "llm" in case.meta)


def run(case: Case) -> list[Line]:
    with torch.no_grad():
        return HANDLERS[case.meta["kind"]](case)


def _random(tag: str) -> np.random.RandomState:
    return np.random.RandomState(zlib.crc32(tag.encode()) & 0xFFFFFFFF)


def draw(tag: str, shape: Iterable[int], dist: str = "standard_normal", scale: float = 1.0) -> Tensor:
    """Inputs of cases, a function of their tag."""
    return torch.from_numpy((getattr(_random(tag), dist)(size=tuple(shape)) * scale).astype(np.float32))


def draw_int(tag: str, high: int, shape: Iterable[int]) -> Tensor:
    return torch.from_numpy(_random(tag).randint(0, high, size=tuple(shape)))


def deviation(name: str, shape: tuple[int, ...]) -> float:
    """Of a filled key."""
    if name.endswith(("zero_k_bias", "ema_vocab_hit_SV")):
        return 0.0
    if name.endswith("quantize.embedding.weight"):
        return 1.0
    if len(shape) > 1:
        gain = next((g for suffix, g in GAINS.items() if name == suffix or name.endswith("." + suffix)), 1)
        return gain * math.prod(shape[1:]) ** -0.5
    return 1.0 if name.endswith(".weight") else 0.1


def fill(model: nn.Module, *, prefix: str = "") -> nn.Module:
    """Weights by the fill rule for a model on the meta device; a key is named with its prefix."""
    model.to_empty(device="cpu")
    for name, value in model.state_dict().items():
        key = prefix + name
        z = _random(key).standard_normal(math.prod(value.shape)).reshape(value.shape)
        value.copy_(torch.from_numpy((z * deviation(key, tuple(value.shape))).astype(np.float32)))
    return model.requires_grad_(False).eval()


def geometry_of(config: dict[str, Any]) -> Geometry:
    return Geometry(
        depth=config["depth"],
        embed_dim=config["embed_dim"],
        heads=config["num_heads"],
        hidden=config["ffn_hidden"],
        patch_nums=tuple(config["patch_nums"]),
        context_tokens=config["context_token"],
        context_width=config["context_dim"],
        vocab=config["V"],
        Cvae=config["Cvae"],
        head_width=config["diff_width"],
        head_depth=config["diff_depth"],
    )


def meta_models(config: dict[str, Any]) -> tuple[HART, VQVAE]:
    with torch.device("meta"):
        vae = VQVAE(ch=config["vae_ch"], vocab=config["V"], Cvae=config["Cvae"], scales=len(config["patch_nums"]))
        return HART(geometry_of(config)), vae


class Comparison:
    """Arrays against a case's stored ones, by largest error, relative error and norm of the whole."""

    def __init__(self, case: Case) -> None:
        self.case, self.seen = case, set[str]()
        self.lines: list[Line] = []

    def add(self, name: str, found: Tensor | np.ndarray) -> None:
        spec = self.case.meta["arrays"].get(name)
        if spec is None:
            return
        self.seen.add(name)
        values = found.double().numpy() if isinstance(found, Tensor) else np.asarray(found, np.float64)
        if list(values.shape) != spec["shape"] or not np.isfinite(values).all():
            self.lines.append(Line(name, math.inf, 0.0))
            return
        wanted = self.case.arrays[name].astype(np.float64)
        part = values.reshape(-1)[self.case.arrays[f"{name}__idx"]] if spec["stored"] == "subset" else values
        if spec["dtype"].startswith("int"):
            self.lines.append(Line(name, float((part != wanted).sum()), 0.0))
            return
        relative, size = spec.get("suggested_rel_l2", 2e-5), float(np.linalg.norm(wanted)) or 1.0
        self.lines.append(Line(name, float(np.abs(part - wanted).max()), spec.get("suggested_atol", 1e-5)))
        self.lines.append(Line(f"{name} relative", float(np.linalg.norm(part - wanted)) / size, relative))
        whole = abs(float(np.linalg.norm(values)) - spec["l2"]) / (spec["l2"] or 1.0)
        self.lines.append(Line(f"{name} norm", whole, relative))

    def stored(self, name: str) -> Tensor:
        self.seen.add(name)
        return torch.from_numpy(self.case.arrays[name])

    def finish(self) -> list[Line]:
        """With a failing line for every array that nothing was compared with."""
        return self.lines + [Line(name, math.inf, 0.0) for name in self.case.meta["arrays"] if name not in self.seen]


class Watched:
    """Sublayers that compute everything and tell what came out."""

    def __init__(self, tell: Callable[[str, Tensor], None]) -> None:
        self.tell = tell
        self.plan = None

    def sublayer(self, layer: int, kind: Kind, x: Tensor, due: Due) -> Tensor:
        y = due.compute()
        self.tell(f"layer{layer}_{kind}", y)
        return y


class GoldenNoise:
    """The noise of a case; that of the head comes for [cond; uncond], of which the first half counts."""

    def __init__(self, config: dict[str, Any], rows: int) -> None:
        self.config, self.rows = config, rows

    def head(self, step: int, tokens: int, channels: int) -> Tensor:
        noise, rows = self.config["inputs"]["residual_noise"], self.rows
        if step == 0:
            return draw(noise["init"]["tag"], noise["init"]["shape"]).view(rows, tokens, channels)
        tag = noise["step_i"]["tag"].replace("{i}", str(step - 1))
        return draw(tag, noise["step_i"]["shape"])[: rows * tokens].view(rows, tokens, channels)


def _transformer(case: Case) -> list[Line]:
    return Generation(case).compared()


class Generation:
    """One generation whose tokens are those of the case."""

    def __init__(self, case: Case) -> None:
        self.config, self.seen = case.meta["config"], Comparison(case)
        hart, vae = meta_models(self.config)
        fill(hart)
        fill(vae, prefix="vae.")
        self.model = HartModel(hart, vae, chain=Chain.of(int(self.config["num_sampling_steps"])))
        self.layout, self.rows = hart.layout, self.config["B"]
        sampling = {"cfg": self.config["cfg"], "more_smooth": self.config["more_smooth"]}
        self.sampling = stale_guidance(scales=self.layout.scales, vocab=self.config["V"], **sampling)
        inputs = self.config["inputs"]
        context = inputs["context"]
        self.context = Context(
            draw(context["tag"], context["shape"], context["dist"]), torch.tensor(inputs["context_position_ids"])
        )
        self.run = GuidedRun(self.model, self.context)
        self.canvas = self.model.canvas(self.rows)
        self.generator = torch.Generator().manual_seed(self.config.get("g_seed", 0))

    def compared(self) -> list[Line]:
        self._text()
        for k in range(self.layout.scales):
            self._stage(k)
        images = (self.model.decode(self.canvas.f_hat) + 1) / 2
        self.seen.add("f_hat_final", self.canvas.f_hat)
        self.seen.add("image", images)
        return self.seen.finish()

    def _text(self) -> None:
        hart, given = self.model.hart, self.run.given
        self.seen.add("ctx_embed", given.text)
        self.seen.add("lvl_embed", hart.lvl_embed(torch.arange(self.layout.scales)))
        self.seen.add("headnm_pool", given.text.amax(1))
        self.seen.add("headnm_scale", given.head[0].squeeze(1))
        self.seen.add("headnm_shift", given.head[1].squeeze(1))

    def _stage(self, k: int) -> None:
        layout, seen, run, hart = self.layout, self.seen, self.run, self.model.hart
        tell: Callable[[str, Tensor], None] = lambda name, value: seen.add(f"stage{k:02d}_{name}", value)  # noqa: E731
        x = run.begin() if k == 0 else run.embed(self.canvas.next_input(), first=k, last=k)
        tell("input", x)
        self._positions(k, x)
        hidden = run.advance(x, first=k, last=k, sublayers=Watched(tell))
        tell("hidden", hidden)
        tell("head_nm", hart.normed(hidden, run.given.head))
        raw = run.logits(hidden)
        tell("logits_raw", raw)
        logits = combine(layout.token_rows(raw, first=k), self.sampling.at(k).t)
        tell("logits", logits)
        best = logits.topk(2, -1).values
        tell("margin", best[..., 0] - best[..., 1])
        ids = seen.stored(f"stage{k:02d}_ids").long()
        self._free(k, logits, ids)
        self._paint(k, logits, ids, layout.token_rows(hidden, first=k), tell)

    def _positions(self, k: int, x: Tensor) -> None:
        """Layer 0's queries and keys before and after they are turned."""
        if f"rope{k:02d}_q" not in self.seen.case.meta["arrays"]:
            return
        block: Any = self.model.hart.blocks[0]
        at = self.run.given.at.rows(self.layout.row_start(k), self.layout.row_start(k + 1))
        still = Angles(torch.ones_like(at.cos), torch.zeros_like(at.sin))
        h = block.ln_wo_grad(x, torch.float32)
        for suffix, turn in (("", still), ("_rot", at)):
            for name, value in zip("qk", block.attn.project(h, turn), strict=False):
                self.seen.add(f"rope{k:02d}_{name}{suffix}", value)
        for name, value in at._asdict().items():
            self.seen.add(f"rope{k:02d}_{name}", value.squeeze(1))

    def _free(self, k: int, logits: Tensor, ids: Tensor) -> None:
        """Tokens freely chosen, where rounding cannot decide."""
        filtered = keep(logits, top_k=self.sampling.at(k).top_k, top_p=0.0)
        if self.config["sampling"] == "argmax":
            own = filtered.argmax(-1)
        else:
            own = race(filtered, TorchGeneratorRace(self.generator, rows=self.rows).tokens(0, *logits.shape[1:]))
        margin = torch.from_numpy(self.seen.case.arrays[f"stage{k:02d}_margin"])
        sure = margin > 4 * self.seen.case.meta["arrays"][f"stage{k:02d}_logits"]["suggested_atol"]
        self.seen.lines.append(Line(f"stage{k:02d}_ids free", float((own != ids)[sure].sum()), 0.0))

    def _paint(self, k: int, logits: Tensor, ids: Tensor, hidden: Tensor, tell: Callable[[str, Tensor], None]) -> None:
        last, noise = k == self.layout.scales - 1, GoldenNoise(self.config, self.rows)
        draws, codes = self.sampling.at(k), self.model.codebook[ids]
        if draws.smoothing is not None:
            filtered = keep(logits, top_k=draws.top_k, top_p=0.0)
            tag = self.config["inputs"]["gumbel"]["tag"].split()[0].replace("{s}", str(k))
            exponential = draw(tag, logits.shape, "standard_exponential")
            codes = soft_weights(filtered, exponential, ratio=draws.smoothing) @ self.model.codebook
        if not last:
            tell("h", as_map(codes))
            forced = f"stage{k:02d}_h"
            self.canvas.add(as_tokens(self.seen.stored(forced)) if draws.smoothing is not None else codes)
            tell("f_hat", self.canvas.f_hat)
            tell("next_area", shrink(self.canvas.f_hat, self.layout.patch_nums[k + 1]))
            return
        self.seen.add("final_h_soft", codes)
        z = self.model.hart.told(hidden, self.model.codebook[ids].repeat(2, 1, 1))
        self.seen.add("resid_z", z.flatten(0, 1))
        residual = self.model.residual(z, t=draws.t, noise=noise)
        self.seen.add("resid_out", residual.flatten(0, 1))
        whole = self.model.codes_of(ids, hidden, k, weights=None, t=draws.t, noise=noise)  # type: ignore[arg-type]
        self.seen.lines.append(Line("codes_of", float((whole - (self.model.codebook[ids] + residual)).abs().max()), 0.0))
        self.canvas.add(codes + residual)
        tell("f_hat", self.canvas.f_hat)
        tell("h", as_map(codes))


def _residual_head(case: Case) -> list[Line]:
    seen, config, inputs = Comparison(case), case.meta["config"], case.meta["config"].get("inputs") or case.meta["inputs"]
    sizes = {"channels": config["Cvae"], "width": config["width"], "depth": config["depth"], "told": config["z_channels"]}
    with torch.device("meta"):
        head = ResidualHead(ResidualNet(**sizes))
    fill(head, prefix="diffloss.")
    chain = Chain.of(int(config["num_sampling_steps"]))
    seen.lines.append(Line("timesteps", float(list(chain.timesteps) != case.meta["timesteps_ascending"]), 0.0))
    _schedule(seen, chain)
    seen.add("time_embed", head.net.time_embed(torch.tensor(chain.timesteps)))
    z, init = (draw(inputs[name]["tag"], inputs[name]["shape"]) for name in ("z", "noise_init"))
    step = inputs["noise_step_i"]

    def noise(index: int) -> Tensor:
        own = init if index == 0 else draw(step["tag"].replace("{i}", str(index - 1)), step["shape"])
        return own[: len(init)]

    halves = len(z) // len(init)
    watch: dict[str, Tensor] = {}
    sample = denoised(partial(guided_noise, head.net, z=z, t=config["cfg"]), noise, chain, trace=watch.__setitem__)
    for name, value in watch.items():
        found = value if halves == 1 or list(value.shape) == case.meta["arrays"][name]["shape"] else None
        _of_first_half(seen, name, value) if found is None else seen.add(name, found)
    for i in range(len(chain.betas)):
        x = watch[f"step{i}_x"]
        timestep = torch.tensor([chain.timesteps[len(chain.betas) - 1 - i]])
        seen.add(f"step{i}_net_out", head.net(x.repeat(halves, 1), timestep, z))
    _of_first_half(seen, "sample", RESIDUAL_SCALE * sample)
    codebook = draw("vae.quantize.embedding.weight", (config["V"], config["Cvae"]))
    ids = draw_int(inputs["ids"]["tag"], inputs["ids"]["high"], inputs["ids"]["shape"])
    before = draw(inputs["f_hat_before"]["tag"], inputs["f_hat_before"]["shape"])
    seen.add("f_hat_merged", before + as_map(codebook[ids] + RESIDUAL_SCALE * sample.view(*ids.shape, -1)))
    return seen.finish()


def _schedule(seen: Comparison, chain: Chain) -> None:
    bar, before, variance = chain.alphas_bar, chain.before, chain.posterior_variance
    clipped = np.log(np.concatenate([variance[1:2], variance[1:]]))
    of_x0, of_x = chain.betas * np.sqrt(before) / (1 - bar), (1 - before) * np.sqrt(1 - chain.betas) / (1 - bar)
    found = {
        "f64_betas": chain.betas,
        "f64_base_betas": cosine_betas(),
        "f64_alphas_cumprod": bar,
        "f64_alphas_cumprod_prev": before,
        "f64_sqrt_recip_alphas_cumprod": np.sqrt(1 / bar),
        "f64_sqrt_recipm1_alphas_cumprod": np.sqrt(1 / bar - 1),
        "f64_posterior_variance": variance,
        "f64_posterior_log_variance_clipped": clipped,
        "f64_posterior_mean_coef1": of_x0,
        "f64_posterior_mean_coef2": of_x,
        "f64_log_betas": np.log(chain.betas),
    }
    for name, values in found.items():
        seen.add(name, values)


def _of_first_half(seen: Comparison, name: str, value: Tensor) -> None:
    """Of [cond; uncond] only cond is computed here: the stored array's second half is not compared."""
    spec = seen.case.meta["arrays"][name]
    if list(value.shape) == spec["shape"]:
        seen.add(name, value)
        return
    seen.seen.add(name)
    stored = seen.case.arrays[name].astype(np.float64).reshape(-1)
    places = seen.case.arrays.get(f"{name}__idx", np.arange(stored.size))
    known = places < value.numel()
    error = np.abs(value.double().numpy().reshape(-1)[places[known]] - stored[known])
    relative = float(np.linalg.norm(error) / np.linalg.norm(stored[known]))
    seen.lines.append(Line(f"{name} of cond", float(error.max()), spec.get("suggested_atol", 1e-5)))
    seen.lines.append(Line(f"{name} of cond relative", relative, spec.get("suggested_rel_l2", 2e-5)))


def _rope(case: Case) -> list[Line]:
    seen, config, inputs = Comparison(case), case.meta["config"], case.meta["inputs"]
    d, layout = config["head_dim"], Layout(tuple(config["patch_nums"]), prefix=config["context_token"])
    positions = torch.tensor(config["position_ids"])
    every = angles(positions, layout, d)
    seen.add("inv_freq_text", text_frequencies(d))
    seen.add("inv_freq_image", image_frequencies(d))
    for k in config["stages"]:
        turn = every[:, layout.row_start(k) : layout.row_start(k + 1)]
        if k:
            place = image_positions(layout.patch_nums[k], full=layout.side) + positions[:, -1].view(-1, 1, 1)
            seen.add(f"pos{k:02d}", place)
        seen.add(f"cos{k:02d}", turn.cos())
        seen.add(f"sin{k:02d}", turn.sin())
        for name in ("q", "k"):
            x = draw(inputs[name]["tag"].replace("{s}", str(k)), (len(positions), config["heads"], layout.rows(k), d))
            seen.add(f"{name}_rot{k:02d}", rotate(x, turn.cos().unsqueeze(1), turn.sin().unsqueeze(1)))
    return seen.finish()


def _tokenizer(case: Case) -> list[Line]:
    seen, config, inputs = Comparison(case), case.meta["config"], case.meta["inputs"]
    with torch.device("meta"):
        vae = VQVAE(ch=config["vae_ch"], vocab=config["V"], Cvae=config["Cvae"], scales=len(config["patch_nums"]))
    fill(vae, prefix="vae.")
    seen.lines.append(Line("ticks", float(np.abs(np.array(TICKS) - case.meta["phi_ticks"]).max()), 1e-15))
    for scales, wanted in case.meta["phi_index"].items():
        seen.lines.append(Line(f"phi K={scales}", float(list(nearest_phi(int(scales))) != wanted), 0.0))
    _decoding(seen, vae, hybrid_layout(tuple(config["patch_nums"])), config, inputs)
    _encoding(seen, vae, config["enc_patch_nums"], inputs)
    return seen.finish()


def _decoding(seen: Comparison, vae: VQVAE, layout: Layout, config: dict[str, Any], inputs: dict[str, Any]) -> None:
    canvas, last = vae.canvas(layout, rows=config["B"]), layout.scales - 1
    for k, side in enumerate(layout.patch_nums):
        ids = draw_int(inputs["ids"]["tag"].split()[0].replace("{s}", str(k)), inputs["ids"]["high"], (config["B"], side**2))
        codes = vae.quantize.embedding(ids)
        if k == last:
            residual = draw(inputs["residual"]["tag"], inputs["residual"]["shape"], scale=inputs["residual"]["scale"])
            codes = codes + as_tokens(residual)
        canvas.add(codes)
        if k < last:
            seen.add(f"dec_f_hat_{k:02d}", canvas.f_hat)
            seen.add(f"dec_next_{k:02d}", shrink(canvas.f_hat, layout.patch_nums[k + 1]))
    seen.add("dec_f_hat_final", canvas.f_hat)
    features = vae.post_quant_conv(canvas.f_hat)
    seen.add("dec_post_quant", features)
    raw = vae.decoder(features)
    seen.add("dec_raw", raw)
    image = vae.decode(canvas.f_hat, decoder=Known(raw))
    seen.add("dec_image", image)
    seen.add("dec_image01", (image + 1) / 2)


class Known(nn.Module):
    """A decoder whose output is known: a second run of it is a third of the case's time."""

    def __init__(self, raw: Tensor) -> None:
        super().__init__()
        self.raw = raw

    def forward(self, features: Tensor) -> Tensor:
        return self.raw


def _encoding(seen: Comparison, vae: VQVAE, patch_nums: list[int], inputs: dict[str, Any]) -> None:
    image = draw(inputs["image"]["tag"], inputs["image"]["shape"], inputs["image"]["dist"]) * 2 - 1
    out = vae.encoder(image)
    f = vae.encode(image)
    seen.add("enc_out", out)
    seen.add("enc_f", f)
    layout = hybrid_layout(tuple(patch_nums))
    canvas, rest, ids = vae.canvas(layout, rows=len(f)), f, []
    for k, side in enumerate(patch_nums):
        vectors = as_tokens(shrink(rest, side))
        if k == len(patch_nums) - 1:
            seen.add("enc_frest", vectors)
        distance = torch.cdist(vectors.double(), vae.quantize.embedding.weight.double()).square()
        two = distance.topk(2, -1, largest=False).values
        seen.add(f"enc_margin_{k:02d}", two[..., 1] - two[..., 0])
        ids.append(vae.quantize.nearest(vectors))
        seen.add(f"enc_idx_{k:02d}", ids[-1])
        contribution = canvas.contribution(vae.quantize.embedding(ids[-1]))
        rest = rest - contribution
        canvas.commit(contribution)
    idx, own = vae.tokenize(f, layout)
    seen.lines.append(Line("tokenize", float((idx != torch.cat(ids, 1)).sum() + (own.f_hat != canvas.f_hat).sum()), 0.0))
    _upstream_forward(seen, vae, patch_nums, f)


def _upstream_forward(seen: Comparison, vae: VQVAE, patch_nums: list[int], f: Tensor) -> None:
    """What upstream's quantiser makes of f with a phi on the last scale too, as only its training code does."""
    layout = Layout(tuple(patch_nums))
    idx, canvas = vae.tokenize(f, layout)
    discrete, states = canvas.f_hat, torch.stack(canvas.states[1:])
    seen.add("rec_idx_to_fhat_phi_on_all", discrete)
    seen.add("qfwd_discrete_fhat", discrete)
    seen.add("qfwd_continuous_fhat", f)
    seen.add("rec_continuous_image", vae.decode(f))
    seen.add("rec_discrete_image", vae.decode(discrete))
    loss = 1.25 * (states - f).square().mean().view(1)  # codebook and commitment; the continuous branch has the same
    seen.add("qfwd_discrete_loss", loss)
    seen.add("qfwd_continuous_loss", loss)
    vocab, places = len(vae.quantize.embedding.weight), f.numel() / f.shape[1]
    hits = torch.bincount(idx.flatten(), minlength=vocab)
    seen.add("qfwd_discrete_usage", 100 * (hits >= 0.08 * places / vocab).double().mean().view(1))


def _manifest(case: Case) -> list[Line]:
    config, meta, lines = case.meta["config"], case.meta, []
    hart, vae = meta_models(config)
    wanted = {"llm": (hart, ""), "tokenizer": (vae, "vae.")}
    for part, (model, prefix) in wanted.items():
        parameters = dict(model.named_parameters())
        found = {
            prefix + name: [list(v.shape), str(v.dtype).removeprefix("torch."), "param" if name in parameters else "buffer"]
            for name, v in model.state_dict().items()
        }
        theirs = {e[0]: e[1:] for e in meta[part]["entries"] if e[0] not in IGNORED and not e[0].startswith("disc.")}
        wrong = [name for name in found.keys() | theirs.keys() if found.get(name) != theirs.get(name)]
        lines.append(Line(f"{part} entries", float(len(wrong)), 0.0))
    count = sum(p.numel() for p in hart.parameters())
    lines.append(Line("parameters", abs(count - meta["llm"]["parameters"]), 0.0))
    head = sum(p.numel() for p in hart.diffloss.parameters())
    lines.append(Line("parameters of the residual head", abs(head - meta["llm"]["parameters_residual_head"]), 0.0))
    tokenizer = sum(p.numel() for p in vae.parameters())
    return [*lines, Line("parameters of the tokenizer", abs(tokenizer - meta["tokenizer"]["parameters_vae"]), 0.0)]


HANDLERS: dict[str, Callable[[Case], list[Line]]] = {
    "transformer": _transformer,
    "residual_head": _residual_head,
    "rope": _rope,
    "tokenizer": _tokenizer,
    "manifest": _manifest,
}
