"""How many graphs torch.compile has built in this process: one built while a clock runs is a recompilation that spoils it."""

import sys


def compiled_graphs() -> int:
    """0 as long as nothing has loaded the compiler."""
    dynamo = sys.modules.get("torch._dynamo.utils")
    return int(dynamo.counters["stats"]["unique_graphs"]) if dynamo else 0
