"""`verify-record ID`: run a committed record's command again on two samples; their hashes must be the record's.

Of a benchmark nothing is run: its clocks would say something else. Its command must still mean the configuration and the work
that the record says.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

import sdaccel
from sdaccel.errors import BadInput
from sdaccel.studies import benches, compose, records
from sdaccel.studies.promote import find

ROOT = Path(sdaccel.__file__).resolve().parent.parent
SAMPLES = 2
FROM_RECORD = ("data.per_condition=", "data.prompt_file=")
"""Options whose effect stands in the record as its list of conditions."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("record", help="path or id of a record in reports/results or runs")
    parser.add_argument("--samples", type=int, default=SAMPLES)
    args = parser.parse_args()
    try:
        record = records.load(find(args.record, [ROOT / "reports" / "results", Path("runs"), Path("runs", "bench")]))
        if benches.is_bench(record):
            return _told(
                record, benches.verify(record, conf=ROOT / "conf"), "configuration and work; times are not measured anew"
            )
        differences = verify(record, samples=args.samples, console=Console(highlight=False, markup=False, soft_wrap=True))
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    content = record["content"]
    checked = min(args.samples, len(content["config"]["data"]["conditions"]))
    return _told(record, differences, f"{checked} samples of {len(content['arms'])} arms")


def _told(record: dict[str, Any], differences: list[str], what: str) -> int:
    for line in differences:
        print(line)
    print(f"{record['id']}: {'MISMATCH' if differences else 'verified'} on {what}")
    return 1 if differences else 0


def verify(record: dict[str, Any], *, samples: int, console: Console) -> list[str]:
    """What differs, one line each; everything is generated anew in a folder that is thrown away."""
    from sdaccel.studies import runner

    command = [o for o in record["provenance"]["command"][1:] if not o.startswith(FROM_RECORD)]
    conditions = record["content"]["config"]["data"]["conditions"]
    size = record["content"]["config"]["data"]["batch_size"]
    limit = min(-(-samples // size) * size, len(conditions))  # whole batches cost no more, and a planted bug may mix their rows
    compose.register()
    with tempfile.TemporaryDirectory() as output:
        overrides = [*command, f"data.limit={limit}", "trainer.processes=1", "study.timing.repeats=0", f"output={output}"]
        plan = replace(compose.plan(overrides, conf=ROOT / "conf"), conditions=conditions[:limit])
        here = runner.numerics_of(plan)
        if there := {key: record["provenance"].get(key) for key in here if record["provenance"].get(key) != here[key]}:
            raise BadInput(
                f"record {record['id']} was made with {json.dumps(there)} and this machine has "
                f"{json.dumps({key: here[key] for key in there})}: bits need not agree; verify it where it was made."
            )
        results = runner.generate(plan, console=console)
        assert results is not None, "one process is the first"
        return _differences(
            record["content"]["arms"], {result.arm.name: result.entries() for result in results}, samples=samples
        )


def _differences(old: dict[str, Any], new: dict[str, list[dict[str, Any]]], *, samples: int) -> list[str]:
    if old.keys() != new.keys():
        return [f"arms differ: {', '.join(sorted(old.keys() ^ new.keys()))}"]
    return [
        f"{name}, sample {i}: {key} is {made[key]}, the record says {said.get(key)}"
        for name, arm in old.items()
        for i, (said, made) in enumerate(zip(arm["samples"][:samples], new[name], strict=False))
        for key in ("image", "arrays")
        if said.get(key, {}) != made[key]
    ]
