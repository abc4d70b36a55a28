"""What a study's configuration may hold. YAML and command line are checked against these, so a typo is an error."""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING


@dataclass
class Data:
    labels: list[int] | None = None
    """Class labels for class-conditional generators; -1 is the null class."""
    prompts: list[str] | None = None
    """Prompts for text-to-image generators."""
    prompt_file: str | None = None
    """A text file with one prompt per line, or a .csv, .tsv or .jsonl with a column `prompt`, in place of `prompts`."""
    world: str | None = None
    """In place of all these, `limit` conditions of the small world: `classes`, all labels in turn, or `captions`, complete
    captions of its test scenes."""
    per_condition: int = 1
    """Samples of every label or prompt, each with its own noise."""
    limit: int | None = None
    """At most this many samples."""
    batch_size: int = 1
    """Rows of every batch; short batches are padded, so that bits never depend on what else is generated."""


@dataclass
class Trainer:
    accelerator: str = "cpu"
    """Lightning's accelerator: cpu, gpu, auto."""
    processes: int = 1
    """Processes, one device each; 0 takes every GPU, or two processes on a machine without one."""
    threads: int = 1
    """Threads of a CPU process. The order of a sum may depend on it, so it is part of what a sample is."""


@dataclass
class Logger:
    wandb: bool = False
    """Mirror the run to Weights & Biases while it runs, and its record at the end."""
    project: str | None = None
    """None: WANDB_PROJECT, or sdaccel. A sweep's own project wins."""
    offline: bool | None = None
    """Keep the run on disk; `wandb sync` uploads it. None: as WANDB_MODE says, or true, or under `wandb agent` false."""


@dataclass
class Timing:
    """A pass of its own: arms take turns in one process, in another order every round, and the samples are thrown away."""

    repeats: int = 5
    """Timed rounds; 0 skips the pass."""
    warmup: int = 1
    """Untimed rounds."""


@dataclass
class Recommend:
    """A study may choose: the candidate with the least work of those that pass every check."""

    arms: list[str] = field(default_factory=list)
    """The candidates."""
    name: str = ""
    """Of the calibration that the run writes and `promote` copies to conf/calibration/."""


@dataclass
class Study:
    name: str = "sample"
    question: str = ""
    """What the study answers, for the report."""
    arms: dict[str, Any] = field(default_factory=dict)
    """Name -> what differs from the chosen generator, backend and strategy; `generator`, `backend` and `strategy` choose
    others. A list stands for one arm per value.
    None at all: the chosen strategy beside the unaccelerated run."""
    vary: dict[str, list[Any]] = field(default_factory=dict)
    """Option -> values: every arm runs at every point unless it sets the option itself."""
    checks: list[Any] = field(default_factory=list)
    """`{check: [arms]}`; see sdaccel.studies.checks."""
    controls: dict[str, Any] = field(default_factory=dict)
    """Name -> an arm with a `mutant`, the arm it stands `for`, and the check it `fails`: the study fails if it does not."""
    baseline: str = "baseline"
    """The arm that speed-ups and paired differences are quoted against."""
    truth: list[str] = field(default_factory=list)
    """Arms that stand for the exact solution: pictures are compared with the first one's as well as with the baseline's, and
    the others, which are coarser, show that it has converged."""
    keep: list[str] = field(default_factory=list)
    """Arrays stored with every sample: latents, tokens, ..."""
    figures: list[str] = field(default_factory=list)
    """Names of figures that are drawn of the record; a study that could not give them what they need is refused."""
    timing: Timing = field(default_factory=Timing)
    recommend: Recommend = field(default_factory=Recommend)


@dataclass
class Config:
    generator: Any = MISSING
    backend: Any = MISSING
    strategy: Any = MISSING
    metrics: Any = MISSING
    data: Data = field(default_factory=Data)
    trainer: Trainer = field(default_factory=Trainer)
    logger: Logger = field(default_factory=Logger)
    study: Study = field(default_factory=Study)
    experimental: bool = False
    """The chosen backend and strategy are a calibration whose gate has not passed: runs warn, and tables say so."""
    objective: str | None = None
    """ARM.METRIC, the number that a sweep optimises: any metric of the study, or macs, mac_ceiling, seconds, speedup."""
    seed: int = 0
    """Every random number of the study follows from this and the sample's index."""
    output: str = "runs"
    """Where samples and records are written; may be deleted at any time."""


def register() -> None:
    store = ConfigStore.instance()
    store.store(name="base_schema", node=Config)
    for group, node in (("data", Data), ("trainer", Trainer), ("logger", Logger)):
        store.store(group=f"schema/{group}", name="base", node=node)
