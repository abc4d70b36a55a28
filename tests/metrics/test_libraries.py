"""Packages that metrics come from are imported where they compute, so that a command's first second is not theirs."""

from sdaccel.closure import imports_of
from tests.test_layers import modules


def test_no_module_imports_a_metric_package_when_it_is_imported() -> None:
    heavy = {"torchmetrics", "cleanfid", "open_clip"}
    now = {module for module in modules() if {n.partition(".")[0] for n in imports_of(module, lazy=False)} & heavy}
    later = {module for module in modules() if {n.partition(".")[0] for n in imports_of(module)} & heavy}
    assert not now and {"sdaccel.metrics.paired", "sdaccel.metrics.extractors", "sdaccel.metrics.backbones"} <= later
