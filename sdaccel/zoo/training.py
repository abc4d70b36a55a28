"""Train one small model, resumably: every batch is a function of the step, so a killed run continues where it stopped.

A task owns the network and its maths; this module owns the loop: AdamW with warm-up and cosine decay, an average of the
weights over steps, checkpoints, curves, and what it cost.
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler

from sdaccel.predict import pl


@dataclass
class Recipe:
    """How long and how fast."""

    steps: int = 1000
    batch: int = 256
    lr: float = 1e-3
    warmup: int = 200
    weight_decay: float = 0.01
    ema: float = 0.999
    """Decay of the averaged weights, which are what ships."""
    clip: float = 1.0
    """Largest gradient norm."""
    seed: int = 0
    checkpoint_every: int = 500
    log_every: int = 50
    workers: int = 0
    """Processes that make batches ahead."""
    bf16: bool = True
    """Forward and loss under bfloat16 autocast; weights and optimizer stay float32."""
    compile: bool = True
    """Drawing, forward and loss as compiled graphs on a GPU: small models are bound by launches otherwise."""


Batch = dict[str, Tensor]


def indices(step: int, size: int) -> Tensor:
    """Scenes of a step's batch: no scene is seen twice in a training run."""
    return torch.arange(step * size, (step + 1) * size)


class Task(Protocol):
    """What is trained. Data and noise are functions of the step, so that resuming repeats nothing and skips nothing.

    A task may also have `prepare(batch, generator) -> batch`: what runs on the device but outside of the compiled loss.
    """

    net: nn.Module

    def batch(self, step: int, size: int) -> Batch:
        """What the step learns from; runs in a worker process, on the CPU."""
        ...

    def loss(self, net: nn.Module, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of one step, and figures for the curve."""
        ...

    def measure(self, net: nn.Module, device: torch.device) -> dict[str, float]:
        """What the finished network reaches on the test split."""
        ...


def learning_rate(step: int, recipe: Recipe) -> float:
    """Linear warm-up, then half a cosine to 1 % of the peak."""
    if step < recipe.warmup:
        return recipe.lr * (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(recipe.steps - recipe.warmup, 1)
    return recipe.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))


class Steps(Dataset[tuple[int, Batch]]):
    """The batch of every step."""

    def __init__(self, task: Task, size: int) -> None:
        self.task, self.size = task, size

    def __getitem__(self, step: int) -> tuple[int, Batch]:
        return step, self.task.batch(step, self.size)


class Remaining(Sampler[int]):
    """Steps from where training stands. Its length is that of the whole run: Lightning counts the batches before a resume."""

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last

    def __len__(self) -> int:
        return self.last

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.last))


class Training(pl.LightningModule):
    """The loop around a task."""

    def __init__(self, task: Task, recipe: Recipe, folder: Path) -> None:
        super().__init__()
        self.task = task
        self.net = task.net
        self.average = torch.optim.swa_utils.AveragedModel(
            task.net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(recipe.ema)
        )
        self.recipe = recipe
        self.loss = task.loss
        self.prepare: Callable[[Batch, torch.Generator], Batch] = getattr(task, "prepare", lambda batch, generator: batch)
        self.curve = folder / "curve.jsonl"
        self.seconds = 0.0
        self.started = time.monotonic()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Decay for matrices only: norms, biases and embeddings of positions keep their scale."""
        matrices = [p for p in self.net.parameters() if p.requires_grad and p.ndim > 1]
        others = [p for p in self.net.parameters() if p.requires_grad and p.ndim <= 1]
        groups = [
            {"params": matrices, "weight_decay": self.recipe.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.recipe.lr, betas=(0.9, 0.99), fused=self.device.type == "cuda")

    def training_step(self, batch: tuple[int, Batch], batch_idx: int) -> Tensor:
        step, data = batch
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = learning_rate(step, self.recipe)
        generator = torch.Generator(self.device).manual_seed(self.recipe.seed * 2**32 + step)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.bf16):
            loss, figures = self.loss(self.net, self.prepare(data, generator), generator)
        if step % self.recipe.log_every == 0 or step == self.recipe.steps - 1:
            self._note(step, figures | {"loss": loss.detach()})
        return loss

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Average at once: checkpoint callbacks run before this module's own end-of-batch hooks."""
        super().optimizer_step(*args, **kwargs)
        self.average.update_parameters(self.net)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["seconds"] = self._spent()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.seconds = checkpoint["seconds"]

    def _spent(self) -> float:
        return self.seconds + time.monotonic() - self.started

    def _note(self, step: int, figures: dict[str, Tensor]) -> None:
        values = {name: round(float(value), 6) for name, value in figures.items()}
        if not math.isfinite(values["loss"]):
            raise FloatingPointError(f"the loss is {values['loss']} at step {step}; lower the learning rate.")
        line = {"step": step, "seconds": round(self._spent(), 1), **values}
        with self.curve.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)


def fit(task: Task, recipe: Recipe, *, folder: Path, device: str) -> tuple[nn.Module, float]:
    """(averaged network, seconds of training so far); continues from the folder's last checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    last = folder / "last.ckpt"
    if device == "cuda":
        cast(Any, task.net).to(memory_format=torch.channels_last)  # else a third of a convolution's time is copying
    training = Training(task, recipe, folder)
    if recipe.compile and device == "cuda":
        training.loss = torch.compile(task.loss, dynamic=False)
    first = 0
    if last.exists():
        first = int(torch.load(last, map_location="cpu", weights_only=True)["global_step"])
    trim_curve(training.curve, first)
    trainer = pl.Trainer(
        accelerator="gpu" if device == "cuda" else "cpu",
        devices=1,
        max_steps=recipe.steps,
        gradient_clip_val=recipe.clip,
        callbacks=[
            pl.callbacks.ModelCheckpoint(
                dirpath=folder, filename="last", every_n_train_steps=recipe.checkpoint_every, enable_version_counter=False
            )
        ],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        deterministic=device == "cpu",
    )
    loader = DataLoader(
        Steps(task, recipe.batch),
        sampler=Remaining(first, recipe.steps),
        batch_size=None,
        num_workers=recipe.workers,
        pin_memory=device == "cuda",
    )
    if first < recipe.steps:
        trainer.fit(training, loader, ckpt_path=last if last.exists() else None)
        trainer.save_checkpoint(last)
    else:
        saved = torch.load(last, map_location="cpu", weights_only=True)
        training.load_state_dict(saved["state_dict"])
        return training.average.module.eval(), saved["seconds"]
    return training.average.module.eval(), training._spent()


def trim_curve(curve: Path, first: int) -> None:
    """Drop what a killed run noted after its last checkpoint: those steps come again."""
    if curve.exists():
        lines = [line for line in curve.read_text().splitlines() if line.endswith("}") and json.loads(line)["step"] < first]
        curve.write_text("".join(line + "\n" for line in lines))
