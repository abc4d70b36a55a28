"""How often do 95 % intervals hold the truth? Simulated, with the Monte-Carlo error of each figure.

    python -m tests.metrics.coverage                                          the cases that `make verify` holds to bounds
    python -m tests.metrics.coverage --dims 2048 --runs 200 --device cuda     distances of so many features, 4 samples each

Prints one table and writes it as JSON. The truth is known in closed form (FID, means, proportions), zero (kernel distances of
one distribution) or the mean of all estimates, which are unbiased (kernel distances of two).
"""

import argparse
import json
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import binom

from sdaccel.metrics.distances import Distance, difference_interval, distance_interval
from sdaccel.metrics.frechet_interval import linearised_fid
from sdaccel.metrics.intervals import Interval, mean_interval, share_interval
from sdaccel.metrics.kernel import cmmd, kid
from tests.metrics.tiny import holds
from tests.metrics.worlds import Cut, World, in_turn

BAND = (0.93, 0.97)
PROBABILITIES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.997, 0.999)
DISTANCES: dict[str, Distance] = {"fid": linearised_fid, "kid": kid, "cmmd": cmmd}


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    function: str
    draws: str
    n: int
    coverage: float
    error: float
    """Monte-Carlo: one standard error; 0 where coverage is computed exactly."""
    runs: int
    bounds: tuple[float, float]

    @property
    def holds(self) -> bool:
        """Within two standard errors."""
        return self.bounds[0] - 2 * self.error <= self.coverage <= self.bounds[1] + 2 * self.error

    def __str__(self) -> str:
        verdict = "" if self.holds else f"   outside {self.bounds[0]} .. {self.bounds[1]}"
        return f"{self.function:<24} {self.draws:<44} {self.n:>6} {self.coverage:>9.3f} {self.error:>9.3f}{verdict}"


HEAD = f"{'function':<24} {'draws':<44} {'N':>6} {'coverage':>9} {'MC error':>9}"


def _row(function: str, draws: str, n: int, hits: Sequence[bool], bounds: tuple[float, float]) -> Row:
    coverage = float(np.mean(hits))
    error = math.sqrt(max(coverage * (1 - coverage), 0.95 * 0.05 / 4) / len(hits))
    return Row(function, draws, n, coverage, error, len(hits), bounds)


@dataclass(frozen=True)
class Proportions:
    """Of right and wrong: exactly, the mean over probabilities."""

    n: int

    def run(self) -> Row:
        found = [share_interval(np.arange(self.n) < k) for k in range(self.n + 1)]
        covered = [
            sum(float(binom.pmf(k, self.n, p)) for k, interval in enumerate(found) if holds(interval, p)) for p in PROBABILITIES
        ]
        return Row("proportion", "p from 0.5 to 0.999, mean", self.n, float(np.mean(covered)), 0.0, 0, (0.93, 1.0))


@dataclass(frozen=True)
class Shares:
    """Pictures with `parts` attributes each, their errors together in part: the mean over probabilities."""

    n: int
    parts: int
    together: float
    runs: int = 1000

    def run(self) -> Row:
        rng, hits = np.random.default_rng(0), []
        for p in PROBABILITIES:
            a = 1 / self.together - 1
            chance = rng.beta(p * a, (1 - p) * a, (self.runs, self.n)) if a < 1e6 else np.full((self.runs, self.n), p)
            hits += [holds(share_interval(v), p) for v in rng.binomial(self.parts, chance) / self.parts]
        draws = f"k/{self.parts}, correlation {self.together:.1f}, p from 0.5 to 0.999, mean"
        return _row("share", draws, self.n, hits, (0.93, 0.99))


Draw = Callable[[np.random.Generator, int], np.ndarray]
MEANS: dict[str, tuple[Draw, float]] = {
    "normal": (lambda rng, n: rng.normal(size=n), 0.0),
    "exponential": (lambda rng, n: rng.exponential(size=n), 1.0),
    "log-normal, sigma 0.5": (lambda rng, n: rng.lognormal(0, 0.5, n), math.exp(0.125)),
    "log-normal, sigma 1": (lambda rng, n: rng.lognormal(0, 1, n), math.exp(0.5)),
    "t3": (lambda rng, n: rng.standard_t(3, n), 0.0),
    "difference of log-normals": (lambda rng, n: rng.lognormal(0, 1, n) - rng.lognormal(0, 1, n) / 2, math.exp(0.5) / 2),
    "k/5, p = 0.8": (lambda rng, n: rng.binomial(5, 0.8, n) / 5, 0.8),
}


@dataclass(frozen=True)
class Means:
    draws: str
    n: int
    runs: int = 4000

    def run(self) -> Row:
        rng = np.random.default_rng(0)
        draw, truth = MEANS[self.draws]
        hits = [holds(mean_interval(draw(rng, self.n)), truth) for _ in range(self.runs)]
        return _row("mean", self.draws, self.n, hits, BAND)


@dataclass(frozen=True)
class Distances:
    """Of a set to a reference of drawn labels, or of two sets to it."""

    name: str
    d: int
    n: int
    effect: float
    kind: str = "gaussian"
    labels: str = "drawn"
    """`drawn`, or `in turn`."""
    difference: str = ""
    """`paired` or `unpaired`."""
    runs: int = 500
    device: str = "cpu"
    jobs: int = 1
    """Processes of one thread each; every one draws its own share of the runs."""

    def run(self) -> Row:
        world = World(self.d, kind=self.kind, effect=self.effect, device=self.device)
        if self.jobs == 1:
            found = self.share(0, self.runs)
        else:
            counts = [len(range(job, self.runs, self.jobs)) for job in range(self.jobs)]
            with ProcessPoolExecutor(self.jobs, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
                found = [each for some in pool.map(self.share, range(self.jobs), counts) for each in some]
        truth = self._truth(world, found)
        what = f"{self.name} difference, {self.difference}" if self.difference else self.name
        moved = f"moved {self.effect:g}" if self.effect else "same"
        draws = f"D = {self.d}, {self.kind}, labels {self.labels}, {moved}"
        return _row(what, draws, self.n, [holds(each, truth) for each in found], BAND)

    def share(self, job: int, runs: int) -> list[Interval]:
        world = World(self.d, kind=self.kind, effect=self.effect, device=self.device)
        if job:
            world.g.manual_seed(job)  # another stream of draws from the same world
        return [self._interval(world) for _ in range(runs)]

    def _truth(self, world: World, found: Sequence[Interval]) -> float:
        if self.name == "fid":
            return world.fid
        return float(np.mean([each.estimate for each in found])) if self.effect else 0.0

    def _interval(self, world: World) -> Interval:
        strata = in_turn(self.n) if self.labels == "in turn" else None
        own = world.latents(self.n, strata)
        reference = world.reference(world.latents(self.n))
        distance, extrapolate = DISTANCES[self.name], self.name == "fid"
        if not self.difference:
            return distance_interval(distance, world.generated(own), reference, extrapolate=extrapolate, strata=strata)
        paired = self.difference == "paired"
        other = world.reference(own if paired else world.latents(self.n, strata))
        return difference_interval(
            distance, world.generated(own), other, reference, paired=paired, extrapolate=extrapolate, strata=strata
        )


@dataclass(frozen=True)
class Crops:
    """Of pictures that are several rows."""

    name: str
    d: int
    n: int
    effect: float
    runs: int = 300

    def run(self) -> Row:
        world, distance, extrapolate = Cut(self.d, effect=self.effect), DISTANCES[self.name], self.name == "fid"
        sets = ((world.generated(world.crops(self.n)), world.reference(world.crops(self.n))) for _ in range(self.runs))
        found = [distance_interval(distance, own, reference, extrapolate=extrapolate) for own, reference in sets]
        truth = world.fid if self.name == "fid" else 0.0
        draws = f"D = {self.d}, crops, {f'moved {self.effect:g}' if self.effect else 'same'}"
        return _row(self.name, draws, self.n, [holds(each, truth) for each in found], BAND)


Case = Proportions | Shares | Means | Distances | Crops


def distances(d: int, n: int, *, names: Sequence[str] = tuple(DISTANCES), **how: Any) -> Iterator[Distances]:
    """Every distance at this size: real against real and moved, labels drawn and in turn, paired and not."""
    for name in names:
        case = partial(Distances, name, d, n, **how)
        for labels in ("drawn", "in turn"):
            yield case(effect=0.0, labels=labels)
            yield case(effect=0.2, labels=labels)
        yield case(effect=0.0, labels="in turn", kind="exponential")
        yield case(effect=0.2, labels="in turn", difference="paired")
        yield case(effect=0.2, labels="in turn", difference="unpaired")


CASES: list[Case] = [
    *(Proportions(n) for n in (24, 128, 500)),
    *(Shares(n, parts, together) for n in (24, 128) for parts, together in ((3, 1e-9), (5, 0.3))),
    *(Means(draws, n) for draws in MEANS for n in (12, 24, 48, 96)),
    *(Distances(name, 128, 16, 0.0, kind="exponential", runs=300) for name in ("kid", "cmmd")),
    *distances(32, 128, runs=300),
    *distances(128, 512, runs=100),
    *(Crops(name, 32, 128, 0.0) for name in DISTANCES),
    Crops("fid", 32, 128, 0.2),
]
"""What `make verify` runs."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dims", type=int, nargs="+", help="only distances, of this many features")
    parser.add_argument("--per-dim", type=float, default=4, help="samples of each set, per feature")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--names", nargs="+", default=list(DISTANCES), choices=list(DISTANCES))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--jobs", type=int, default=1, help="processes of one thread each")
    parser.add_argument("--skip", type=int, default=0, help="leave out so many of the first cases")
    parser.add_argument("--json", type=Path, default=Path("coverage.json"))
    args = parser.parse_args()
    how = {name: getattr(args, name) for name in ("names", "runs", "device", "jobs")}
    of_dims = [case for d in args.dims or () for case in distances(d, int(args.per_dim * d), **how)]
    rows = []
    print(HEAD)
    for case in (of_dims or CASES)[args.skip :]:
        rows.append(case.run())
        print(rows[-1], flush=True)
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
