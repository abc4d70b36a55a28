"""Each picture against the baseline's of the same noise: PSNR, SSIM, and a perceptual distance where there is a network."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from sdaccel.metrics.aggregate import Scores, of_samples
from sdaccel.metrics.metric import Metric, metric
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
Distance = Callable[[Tensor, Tensor], Tensor]
"""uint8 (B, 3, H, W) twice -> (B,)"""


class Paired:
    """Nothing where pictures do not come in pairs. Identical pictures have no PSNR and are left out of its mean."""

    def __init__(self, perceptual: Distance | None, device: torch.device) -> None:
        self.device = device
        self.distances: dict[str, Distance] = {PSNR: psnr_batch, SSIM: ssim_batch}
        if perceptual is not None:
            self.distances[PERCEPTUAL] = perceptual

    def __call__(self, pictures: Pictures, baseline: Pictures | None) -> Scores:
        if baseline is None or not pictures.paired:
            return Scores()
        columns: dict[str, list[np.ndarray]] = {name: [] for name in self.distances}
        pairs = zip(streamed(pictures.read(), self.device), streamed(baseline.read(), self.device), strict=True)
        for ours, theirs in pairs:
            for name, distance in self.distances.items():
                columns[name].append(distance(ours, theirs).double().cpu().numpy())
        return of_samples({name: np.concatenate(parts) for name, parts in columns.items()})
