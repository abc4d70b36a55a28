"""Arms beside a floor: `python experiments/bench.py +bench=var_engine` or `+bench=kernels`. Exit 0: measured, 2: bad input."""

import sys
from pathlib import Path

from rich.console import Console

from sdaccel.errors import BadInput
from sdaccel.measure import bench
from sdaccel.studies import benches, records

CONF = Path(__file__).resolve().parent.parent / "conf"


def main(overrides: list[str], *, conf: Path = CONF) -> int:
    try:
        plan = benches.plan(overrides, conf=conf)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    made = benches.run(plan)
    path = plan.output / made["id"] / "record.json"
    records.save(made, path)
    bench.show(made, Console(highlight=False, width=160))
    print(f"record {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
