"""Run a study: generate what is missing, judge, time, and write the record."""

import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from sdaccel import processes
from sdaccel.claims import Claims
from sdaccel.conditions import batches
from sdaccel.errors import BadInput
from sdaccel.measure import memory
from sdaccel.measure.speedup import speedup
from sdaccel.measure.timing import interleaved, summary
from sdaccel.metrics.aggregate import Scores
from sdaccel.metrics.ahead import parts_of, read_ahead
from sdaccel.metrics.pictures import Pictures
from sdaccel.metrics.suite import measure
from sdaccel.predict import DDPStrategy, LightningEnvironment, SLURMEnvironment, pl
from sdaccel.predict.data import Conditions, Task
from sdaccel.predict.module import Predict
from sdaccel.predict.progress import Phase, ShowProgress
from sdaccel.predict.together import Agree, Clock
from sdaccel.predict.writer import SampleWriter
from sdaccel.records import read, store
from sdaccel.records.provenance import git_state, numerics, provenance
from sdaccel.records.spent import Spent
from sdaccel.records.view import Record
from sdaccel.samples import Samples, canonical, digest
from sdaccel.studies import content
from sdaccel.studies.arms import Arm, prices
from sdaccel.studies.checks.family import judged
from sdaccel.studies.compose import Plan
from sdaccel.studies.fingerprint import code_fingerprint
from sdaccel.studies.held import Held
from sdaccel.studies.models import Models
from sdaccel.studies.results import Result
from sdaccel.studies.stage import Stage
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


def run(plan: Plan, *, console: Console, others: processes.Others | None = None, watch: Watch | None = None) -> Record | None:
    """The study's record, also on disk; None on every process but the first, which has started the `others`."""
    git, spent = git_state(), Spent()
    results = make(plan, range(len(plan.conditions)), console=console, spent=spent, watch=watch)
    results = measured(plan, results, console)
    spent.mark("measured")
    spent.save(run_folder(plan))
    if processes.rank():
        return None
    priced = prices(plan.arms)
    results = [result.priced(priced[result.arm.name]) for result in results]
    for failed in others.end() if others else ():
        console.print(f"{failed}; the others made its samples")
    verdicts = judged(plan.checks, results)
    code = {arm.name: code_fingerprint(arm) for arm in plan.arms}
    timing = _time(plan, console) if plan.cfg.study.timing.repeats else None
    each, path = content.of_samples(results), run_folder(plan) / "record.json"
    with Phase(console, "writing", total=len(results), unit="arms") as phase:
        whole = content.content(plan, results, verdicts, each, done=phase.advance)
    made = store.sealed(
        content.run_id(plan),
        whole,
        digits=6,
        timing=timing,
        provenance=provenance(COMMAND, plan.overrides, bits=numerics_of(plan), code=code, git=git),
        folders={result.arm.name: result.samples.folder.name for result in results},
    )
    store.save(made, path, each=each)
    return read.load(path)


def make(
    plan: Plan, wanted: Sequence[int], *, console: Console, spent: Spent | None = None, watch: Watch | None = None
) -> list[Result]:
    """Every arm with these samples on disk, whichever process has made them."""
    cfg = plan.cfg
    _end_when_asked()
    folders = sample_folders(plan)
    os.environ["OMP_NUM_THREADS"] = str(cfg.trainer.threads)  # for further processes, and so that Lightning sets none
    torch.set_num_threads(cfg.trainer.threads)  # beside a GPU too: real pictures are drawn on the CPU
    with _quiet():
        _fill(plan, folders, wanted, _trainer(cfg), console, spent or Spent(), watch)
    held = Held()
    return [Result(arm, folders[arm.name], wanted, held=held) for arm in plan.arms]


def run_folder(plan: Plan) -> Path:
    return Path(plan.cfg.output) / content.run_id(plan)


def _end_when_asked() -> None:
    """SIGTERM ends the run: Lightning would note it and go on predicting, unless somebody handles it already."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's advice for runs that train, read files or log, which this is not."""
    messages = ("does not have many workers", "Couldn't infer the batch indices", "treespec, LeafSpec", "across ranks is zero")
    with warnings.catch_warnings():
        for message in messages:
            warnings.filterwarnings("ignore", message=f".*{message}")
        for name in ("pytorch_lightning", "lightning_fabric"):
            logging.getLogger(name).setLevel(logging.WARNING)
        yield


def _trainer(cfg: Any) -> pl.Trainer:
    """Its processes say nothing to each other but at their start, so gloo does; NCCL takes seconds and memory to begin."""
    device, count, nodes = device_of(cfg), cfg.trainer.processes or processes.every(), 1
    environment: Any = LightningEnvironment()
    if processes.by_srun():
        (count, nodes), environment = processes.of_step(), SLURMEnvironment(auto_requeue=False)
    elif (told := processes.told()) not in (None, count):
        raise BadInput(
            f"trainer.processes={count} comes from a file, and the command by itself has started {told} processes; write "
            f"trainer.processes={count} in the command."
        )
    os.environ.setdefault("NCCL_NVLS_ENABLE", "0")  # NVLink multicast, for a generator that uses NCCL itself
    return pl.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=count,
        num_nodes=nodes,
        strategy=DDPStrategy(process_group_backend="gloo") if count * nodes > 1 else "auto",
        plugins=environment,
        use_distributed_sampler=False,  # every process takes batches as they come
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
    spent: Spent,
    watch: Watch | None,
) -> None:
    """Every wanted sample that is not on disk."""
    with ExitStack() as stack:
        claims = {folder: stack.enter_context(Claims(folder)) for folder in {of.folder for of in folders.values()}}
        tasks = _tasks(plan, folders, wanted, claims)
        total = sum(len(task.batch.wanted) for task in tasks)
        kept = len(claims) * len(wanted) - total
        if trainer.global_rank == 0:
            console.print(f"{total} images to generate, {kept} already on disk, {len(plan.arms)} arms")
        if not tasks and trainer.world_size == 1:
            return
        phase = Phase(console, "generating", total=total, unit="images")
        progress = ShowProgress(phase, finished=lambda: sum(each.finished() for each in claims.values()))
        models = Models(trainer.strategy.root_device, plan.conditions, cache=Path(plan.cfg.output) / "text")
        clock, stage = Clock(), stack.enter_context(Stage(plan.arms, models, keep=plan.cfg.study.keep))
        agree = Agree([content.run_id(plan), *(of.folder.name for of in folders.values())])
        told = [Tell(watch, total=total, kept=kept)] if watch else []
        trainer.callbacks = [agree, SampleWriter(), clock, progress, *told]  # type: ignore[attr-defined]
        spent.mark("planned")
        with phase if trainer.global_rank == 0 else nullcontext():
            trainer.predict(Predict(stage), datamodule=Conditions(tasks), return_predictions=False)
        spent.generated(clock.batches, building=stage.building)


def _tasks(plan: Plan, folders: dict[str, Samples], wanted: Sequence[int], claims: dict[Path, Claims]) -> list[Task]:
    """Batches with samples that are not on disk, arm by arm; of arms that share a folder the first makes its samples."""
    others, out = set(range(len(plan.conditions))).difference(wanted), []
    makers = {folders[arm.name].folder: arm for arm in reversed(plan.arms)}
    for arm in [arm for arm in plan.arms if makers[folders[arm.name].folder] is arm]:
        samples = folders[arm.name]
        done = samples.done(plan.conditions) | others
        missing = batches(plan.conditions, seed=plan.cfg.seed, size=plan.cfg.data.batch_size, done=done)
        out += [Task(arm.name, batch, samples, claims[samples.folder]) for batch in missing]
    return out


def measured(plan: Plan, results: list[Result], console: Console) -> list[Result]:
    """The metrics of every arm, from its pictures on disk; those of controls too, which a check on quality must fail.

    Of some of the samples only those that belong to single ones. All processes read features, the first one scores.
    """
    arms, device, cache = [result.arm for result in results], device_of(plan.cfg), Path(plan.cfg.output) / "features"
    scorers = plan.metrics.scorers(plan.conditions, size=arms[0].generator.height, device=device, cache=cache)
    whole = len(results[0].rows) == len(plan.conditions)
    scorers = [scorer for scorer in scorers if whole or not getattr(scorer, "of_sets", False)]
    if not scorers:
        return results
    if processes.rank() == 0:
        console.print(f"measuring {len(arms)} arms on {device}")
    pictures = []
    for result in results:
        other = result.arm.baseline(plan.cfg.study.baseline, arms)
        against = other.name if other and other.name != result.arm.name else None
        paired = other is not None and result.arm.shares_noise(other)
        key = f"{result.samples.folder.name}-{device.type}"
        truth = result.arm.truth(plan.cfg.study.truth, arms)
        rows = None if whole else result.rows
        of = result.arm.name, key, result.images, against, paired, truth.name if truth else None, rows
        pictures.append(Pictures(*of, count=len(result.rows), part=result.part))
    if whole:
        suite = digest(canonical(plan.metrics.identity()))[:12]
        own = Console(quiet=True) if processes.rank() else console
        with Phase(own, "reading", total=parts_of(pictures), unit="parts") as phase:
            read_ahead(scorers, pictures, cache=cache, suite=suite, done=phase.reach)
    if processes.rank():
        return results
    with Phase(console, "measuring", total=len(pictures) * len(scorers), unit="parts") as phase:
        scores = measure(scorers, pictures, done=phase.advance)
    return [replace(result, metrics=scores.get(result.arm.name, Scores())) for result in results]


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
    with Phase(console, "timing", total=len(arms) * (spec.warmup + spec.repeats), unit="batches") as phase:
        found = interleaved(
            calls, warmup=spec.warmup, repeats=spec.repeats, device=device, seed=plan.cfg.seed, done=phase.advance
        )
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
