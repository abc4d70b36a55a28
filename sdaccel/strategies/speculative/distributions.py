"""How far two models are apart at a token, and what a token's probability is: pure functions of guided logits.

B samples · l tokens · V codes · p target, q draft · logits (B, l, V)
"""

from torch import Tensor

from sdaccel.generators.nextscale.tokens import Draw, keep


def probabilities(logits: Tensor, draw: Draw) -> Tensor:
    """What the race draws from: top-k, top-p, softmax; float64, so that ratios and differences of near-equal ones hold."""
    return keep(logits, top_k=draw.top_k, top_p=draw.top_p).double().softmax(-1)


def at(values: Tensor, tokens: Tensor) -> Tensor:
    """The value of every token's own code, (B, l, V) and (B, l) to (B, l)."""
    return values.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)


def total_variation(p: Tensor, q: Tensor) -> Tensor:
    """sum |p - q| / 2, (B, l)."""
    return (p - q).abs().sum(-1) / 2


def kl(target: Tensor, draft: Tensor) -> Tensor:
    """KL(p || q) of unfiltered logits in nats, (B, l): filters would make it infinite."""
    log_p, log_q = target.double().log_softmax(-1), draft.double().log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1).clamp_min(0)
