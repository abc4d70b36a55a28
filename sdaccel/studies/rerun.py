"""Run a record's command again on its first samples, in a folder that is thrown away; their hashes must be the record's."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from sdaccel.errors import BadInput
from sdaccel.records.verify import samples_differ
from sdaccel.records.view import Record
from sdaccel.studies import compose, runner

FROM_RECORD = ("data.per_condition=", "data.prompt_file=")
"""Options whose effect stands in the record as its list of conditions."""


def verify(record: Record, *, samples: int, conf: Path, console: Console) -> list[str]:
    """What differs, one line each."""
    command = [o for o in record.provenance.command[1:] if not o.startswith(FROM_RECORD)]
    conditions, size = list(record.conditions), record.content["config"]["data"]["batch_size"]
    limit = min(-(-samples // size) * size, len(conditions))  # whole batches cost no more, and a planted bug may mix their rows
    compose.register()
    with tempfile.TemporaryDirectory() as output:
        overrides = [*command, f"data.limit={limit}", "trainer.processes=1", "study.timing.repeats=0", f"output={output}"]
        plan = replace(compose.plan(overrides, conf=conf), conditions=conditions[:limit])
        plan.cfg.data.batch_size = size  # of a record that had fewer samples, the rows that it computed and dropped
        here = runner.numerics_of(plan)
        if there := {key: said for key in here if (said := getattr(record.provenance, key)) != here[key]}:
            raise BadInput(
                f"record {record.id} was made with {json.dumps(there)} and this machine has "
                f"{json.dumps({key: here[key] for key in there})}: bits need not agree; verify it where it was made."
            )
        results = runner.generate(plan, console=console)
        assert results is not None, "one process is the first"
        return samples_differ(record, {result.arm.name: result.entries() for result in results}, count=samples)
