"""Draft some scales, judge them in one pass of the target, keep what stands: one generation of every row of a batch.

s next scale of a sample · g scales proposed · K scales

    draft      scales s .. s+g-1, each on the canvas with the ones before
    target     ONE pass over scales s .. s+g behind its cached prefix: scale k reads the canvas before k, sees scales <= k
    judge      s, s+1, ... until one does not stand; that one is painted anew
    otherwise  all stood: scale s+g, which the pass made too, is the target's own draw

Samples part ways: each round takes a group that stands at the same scale and proposes as much, those furthest behind first. It
computes every row, each in its own place, and writes the rows of the group alone: a sample's bits depend on its own history
and on the batch shape, never on what the other rows hold. Keys and values of a scale depend on the scales before it, so all
that a pass cached up to the scale that was painted anew stays valid, and what lies behind is overwritten.
"""

from collections.abc import Callable, Sequence

from torch import Tensor

from sdaccel.generators.nextscale.seam import Pass, ScaleSeam
from sdaccel.strategies.base import Untold
from sdaccel.strategies.speculative.gammas import Gamma
from sdaccel.strategies.speculative.judge import Acceptance, Drafted
from sdaccel.strategies.speculative.ledger import Ledger


class Speculation(Untold):
    """One generation."""

    def __init__(
        self,
        seam: ScaleSeam,
        draft: ScaleSeam,
        *,
        judge: Callable[[Drafted], Acceptance],
        gammas: Sequence[Gamma],
        distances: bool,
    ) -> None:
        self.seam, self.draft, self.judge, self.gammas = seam, draft, judge, gammas
        self.layout = seam.canvas.layout
        self.scales = self.layout.scales
        self.next = [0] * len(gammas)
        """The scale at which every sample goes on: both canvas and target's cache hold those before."""
        self.cached = [0] * len(gammas)
        """Scales that the draft's cache holds of every sample, never more than `next`."""
        self.ledger = Ledger(len(gammas), self.scales, distances=distances)

    def decode(self) -> list[str]:
        while groups := self._groups():
            behind = min(scale for scale, _, _ in groups)  # whoever waits for them may go on together with them
            for (scale, gamma, cached), rows in groups.items():
                if scale == behind:
                    self._round(rows, scale, gamma, cached)
        self.draft.release()
        return ["full"] * self.scales

    def stats(self) -> dict[str, Tensor]:
        return self.ledger.stats()

    def _groups(self) -> dict[tuple[int, int, int], list[int]]:
        """Unfinished samples by next scale, scales to propose and what the draft has cached."""
        groups: dict[tuple[int, int, int], list[int]] = {}
        for row, scale in enumerate(self.next):
            if scale < self.scales:
                gamma = min(self.gammas[row].propose(scale), self.scales - 1 - scale)
                groups.setdefault((scale, gamma, self.cached[row]), []).append(row)
        return groups

    def _round(self, rows: list[int], scale: int, gamma: int, cached: int) -> None:
        proposals = [self._propose(k, rows, first=cached if k == scale else k) for k in range(scale, scale + gamma)]
        said = self._pass(self.seam, rows, first=scale, last=scale + gamma)
        self.ledger.passed(rows, first=scale, last=scale + gamma)
        standing = list(range(len(rows)))  # places in the group, in whose order are all tensors here
        for k, (tokens, guess) in enumerate(proposals, scale):
            standing = self._judge(k, rows, standing, self._drafted(k, rows, tokens, guess, said[k]))
            if not standing:
                break
        if standing:
            last = scale + gamma
            self._set(last, rows, standing, *self.seam.draw(said[last], last))
        for row in rows:
            accepted = min(self.next[row] - 1 - scale, gamma)
            self.gammas[row].saw(drafted=gamma, accepted=accepted)
            self.cached[row] = min(self.next[row], scale + gamma) if gamma else cached

    def _propose(self, scale: int, rows: list[int], *, first: int) -> tuple[Tensor, Pass]:
        """The draft's tokens of a scale and what it says of it; it reads on the way what the target made without it."""
        said = self._pass(self.draft, rows, first=first, last=scale)[scale]
        self.ledger.drafted(rows, first=first, last=scale)
        tokens, codes = self.draft.draw(said, scale)
        self.seam.paint(scale, tokens, codes, rows=self._some(rows))
        return tokens, said

    def _pass(self, model: ScaleSeam, rows: list[int], *, first: int, last: int) -> dict[int, Pass]:
        """What either model says of these rows, by scale, in one pass over the canvas."""
        said = model.guided(self.seam.canvas.inputs_of(first, last), first=first, last=last, rows=self._some(rows))
        return dict(enumerate(said.split(self.layout.lengths(first, last)), first))

    def _drafted(self, scale: int, rows: list[int], tokens: Tensor, draft: Pass, target: Pass) -> Drafted:
        return Drafted(
            start=self.layout.token_start(scale),
            tokens=tokens,
            draft=draft.logits,
            target=target.logits,
            sampling=self.seam.sampling.at(scale),
            seeds=self.seam.seeds[rows],
            draw=lambda: self.seam.draw(target, scale),
            codes=lambda tokens: self.seam.codes(target, tokens, scale),
            codebook=self.seam.codebook,
        )

    def _judge(self, scale: int, rows: list[int], standing: list[int], drafted: Drafted) -> list[int]:
        """Of those that stood so far the ones that still do; the others are painted anew and go on behind this scale."""
        verdict = self.judge(drafted)
        self.ledger.judged(rows, standing, scale, drafted, verdict.stood)
        stood = verdict.stood.tolist()
        if fallen := [place for place in standing if not stood[place]]:
            self._set(scale, rows, fallen, *verdict.replace())
        return [place for place in standing if stood[place]]

    def _set(self, scale: int, rows: list[int], places: list[int], tokens: Tensor, codes: Tensor) -> None:
        """What the target said of a scale, for some places of the group, which go on behind it."""
        chosen = [rows[place] for place in places]
        self.seam.paint(scale, tokens[places], codes[places], rows=self._some(chosen))
        for row in chosen:
            self.next[row] = scale + 1

    def _some(self, rows: list[int]) -> list[int] | None:
        """None for a group of all rows, which needs no protection of others."""
        return None if len(rows) == len(self.next) else rows
