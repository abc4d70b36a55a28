"""Golden cases of VAR and its VQVAE: sampling, teacher forcing, autoencoding, phi tables, manifests, filled state dicts."""

import json
import math
import zlib
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sdaccel.errors import BadInput
from sdaccel.generators.nextscale.layout import TICKS, Layout, nearest_phi
from sdaccel.generators.nextscale.loop import sample
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE
from sdaccel.generators.nextscale.tokens import Sampling
from sdaccel.generators.var.model import PATCH_NUMS, VAR, Geometry
from sdaccel.generators.var.sampler import VarModel, growing_guidance, upstream_labels
from sdaccel.generators.var.weights import Shapes, infer_geometry, materialise
from tests.conformance.cases import Case, Line
from tests.conformance.compare import compare, distance, missing
from tests.conformance.fill import Overrides, filled
from tests.conformance.upstream import TorchGeneratorRace, painted

TOLERANCES = {
    "logits": 1e-4,
    "logits_raw_2B": 1e-4,
    "block0_input": 1e-5,
    "last_block_output": 5e-5,
    "f_hat": 1e-5,
    "next_input": 1e-5,
    "x_BLCv_wo_first_l": 1e-5,
    "h_soft": 1e-2,
    "image": 5e-4,
    "f": 1e-4,
    "f_hat_per_scale": 1e-5,
    "f_hat_from_idx": 1e-5,
    "var_input_from_idx": 1e-5,
    "recon": 1e-3,
    "recon_per_scale": 1e-3,
}
"""What is not listed is exact."""
SMOOTH = {"logits": 2e-3, "logits_raw_2B": 2e-3, "block0_input": 5e-3, "last_block_output": 5e-3}
SMOOTH |= {"f_hat": 5e-3, "next_input": 5e-3, "image": 5e-3}
"""Looser figures for more_smooth, whose cold Gumbel softmax amplifies rounding; block inputs and outputs follow next_input."""
H_SOFT_RELATIVE = 1e-4
STATE_DICT = 1e-9


def handles(case: Case) -> bool:
    return _handler(case) is not None


def run(case: Case) -> list[Line]:
    handler = _handler(case)
    if handler is None:
        raise ValueError(f"{case.name} is no VAR case")
    with torch.no_grad():
        return handler(case)


def _handler(case: Case) -> Callable[[Case], list[Line]] | None:
    config = case.meta.get("config", {})
    if case.name.startswith("var_") and "sampling" in config:
        return _sampling
    if case.name.startswith("var_") and "forward" in config:
        return _forward
    if case.name.startswith("vae_") and "image" in config:
        return _autoencoding
    if case.name.startswith("phi_tables"):
        return _phi_tables
    if case.name.startswith("manifest_"):
        return _manifest
    return _state_dicts if case.name == "state_dicts" and "models" in case.meta else None


def build(model: dict[str, Any]) -> tuple[VAR, VQVAE]:
    """The filled models of a golden config."""
    patch_nums = tuple(model["patch_nums"])
    with torch.device("meta"):
        vae = VQVAE(ch=model["ch"], vocab=model["V"], Cvae=model["Cvae"], scales=len(patch_nums))
        var = VAR(
            Geometry(
                depth=model["depth"],
                patch_nums=patch_nums,
                num_classes=model["num_classes"],
                vocab=model["V"],
                Cvae=model["Cvae"],
                shared_aln=model["shared_aln"],
            )
        )
    fill(var, model.get("fill_overrides"))
    fill(vae)
    return var, vae


def fill(model: VAR | VQVAE, overrides: Overrides | None = None) -> None:
    """Weights by the fill rule for a model on the meta device."""
    state = {name: torch.from_numpy(filled(name, value.shape, overrides)) for name, value in model.named_parameters()}
    materialise(model, state, device=torch.device("cpu"), dtype=torch.float32)


def _arrays(case: Case, found: dict[str, Tensor], tolerances: dict[str, float]) -> list[Line]:
    lines = []
    for name in case.meta["arrays"]:
        if name in found:
            lines += compare(case, name, found[name].numpy(), tolerances.get(name, 0.0))
    return lines + missing(case, lines)


def _sampling(case: Case) -> list[Line]:
    options = case.meta["config"]["sampling"]
    var, vae = build(case.meta["config"]["model"])
    generator = torch.Generator().manual_seed(options["g_seed"])
    rows = options["B"]
    labels = upstream_labels(options["label_B"], rows=rows, num_classes=var.geometry.num_classes, generator=generator)
    traced = defaultdict(list)
    made = sample(
        VarModel(var, vae),
        labels,
        noise=TorchGeneratorRace(generator, rows=rows),
        sampling=sampling_of(options, scales=var.layout.scales),
        record=lambda name, value: traced[name].append(value),
    )
    found = {name: torch.cat(parts, 1) for name, parts in traced.items() if name != "f_hat"}
    found["f_hat"] = torch.stack(traced["f_hat"])
    found["nkeep"] = (found["filtered"] > -math.inf).sum(-1)
    found |= {"image": made.images, "labels_used": labels}
    lines = _state_check(case, var, vae) + _arrays(case, found, TOLERANCES | SMOOTH if options["more_smooth"] else TOLERANCES)
    if "h_soft" in case.arrays:
        wanted = case.arrays["h_soft"]
        relative = np.linalg.norm(found["h_soft"].numpy() - wanted) / np.linalg.norm(wanted)
        lines.append(Line("h_soft relative L2", float(relative), H_SOFT_RELATIVE))
    return lines


def sampling_of(options: dict[str, Any], *, scales: int) -> Sampling:
    """A golden config's."""
    return growing_guidance(scales=scales, **{name: options[name] for name in ("cfg", "top_k", "top_p", "more_smooth")})


def _forward(case: Case) -> list[Line]:
    var, vae = build(case.meta["config"]["model"])
    tokens = torch.from_numpy(case.arrays["tokens_in"]).long()
    _, maps = painted(vae, tokens, var.layout)
    logits = var(torch.tensor(case.meta["config"]["forward"]["labels"]), maps)
    return _state_check(case, var, vae) + _arrays(
        case, {"tokens_in": tokens, "x_BLCv_wo_first_l": maps, "logits": logits}, TOLERANCES
    )


def golden_image(tag: str, *, rows: int, side: int) -> Tensor:
    """round(128 x) / 128 of a few waves plus noise, (B, 3, H, H)."""
    noise = np.random.RandomState(zlib.crc32(tag.encode()) & 0xFFFFFFFF).uniform(-1, 1, (rows, 3, side, side))
    b, c, i, j = np.meshgrid(*(np.arange(n) for n in noise.shape), indexing="ij")
    x = 0.6 * np.sin(2 * np.pi * ((c + 1) * j / side + (b + 1) * i / side) + 0.5 * c) + 0.3 * noise
    return torch.from_numpy((np.round(128 * x) / 128).astype(np.float32))


def _autoencoding(case: Case) -> list[Line]:
    config = case.meta["config"]
    model, image = config["model"], config["image"]
    layout = Layout(tuple(model["patch_nums"]))
    with torch.device("meta"):
        vae = VQVAE(ch=model["ch"], vocab=model["V"], Cvae=model["Cvae"], scales=layout.scales)
    fill(vae)
    pixels = golden_image(image["tag"], rows=image["B"], side=image["H"])
    f = vae.encode(pixels)
    idx, encoded = vae.tokenize(f, layout)
    again, maps = painted(vae, idx, layout)
    found = {
        "input_image": pixels,
        "f": f,
        "idx": idx,
        "f_hat_per_scale": torch.stack(encoded.states[1:]),
        "f_hat_from_idx": again.f_hat,
        "var_input_from_idx": maps,
        "recon": vae.decode(again.f_hat),
        "recon_per_scale": torch.stack([vae.decode(f_hat) for f_hat in again.states[1:]]),
    }
    if config.get("override_patch_nums"):
        found["idx_override"] = vae.tokenize(f, Layout(tuple(config["override_patch_nums"])))[0]
    return _state_check(case, vae) + _arrays(case, found, TOLERANCES)


def _phi_tables(case: Case) -> list[Line]:
    table = case.meta["tables"]["partially_shared_4"]
    lines = [Line("ticks", distance(np.array(TICKS), np.array(table["ticks"])), 0.0)]
    for scales, wanted in table["phi_index_by_K"].items():
        try:
            found: list[int] | str = list(nearest_phi(int(scales)))
        except BadInput:
            found = "ZeroDivisionError"  # how upstream ends for K = 1
        lines.append(Line(f"phi K={scales}", float(found != wanted), 0.0))
    return lines


def _manifest(case: Case) -> list[Line]:
    meta = case.meta
    shapes: Shapes = {name: tuple(shape) for name, shape, _ in meta["state_dict"]}
    model = from_shapes(shapes)
    state, parameters = model.state_dict(), dict(model.named_parameters())
    found = [[name, list(value.shape), str(value.dtype).removeprefix("torch.")] for name, value in state.items()]
    buffers = sorted(name for name in state if name not in parameters)
    wrong = sum(ours != theirs for ours, theirs in zip(found, meta["state_dict"], strict=False))
    return [
        Line("wrong entries", float(wrong + abs(len(found) - len(meta["state_dict"]))), 0.0),
        Line("num_state_keys", abs(len(found) - meta["num_state_keys"]), 0.0),
        Line("num_parameters", abs(sum(p.numel() for p in model.parameters()) - meta["num_parameters"]), 0.0),
        Line("non_parameter_keys", float(buffers != sorted(meta["non_parameter_keys"])), 0.0),
    ]


def from_shapes(shapes: Shapes, *, layouts: tuple[tuple[int, ...], ...] = tuple(PATCH_NUMS.values())) -> VAR | VQVAE:
    """The model on the meta device whose state dict has these shapes, VAR with the layout of its length."""
    with torch.device("meta"):
        if "class_emb.weight" in shapes:
            layout = next(sides for sides in layouts if sum(p * p for p in sides) == shapes["pos_1LC"][1])
            return VAR(infer_geometry(shapes, layout))
        vocab, Cvae = shapes["quantize.embedding.weight"]
        scales = shapes["quantize.ema_vocab_hit_SV"][0]
        return VQVAE(ch=shapes["encoder.conv_in.weight"][0], vocab=vocab, Cvae=Cvae, scales=scales)


def _state_check(case: Case, *models: nn.Module) -> list[Line]:
    """The filled models against state_dicts.json beside the case, for the ids that are there."""
    path = case.folder / "state_dicts.json"
    known = json.loads(path.read_text())["models"] if path.exists() else {}
    pairs = zip(case.meta.get("state_dicts", []), models, strict=False)
    return [
        Line(f"state dict {name}", state_distance(model, known[name]), STATE_DICT) for name, model in pairs if name in known
    ]


def state_distance(model: nn.Module, entries: dict[str, list[Any]]) -> float:
    """Largest difference of sum and norm relative to 1 + norm; infinite for another key, shape, dtype or order."""
    state, worst = model.state_dict(), 0.0
    if list(state) != list(entries):
        return math.inf
    for name, (shape, dtype, total, norm) in entries.items():
        value = state[name]
        if list(value.shape) != shape or str(value.dtype) != f"torch.{dtype}":
            return math.inf
        if total is not None:
            values = value.double()
            worst = max(worst, abs(values.sum().item() - total) / (1 + norm), abs(values.norm().item() - norm) / (1 + norm))
    return worst


def _state_dicts(case: Case) -> list[Line]:
    """All models of the file itself. An id that ends in _ov... was filled with overrides which the file does not tell."""
    lines = []
    for name, entries in case.meta["models"].items():
        layout = tuple(int(p) for p in name.split("_pn")[-1].split("_")[0].split("-")) if "_pn" in name else ()
        model = from_shapes({key: tuple(entry[0]) for key, entry in entries.items()}, layouts=(layout,))
        fill(model)
        if "_ov" in name:
            entries = {key: [*entry[:2], None, None] for key, entry in entries.items()}
        lines.append(Line(f"state dict {name}", state_distance(model, entries), STATE_DICT))
    return lines
