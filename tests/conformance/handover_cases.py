"""Golden cases of SDVAR's handover: the masks of the target's one pass, and generations by the repaired test3."""

import json
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sdaccel.generators.nextscale.layout import Layout
from sdaccel.generators.nextscale.loop import Sample, ScaleLoop
from sdaccel.generators.nextscale.seam import Pass
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE
from sdaccel.generators.var.model import VAR
from sdaccel.generators.var.sampler import VarModel, upstream_labels
from sdaccel.strategies.speculative.handover import Handover, HandoverRule
from sdaccel.strategies.speculative.masks import CORRECT, visibility
from tests.conformance.cases import Case, Line
from tests.conformance.compare import compare, missing
from tests.conformance.upstream import TorchGeneratorRace
from tests.conformance.var_cases import SMOOTH, STATE_DICT, TOLERANCES, build, sampling_of, state_distance


def handles(case: Case) -> bool:
    return case.name.startswith(("sdvar_masks", "test3_"))


def run(case: Case) -> list[Line]:
    with torch.no_grad():
        return _masks(case) if case.name.startswith("sdvar_masks") else _handover(case)


def _masks(case: Case) -> list[Line]:
    lines, config = [], case.meta["config"]
    for sd_mask in config["masks"]:
        for entry in config["entries"]:
            name = f"mask{sd_mask}_entry{entry}"
            seen = visibility(Layout(tuple(config["patch_nums"])), entry=entry, sd_mask=sd_mask).numpy()
            lines += compare(case, name, np.packbits(seen.reshape(-1)), 0.0)
            lines.append(Line(f"{name} visible", abs(int(seen.sum()) - case.meta["counts"][name]["visible"]), 0.0))
    return lines + missing(case, lines)


class Logged(ScaleLoop):
    """Puts the logits of every scale it makes into `log`, which draft and target share."""

    log: list[Tensor]

    def guided(self, *args: Any, last: int, **options: Any) -> Pass:
        said = super().guided(*args, last=last, **options)
        self.log.append(said.logits[:, -self.canvas.layout.tokens(last) :])
        return said


def generate(target: VAR, draft: VAR, vae: VQVAE, *, entry: int, options: dict[str, Any]) -> tuple[Sample, Tensor]:
    """The picture and the logits (B, L, V), by one generator that both models draw from in the order of scales."""
    generator = torch.Generator().manual_seed(options["g_seed"])
    labels = upstream_labels(
        options["label_B"], rows=options["B"], num_classes=target.geometry.num_classes, generator=generator
    )
    noise, log = TorchGeneratorRace(generator, rows=options["B"]), list[Tensor]()
    sampling = sampling_of(options, scales=target.layout.scales)
    seam, drafting = (
        Logged(VarModel(model, vae), labels, noise=noise, sampling=sampling, record=_logits(log)) for model in (target, draft)
    )
    seam.log = log
    plan = Handover(entry_num=entry).plan(target.layout.scales)
    HandoverRule(seam, drafting, entry=entry, sd_mask=CORRECT, kinds=plan).decode()
    return seam.finish(), torch.cat(log, 1)


def _logits(log: list[Tensor]) -> Any:
    return lambda name, value: log.append(value) if name == "logits" else None


def _handover(case: Case) -> list[Line]:
    config = case.meta["config"]
    (target, vae), (draft, _) = build(config["target"]), build(config["draft"])
    lines = _state_check(case, {"draft": draft, "target": target, "vae": vae})
    for entry in config["entries"]:
        made, logits = generate(target, draft, vae, entry=entry, options=config["sampling"])
        lines += _entry(case, entry, made, logits, target.layout)
    return lines + missing(case, lines)


def _entry(case: Case, entry: int, made: Sample, logits: Tensor, layout: Layout) -> list[Line]:
    """The arrays of one entry that the case holds."""
    found = {"tokens": made.tokens, "logits": logits, "f_hat_final": made.f_hats[:, -1], "image": made.images}
    lines, smooth = [], SMOOTH if case.meta["config"]["sampling"]["more_smooth"] else {}
    tolerances = TOLERANCES | smooth
    tolerances["f_hat_final"] = tolerances["f_hat"]
    for name, value in found.items():
        lines += compare(case, f"{name}_entry{entry}", value.numpy(), tolerances.get(name, 0.0))
    if entry < layout.scales:
        first = logits.split(layout.lengths(), 1)[entry]
        lines += compare(case, f"logits_entry{entry}_at_entry_scale", first.numpy(), tolerances["logits"])
    return lines


def _state_check(case: Case, models: dict[str, nn.Module]) -> list[Line]:
    """The filled models against state_dicts.json beside the case, for the ids that are there."""
    path = case.folder / "state_dicts.json"
    known = json.loads(path.read_text())["models"] if path.exists() else {}
    ids = {role: name for role, name in case.meta.get("state_dicts", {}).items() if name in known}
    return [Line(f"state dict {name}", state_distance(models[role], known[name]), STATE_DICT) for role, name in ids.items()]
