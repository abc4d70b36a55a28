"""Measure an engine beside its floor: `python experiments/bench.py +bench=var_engine`. Exit 0: measured, 2: bad input."""

import sys
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import MissingMandatoryValue, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from sdaccel.errors import BadInput
from sdaccel.measure import bench
from sdaccel.studies import records
from sdaccel.studies.compose import one_line, register
from sdaccel.studies.provenance import numerics, provenance

CONF = Path(__file__).resolve().parent.parent / "conf"


def main(overrides: list[str], *, conf: Path = CONF) -> int:
    register()
    ConfigStore.instance().store(name="bench_schema", node=bench.Options)
    try:
        with initialize_config_dir(str(conf), version_base="1.3"):
            cfg = compose("bench", overrides=overrides)
        if OmegaConf.is_missing(cfg, "bench"):
            raise BadInput("no benchmark is chosen; give one, such as +bench=var_engine.")
        device = bench.device_of(cfg.device)
        benchmark, generator = (instantiate(node, _convert_="all") for node in (cfg.bench, cfg.generator))
        benchmark.check(generator)
    except (HydraException, OmegaConfBaseException, MissingMandatoryValue) as error:
        print(one_line(error), file=sys.stderr)
        return 2
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    timing = benchmark.run(generator, device)
    config = {"name": type(benchmark).__name__.lower()} | {
        key: OmegaConf.to_container(cfg[key], resolve=True) for key in ("bench", "generator")
    }
    import torch

    source = provenance(numerics(device, threads=torch.get_num_threads()), [], overrides) | {
        "command": ["experiments/bench.py", *overrides]
    }
    made = bench.record(
        config=config, timing=timing, source=source, digest=lambda content: records.digest(records.canonical(content))
    )
    path = Path(cfg.output) / made["id"] / "record.json"
    records.save(made, path)
    bench.show(timing, Console(highlight=False, width=160))
    print(f"record {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
