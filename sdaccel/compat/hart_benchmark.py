"""Seconds and memory of a cached generation, as upstream's benchmark names them."""

import numpy as np

from sdaccel.compat.sdvar_profiler import SDVARProfiler
from sdaccel.conditions import Batch
from sdaccel.generators.base import Generation
from sdaccel.generators.hart.runtime import HartRuntime
from sdaccel.measure.speedup import speedup
from sdaccel.measure.timing import interleaved
from sdaccel.strategies.stage_cache.strategy import StageCache


def timed(runtime: HartRuntime, batch: Batch, strategy: StageCache | None, *, rounds: int) -> dict[str, float]:
    """Rounds of the batch, each beside one that computes everything; the peak is of tensors alive at once, in MiB."""

    def call(own: StageCache | None) -> Generation:
        return runtime.generate(batch, backend=None, strategy=own)

    device = runtime.hart.head.weight.device
    arms = {"cached": lambda: call(strategy), "baseline": lambda: call(None)}
    seconds = interleaved(arms, warmup=1, repeats=rounds, device=device).seconds
    profiler = SDVARProfiler(device, memory=True)
    with profiler.stage("cached"):
        call(strategy)
    mean = float(np.mean(seconds["cached"]))
    return {
        "mean_time": mean,
        "std_time": float(np.std(seconds["cached"])),
        "mean_memory_mb": profiler.peaks["cached"][0] / 2**20,
        "throughput_img_per_sec": len(batch) / mean,
        "speedup": speedup(seconds["baseline"], seconds["cached"]).estimate,
    }
