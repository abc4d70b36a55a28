"""Golden cases of SDVAR's handover: the masks of the target's one pass, and generations by the repaired test3."""

import numpy as np

from sdaccel.strategies.speculative.masks import visibility
from tests.conformance.cases import Case, Line
from tests.conformance.compare import compare, missing


def handles(case: Case) -> bool:
    return case.name.startswith("sdvar_masks")


def run(case: Case) -> list[Line]:
    return _masks(case)


def _masks(case: Case) -> list[Line]:
    lines, config = [], case.meta["config"]
    for sd_mask in config["masks"]:
        for entry in config["entries"]:
            name = f"mask{sd_mask}_entry{entry}"
            seen = visibility(config["patch_nums"], entry=entry, sd_mask=sd_mask).numpy()
            lines += compare(case, name, np.packbits(seen.reshape(-1)), 0.0)
            lines.append(Line(f"{name} visible", abs(int(seen.sum()) - case.meta["counts"][name]["visible"]), 0.0))
    return lines + missing(case, lines)
