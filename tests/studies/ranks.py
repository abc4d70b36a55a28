"""Several processes of one study, forked from this one and told their places as torchrun would tell them."""

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from sdaccel.claims import FILE
from sdaccel.records import spent
from sdaccel.records.read import load
from sdaccel.samples import Samples
from tests.studies.frame import started

Body = Callable[[int], None]


def places(world: int) -> list[dict[str, str]]:
    """Environment of every process."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
    return [{"LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port} for rank in range(world)]


def ran(body: Body, environments: Sequence[Mapping[str, str]]) -> list[int]:
    """Exit codes of processes that run the body with their number, negative for signals."""

    def told(rank: int, environment: Mapping[str, str]) -> None:
        os.environ.update(environment)
        body(rank)

    pids = [started(partial(told, rank, environment)) for rank, environment in enumerate(environments)]
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def images(output: Path) -> dict[str, list[str]]:
    """Hashes of pictures by folder."""
    folders = sorted((output / "samples").iterdir())
    return {at.name: [Samples(at).entry(int(file.stem))["image"] for file in sorted(at.glob("0*.json"))] for at in folders}


def made(output: Path) -> int:
    """Samples that were finished, those that were made twice counted twice."""
    return sum((folder / FILE).stat().st_size for folder in (output / "samples").iterdir())


def content(output: Path) -> str:
    (record,) = output.glob("*/record.json")
    return load(record).content_hash


def shares(output: Path) -> list[int]:
    """Samples by process."""
    (record,) = output.glob("*/record.json")
    return [sum(count for *_, count in each.batches) for each in spent.of_run(record.parent)]
