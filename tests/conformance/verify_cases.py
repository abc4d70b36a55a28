"""Golden cases of one round of speculation: the draft's proposals behind the target's prefix, and the target's one pass."""

from typing import Any

import torch
from torch import Tensor

from sdaccel.generators.nextscale.loop import ScaleLoop
from sdaccel.generators.nextscale.seam import Pass, ScaleSeam
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE
from sdaccel.generators.var.model import VAR
from sdaccel.generators.var.sampler import VarModel
from sdaccel.strategies.speculative.decode import Speculation
from sdaccel.strategies.speculative.distributions import probabilities, total_variation
from sdaccel.strategies.speculative.gammas import Fixed
from sdaccel.strategies.speculative.judge import Acceptance, Drafted
from tests.conformance.cases import Case, Line
from tests.conformance.compare import compare, missing
from tests.conformance.upstream import TorchGeneratorRace
from tests.conformance.var_cases import TOLERANCES, build, sampling_of

METRICS = 1e-4


def handles(case: Case) -> bool:
    return case.name.startswith("batched_verify")


def run(case: Case) -> list[Line]:
    config = case.meta["config"]
    (target, vae), (draft, _) = build(config["target"]), build(config["draft"])
    lines = []
    with torch.no_grad():
        for stage in config["stages"]:
            lines += _stage(case, stage, target, draft, vae)
    return lines + missing(case, lines)


class Unseeded(ScaleLoop):
    """Its noise comes from a generator; what is compared here asks for no seed."""

    @property
    def seeds(self) -> Tensor:
        return torch.zeros(self.rows, dtype=torch.int64)


class Round(Speculation):
    """Keeps what both models said and what the target read."""

    read: Tensor
    logits: Tensor

    def _pass(self, model: ScaleSeam, rows: list[int], *, first: int, last: int) -> dict[int, Pass]:
        out = super()._pass(model, rows, first=first, last=last)
        if model is self.seam:
            inputs = self.seam.canvas.inputs_of(1, last)
            assert inputs is not None, "a target's pass ends behind the first scale"
            self.read, self.logits = inputs, torch.cat([said.logits for said in out.values()], 1)
        return out


def _stage(case: Case, stage: int, target: VAR, draft: VAR, vae: VQVAE) -> list[Line]:
    config, layout = case.meta["config"], target.layout
    base = int(config["draft_seed_rule"].split(" + ")[0])  # "500 + s"
    labels, rows = torch.tensor(config["labels"]), len(config["labels"])
    sampling = sampling_of(config | {"more_smooth": False}, scales=layout.scales)

    def loop(model: VAR, seed: int) -> ScaleLoop:
        noise = TorchGeneratorRace(torch.Generator().manual_seed(seed), rows=rows)
        return Unseeded(VarModel(model, vae), labels, noise=noise, sampling=sampling)

    seam, drafting = loop(target, config["prefix_g_seed"]), loop(draft, base + stage)
    for k in range(stage):
        seam.full(k)
    judged: list[Drafted] = []
    gammas = [Fixed(config["gamma_max"]) for _ in range(rows)]
    made = Round(seam, drafting, judge=lambda drafted: _stands(drafted, judged), gammas=gammas, distances=False)
    made.next = [stage] * rows
    made._round(list(range(rows)), stage, config["gamma_max"], 0)
    tokens = torch.cat([seam.tokens_of(k) for k in range(stage)] + [drafted.tokens for drafted in judged], 1)
    found = {
        "tokens": (tokens, 0.0),
        "target_logits": (made.logits, TOLERANCES["logits"]),
        "draft_logits": (torch.cat([drafted.draft for drafted in judged], 1), TOLERANCES["logits"]),
        "next_input": (made.read, TOLERANCES["next_input"]),
    }
    assert tokens.shape[1] == layout.token_start(stage + config["gamma_max"])
    lines = []
    for name, (value, tolerance) in found.items():
        lines += compare(case, f"s{stage}_{name}", value.numpy(), tolerance)
    for drafted, said in zip(judged, case.meta["metrics"][f"s{stage}"]["per_scale"], strict=True):
        lines += _metrics(f"s{stage} scale {said['scale']}", drafted, said)
    return lines


def _stands(drafted: Drafted, judged: list[Drafted]) -> Acceptance:
    judged.append(drafted)
    return Acceptance(torch.ones(len(drafted.tokens), dtype=torch.bool), lambda: drafted.own)


def _metrics(name: str, drafted: Drafted, said: dict[str, Any]) -> list[Line]:
    p, q = (probabilities(logits, drafted.sampling) for logits in (drafted.target, drafted.draft))
    match = (drafted.tokens == drafted.target.argmax(-1)).double().mean(-1)
    wanted = torch.tensor(said["per_sample_match_rate"], dtype=torch.float64)
    return [
        Line(f"{name} TV", abs(float(total_variation(p, q).mean()) - said["mean_tv_filtered"]), METRICS),
        Line(f"{name} match", float((match - wanted).abs().max()), 1e-7),
    ]
