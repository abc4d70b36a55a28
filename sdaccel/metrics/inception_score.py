"""Inception score (Salimans et al. 2016) over the class probabilities of any classifier."""

import torch
from torch import Tensor

from sdaccel.metrics.metric import Metric, metric

SPLITS = 10
INCEPTION = metric(
    Metric(name="inception_score", label="inception score", direction="higher", fewest=SPLITS, interval=False, place=80)
)


def inception_score(probabilities: Tensor, *, splits: int = SPLITS) -> tuple[float, float]:
    """Mean and standard deviation over splits of exp E KL(p(y|x) || p(y)); probabilities are (N, classes).

    Splits are runs of rows: shuffle samples that are ordered by class.
    """
    if len(probabilities) < splits:
        raise ValueError(f"{splits} splits need as many samples, not {len(probabilities)}")
    p = probabilities.double()
    if not torch.allclose(p.sum(1), torch.ones(len(p), dtype=p.dtype, device=p.device), atol=1e-3) or bool((p < 0).any()):
        raise ValueError("the inception score takes probabilities: apply a softmax to logits first")
    scores = torch.stack([_score(part) for part in p.tensor_split(splits)])
    return float(scores.mean()), float(scores.std(correction=0))


def _score(p: Tensor) -> Tensor:
    entropy = torch.special.entr
    return (entropy(p.mean(0)).sum() - entropy(p).sum(1).mean()).exp()
