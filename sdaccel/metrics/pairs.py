"""Each picture against the baseline's of the same noise: PSNR, SSIM, and a perceptual distance where there is a network."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from sdaccel.metrics.aggregate import Scores, of_samples
from sdaccel.metrics.metric import METRICS, Metric, metric
from sdaccel.metrics.paired import psnr_batch
from sdaccel.metrics.pictures import Pictures, streamed
from sdaccel.metrics.ssim import ssim_batch

PSNR = metric(Metric(name="psnr", label="PSNR (dB)", direction="higher", each=True, paired=True, place=110, screen=True))
SSIM = metric(Metric(name="ssim", label="SSIM", direction="higher", each=True, share=False, paired=True))
PERCEPTUAL = metric(
    Metric(
        name="perceptual",
        label="perceptual distance",
        direction="lower",
        each=True,
        share=False,
        paired=True,
        place=120,
        panel=40,
    )
)
PERCEPTUAL_CROPS = metric(
    replace(METRICS[PERCEPTUAL], name="perceptual_crops", label="perceptual distance of crops", place=122, panel=45)
)
TRUE = {
    name: metric(replace(METRICS[name], name=f"{name}_truth", label=label, truth=True, place=place, panel=panel, screen=False))
    for name, label, place, panel in (
        (PSNR, "PSNR to the truth (dB)", 115, None),
        (SSIM, "SSIM to the truth", None, None),
        (PERCEPTUAL, "perceptual distance to the truth", 125, 50),
        (PERCEPTUAL_CROPS, "perceptual distance of crops to the truth", 127, None),
    )
}
"""Metric of pairs with the baseline -> the same with the arm that stands for the exact solution."""
Distance = Callable[[Tensor, Tensor], Tensor]
"""uint8 (B, 3, H, W) twice -> (B,)"""


class Paired:
    """Nothing where pictures do not come in pairs. Identical pictures have no PSNR and are left out of its mean."""

    def __init__(self, perceptual: Distance | None, device: torch.device, *, crops: Distance | None = None) -> None:
        self.device = device
        given = {PSNR: psnr_batch, SSIM: ssim_batch, PERCEPTUAL: perceptual, PERCEPTUAL_CROPS: crops}
        self.distances = {name: distance for name, distance in given.items() if distance}

    def __call__(self, pictures: Pictures, baseline: Pictures | None) -> Scores:
        if baseline is None or not pictures.paired:
            return Scores()
        columns: dict[str, list[np.ndarray]] = {name: [] for name in self.distances}
        pairs = zip(streamed(pictures.read(), self.device), streamed(baseline.read(), self.device), strict=True)
        for ours, theirs in pairs:
            for name, distance in self.distances.items():
                columns[name].append(distance(ours, theirs).double().cpu().numpy())
        return of_samples({name: np.concatenate(parts) for name, parts in columns.items()})


def to_truth(scores: Scores) -> Scores:
    """What was measured against that arm, under its names."""
    return Scores({TRUE[n]: found for n, found in scores.aggregates.items()}, {TRUE[n]: v for n, v in scores.values.items()})
