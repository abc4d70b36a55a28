"""A metric takes its module and a line of a suite, a study with its own figure one YAML and one module: in a package here."""

from pathlib import Path

from sdaccel.records.read import load
from tests.studies.package import Package

METRIC = '''
"""Mean brightness of a picture."""

import numpy as np

from sdaccel.metrics.aggregate import of_samples
from sdaccel.metrics.metric import Metric, metric

NAME = metric(Metric(name="brightness", label="brightness", direction="higher", place=5, screen=True))


def brightness(pictures, baseline):
    return of_samples({NAME: np.array([picture.mean() / 255 for picture in pictures.read()])})
'''
SUITE = '''
"""Brightness alone."""

from dataclasses import dataclass

from bright.metric import NAME, brightness
from sdaccel.metrics.suites.none import Nothing
from sdaccel.registry import configurable


@configurable(group="metrics", name="bright")
@dataclass(frozen=True)
class Bright(Nothing):
    def names(self, conditions):
        return (NAME,)

    def scorers(self, conditions, *, size, device, cache):
        return (brightness,)
'''
FIGURES = '''
"""Bars of brightness, and a figure that breaks."""

from sdaccel.reporting import style
from sdaccel.reporting.registry import figure


def measured(outline):
    return None if all("brightness" in arm.metrics for arm in outline.arms.values()) else "brightness; set metrics=bright."


@figure(needs=measured)
def bars(record):
    drawn = style.blank(3, 2)
    found = {name: arm.metrics["brightness"].estimate for name, arm in record.arms.items()}
    drawn.subplots().bar(list(found), list(found.values()))
    return drawn


@figure(needs=measured)
def fragile(record):
    return 1 / 0
'''
STUDY = """# @package _global_
defaults:
  - override /metrics: bright
study:
  name: bright
  baseline: few
  arms: {few: {generator.num_steps: 3}, more: {generator.num_steps: 4}}
  checks: [{at_least: [more], metric: brightness, bound: -9}]
  timing: {repeats: 0}
  figures: [bars]
"""
ENTRY_POINTS = "[sdaccel.metrics]\nsuite = bright.suite\n[sdaccel.reporting]\nfigures = bright.figures\n"


FILES = {
    "bright/metric.py": METRIC,
    "bright/suite.py": SUITE,
    "bright/figures.py": FIGURES,
    "bright/conf/metrics/bright.yaml": "defaults: [/schema/metrics/bright@_here_, _self_]\n",
    "bright/conf/exp/bright.yaml": STUDY,
}


def test_a_metric_and_a_study_with_its_figure_come_from_another_package(tmp_path: Path) -> None:
    package = Package.written(tmp_path, "bright", FILES, entry_points=ENTRY_POINTS)
    small = ("+exp=bright", "generator=flux_tiny", "data.per_condition=3", "data.batch_size=4")
    refused = package.run(*small, "metrics=none", "study.checks=[]")
    assert refused.returncode == 2 and not (tmp_path / "runs").exists()
    assert "study.figures: figure bars needs brightness; set metrics=bright." in refused.stderr

    done = package.run(*small, "study.figures=[fragile,bars]")
    assert done.returncode == 1, "a figure that breaks is told"
    said = "figure fragile cannot be drawn: ZeroDivisionError('division by zero')"
    assert said in done.stderr
    (folder,) = (tmp_path / "runs").glob("bright-*")
    assert (folder / "bars.png").exists(), "and takes neither the other figure"
    record = load(folder / "record.json")
    assert record.verdict == "pass" and "brightness" in done.stdout, "nor the record with it"
    assert len(record.arms["more"].values["brightness"]) == 12

    promoted = package.python("-m", "sdaccel.cli", "promote", folder.name, "--reports", "reports")
    assert promoted.returncode == 2 and said in promoted.stderr, "what no report could draw is not promoted"
    assert not (tmp_path / "reports").exists()
