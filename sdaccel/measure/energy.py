"""Joules of a call, from the counter that NVIDIA GPUs keep of all they ever consumed; nothing where there is none."""

import ctypes
import time
from collections.abc import Callable
from typing import Any

import torch

LIBRARY = "libnvidia-ml.so.1"


def joules(call: Callable[[], Any], device: torch.device, *, seconds: float) -> float | None:
    """Of one call, the GPU's idle share included, averaged over at least so many seconds: the counter moves in steps."""
    counter = counter_of(device)
    if counter is None:
        return None
    call()
    torch.cuda.synchronize(device)
    start, before, calls = time.perf_counter(), counter(), 0
    while time.perf_counter() - start < seconds:
        call()
        torch.cuda.synchronize(device)
        calls += 1
    return (counter() - before) / 1000 / calls


def counter_of(device: torch.device) -> Callable[[], int] | None:
    """Millijoules since the driver was loaded."""
    if device.type != "cuda":
        return None
    try:
        nvml = ctypes.CDLL(LIBRARY)
    except OSError:
        return None
    name = f"GPU-{torch.cuda.get_device_properties(device).uuid}".encode()
    handle, value = ctypes.c_void_p(), ctypes.c_ulonglong()
    if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetHandleByUUID(name, ctypes.byref(handle)):
        return None

    def read() -> int:
        if nvml.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(value)):
            raise RuntimeError("NVML stopped telling the energy that the GPU consumed")
        return value.value

    return read if nvml.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(value)) == 0 else None
