"""Run a study: generate what is missing, judge, time, and write the record."""

import ctypes
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from sdaccel.conditions import Batch, batches
from sdaccel.locks import alone
from sdaccel.measure import memory
from sdaccel.measure.speedup import speedup
from sdaccel.measure.timing import interleaved, summary
from sdaccel.metrics.aggregate import Scores
from sdaccel.metrics.pictures import Pictures
from sdaccel.metrics.suite import measure
from sdaccel.predict import pl
from sdaccel.predict.data import Conditions, dealt
from sdaccel.predict.module import Predict
from sdaccel.predict.progress import ShowProgress
from sdaccel.predict.writer import SampleWriter
from sdaccel.records import read, store
from sdaccel.records.provenance import git_state, numerics, provenance
from sdaccel.records.view import Record
from sdaccel.samples import Samples
from sdaccel.strategies.controls import MUTANTS, OBSERVERS
from sdaccel.studies import content
from sdaccel.studies.arms import Arm, prices
from sdaccel.studies.checks.family import judged
from sdaccel.studies.compose import Plan
from sdaccel.studies.fingerprint import code_fingerprint
from sdaccel.studies.held import Held
from sdaccel.studies.models import Models
from sdaccel.studies.results import Result
from sdaccel.studies.watch import Tell, Watch

COMMAND = "experiments/run.py"


def device_of(cfg: Any) -> torch.device:
    gpu = cfg.trainer.accelerator == "gpu" or (cfg.trainer.accelerator == "auto" and torch.cuda.is_available())
    return torch.device("cuda" if gpu else "cpu")


def numerics_of(plan: Plan) -> dict[str, Any]:
    return numerics(device_of(plan.cfg), threads=plan.cfg.trainer.threads)


def sample_folders(plan: Plan) -> dict[str, Samples]:
    """Where every arm's samples are, by the arm's name."""
    bits = numerics_of(plan)
    out = {}
    for arm in plan.arms:
        config = arm.config | arm.identities()
        code, keep = code_fingerprint(arm), arm.kept(plan.cfg.study.keep)
        key = content.sample_key(config, plan=plan, keep=keep, code=code, numerics=bits)
        out[arm.name] = Samples(Path(plan.cfg.output) / "samples" / key)
    return out


def run(plan: Plan, *, console: Console, watch: Watch | None = None) -> Record | None:
    """The study's record, also on disk; None on every process but the first."""
    git = git_state()
    results = generate(plan, console=console, watch=watch)
    if results is None:
        return None
    results = measured(plan, results, console)
    verdicts = judged(plan.checks, results)
    code = {arm.name: code_fingerprint(arm) for arm in plan.arms}
    timing = _time(plan, console) if plan.cfg.study.timing.repeats else None
    each, path = content.of_samples(results), run_folder(plan) / "record.json"
    made = store.sealed(
        content.run_id(plan),
        content.content(plan, results, verdicts, each),
        digits=6,
        timing=timing,
        provenance=provenance(COMMAND, plan.overrides, bits=numerics_of(plan), code=code, git=git),
        folders={result.arm.name: result.samples.folder.name for result in results},
    )
    store.save(made, path, each=each)
    return read.load(path)


def generate(plan: Plan, *, console: Console, watch: Watch | None = None) -> list[Result] | None:
    """Every arm with all its samples on disk; None on every process but the first."""
    made = make(plan, range(len(plan.conditions)), console=console, watch=watch)
    if made is None:
        return None
    priced = prices(plan.arms)
    return [result.priced(priced[result.arm.name]) for result in made]


def make(plan: Plan, wanted: Sequence[int], *, console: Console, watch: Watch | None = None) -> list[Result] | None:
    """Every arm with these samples on disk; None on every process but the first."""
    cfg = plan.cfg
    _die_with_parent()
    _end_when_asked()
    folders = sample_folders(plan)
    os.environ["OMP_NUM_THREADS"] = str(cfg.trainer.threads)  # for further processes, and so that Lightning sets none
    torch.set_num_threads(cfg.trainer.threads)  # beside a GPU too: real pictures are drawn on the CPU
    with _quiet():
        rank_zero = _fill(plan, folders, wanted, _trainer(cfg), console, watch)
    held = Held()
    return [Result(arm, folders[arm.name], wanted, held=held) for arm in plan.arms] if rank_zero else None


def run_folder(plan: Plan) -> Path:
    return Path(plan.cfg.output) / content.run_id(plan)


def _die_with_parent() -> None:
    """A process that Lightning started must not outlive the one that started it, even when that is killed."""
    if os.environ.get("LOCAL_RANK", "0") != "0" and sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _end_when_asked() -> None:
    """SIGTERM ends the run: Lightning would note it and go on predicting, unless somebody handles it already."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's advice for runs that train, read files or log, which this is not."""
    messages = (r".*does not have many workers.*", r".*Couldn't infer the batch indices.*", r".*treespec, LeafSpec.*")
    with warnings.catch_warnings():
        for message in messages:
            warnings.filterwarnings("ignore", message=message)
        logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
        yield


def _trainer(cfg: Any) -> pl.Trainer:
    device = device_of(cfg)
    processes = cfg.trainer.processes or torch.cuda.device_count() or 2
    return pl.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=processes,
        strategy="ddp" if processes > 1 else "auto",
        use_distributed_sampler=False,  # Conditions deals the batches itself
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _fill(
    plan: Plan,
    folders: dict[str, Samples],
    wanted: Sequence[int],
    trainer: pl.Trainer,
    console: Console,
    watch: Watch | None,
) -> bool:
    """Every wanted sample that is not on disk; True on the first process."""
    missing = {arm.name: _missing(plan, folders[arm.name], wanted) for arm in plan.arms}
    total = sum(len(batch.wanted) for todo in missing.values() for batch in todo)
    kept = len(plan.arms) * len(wanted) - total
    if trainer.global_rank == 0:
        console.print(f"{total} images to generate, {kept} already on disk, {len(plan.arms)} arms")
    rank, world = trainer.global_rank, trainer.world_size
    own = [batch for todo in missing.values() if todo for batch in dealt(todo, rank=rank, world=world)]
    progress = ShowProgress(console, total=sum(len(batch.wanted) for batch in own))
    models = Models(trainer.strategy.root_device, plan.conditions, cache=Path(plan.cfg.output) / "text")
    with progress.bar:
        for arm in plan.arms:
            if not missing[arm.name]:
                continue
            progress.arm = arm.name
            with _alone(folders[arm.name]) if world == 1 else nullcontext():
                if world == 1:  # others may have made some by now
                    todo = _missing(plan, folders[arm.name], wanted)
                    progress.total -= sum(len(b.wanted) for b in missing[arm.name]) - sum(len(b.wanted) for b in todo)
                    progress.bar.update(progress.task, total=progress.total)
                    missing[arm.name] = todo
                if missing[arm.name]:
                    told = [Tell(watch, arm.name, progress, kept=kept)] if watch else []
                    trainer.callbacks = [SampleWriter(folders[arm.name]), progress, *told]  # type: ignore[attr-defined]
                    _predict(arm, plan, models, trainer, Conditions(missing[arm.name]))
    trainer.strategy.barrier()
    return trainer.is_global_zero


def _missing(plan: Plan, samples: Samples, wanted: Sequence[int]) -> list[Batch]:
    """Batches with every wanted sample that is not on disk."""
    others = set(range(len(plan.conditions))).difference(wanted)
    done = samples.done(plan.conditions) | others
    return batches(plan.conditions, seed=plan.cfg.seed, size=plan.cfg.data.batch_size, done=done)


def _alone(samples: Samples) -> AbstractContextManager[None]:
    """Another run that wants the same samples waits until this one has made them."""
    return alone(samples.folder.parent.parent / "locks" / samples.folder.name)


def _predict(arm: Arm, plan: Plan, models: Models, trainer: pl.Trainer, todo: Conditions) -> None:
    models.only(arm)
    with as_configured(arm, models) as strategy:
        module = Predict(
            models.runtime(arm),
            backend=arm.backend,
            strategy=strategy,
            keep=arm.kept(plan.cfg.study.keep),
            images_before=arm.images_before,
        )
        trainer.predict(module, datamodule=todo, return_predictions=False)


def measured(plan: Plan, results: list[Result], console: Console) -> list[Result]:
    """The metrics of every arm, from its pictures on disk; those of controls too, which a check on quality must fail.

    Of some of the samples only those that belong to single ones.
    """
    arms, device = [result.arm for result in results], device_of(plan.cfg)
    scorers = plan.metrics.scorers(
        plan.conditions, size=arms[0].generator.height, device=device, cache=Path(plan.cfg.output) / "features"
    )
    whole = len(results[0].rows) == len(plan.conditions)
    scorers = [scorer for scorer in scorers if whole or not getattr(scorer, "of_sets", False)]
    if not scorers:
        return results
    console.print(f"measuring {len(arms)} arms on {device}")
    pictures = []
    for result in results:
        other = result.arm.baseline(plan.cfg.study.baseline, arms)
        against = other.name if other and other.name != result.arm.name else None
        paired = other is not None and result.arm.shares_noise(other)
        key = f"{result.samples.folder.name}-{device.type}"
        truth = result.arm.truth(plan.cfg.study.truth, arms)
        rows = None if whole else result.rows
        pictures.append(Pictures(result.arm.name, key, result.images, against, paired, truth.name if truth else None, rows))
    scores = measure(scorers, pictures)
    return [replace(result, metrics=scores.get(result.arm.name, Scores())) for result in results]


@contextmanager
def as_configured(arm: Arm, models: Models) -> Iterator[Any]:
    """The arm's strategy with its further models, its bug planted and its observers around it, where it has them."""
    equipped = models.equip(arm)
    planted: AbstractContextManager[Any] = (
        MUTANTS[arm.mutant].plant(models.runtime(arm), equipped) if arm.mutant else nullcontext(equipped)
    )
    with planted as strategy:
        for name in arm.observers:
            strategy = OBSERVERS[name](strategy, arm.strategy)
        yield strategy


def _time(plan: Plan, console: Console) -> dict[str, Any]:
    """Honest, unaudited models on the first batch, in turn; a speed-up is against the baseline arm at the same point."""
    spec, device = plan.cfg.study.timing, device_of(plan.cfg)
    arms = [arm for arm in plan.arms if arm.timed]
    batch = batches(plan.conditions, seed=plan.cfg.seed, size=plan.cfg.data.batch_size)[0]
    console.print(f"timing {len(arms)} arms, {spec.warmup} + {spec.repeats} rounds")

    def call(arm: Arm, models: Models) -> Callable[[], Any]:
        runtime, strategy = models.runtime(arm), models.equip(arm)
        return lambda: runtime.generate(batch, backend=arm.backend, strategy=strategy)

    def models() -> Models:
        return Models(device, plan.conditions, cache=Path(plan.cfg.output) / "text")

    together = models()
    calls = {arm.name: call(arm, together) for arm in arms}
    found = interleaved(calls, warmup=spec.warmup, repeats=spec.repeats, device=device, seed=plan.cfg.seed)
    del calls, together  # before any arm is alone
    entries = {}
    for arm in arms:
        baseline, rounds = arm.baseline(plan.cfg.study.baseline, arms), found.seconds[arm.name]
        entries[arm.name] = {
            "seconds": summary(rounds),
            "rounds": rounds,
            "baseline": baseline and baseline.name,
            "speedup": asdict(speedup(found.seconds[baseline.name], rounds)) if baseline else None,
            "memory_bytes": memory.alone(lambda arm=arm: call(arm, models()), device),  # type: ignore[misc]
        }
    return {"batch_size": len(batch), "order": found.order, "arms": entries}
