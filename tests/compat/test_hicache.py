"""The launcher's commands, as its documentation writes them, and what they mean here."""

import re
from pathlib import Path

import pytest

from sdaccel.compat.hicache import FLAGS, MODES, overrides
from sdaccel.errors import BadInput
from sdaccel.generators.flux.official.generator import OfficialFlux
from sdaccel.studies import compose
from tests import fresh
from tests.conftest import CONF

COMMON = "--prompt_file prompts.txt --limit 200 --width 1024 --height 1024 --num_steps 50"
SHARED = [
    "data.prompt_file=prompts.txt",
    "data.limit=200",
    "generator.width=1024",
    "generator.height=1024",
    "generator.num_steps=50",
]


def test_the_documented_hicache_command() -> None:
    line = f"--backend flux --mode HiCache {COMMON} --interval 5 --max_order 2 --first_enhance 3 --hicache_scale 0.6"
    assert overrides([*line.split(), "--run-name", "flux_hicache_demo"]) == [
        "generator=flux_tiny",
        "backend=dense",
        "strategy=hicache",
        *SHARED,
        "strategy.interval=5",
        "strategy.max_order=2",
        "strategy.first_enhance=3",
        "strategy.hicache_scale=0.6",
        "study.name=flux_hicache_demo",
    ]


def test_the_documented_sparse_command_and_its_config(tmp_path: Path) -> None:
    config = tmp_path / "chipmunk-config.yml"
    config.write_text("steps: 50\nattn: {is_enabled: true, top_keys: 0.1, random_keys: 0.01}\nmlp: {bm: 128, mbm: 64}\n")
    line = f"--backend chipmunk --mode chipmunk {COMMON} --guidance 3.5 --chipmunk_config {config}"
    assert overrides(line.split()) == [
        "generator=flux_tiny",
        "backend=chipmunk",
        "strategy=original",
        *SHARED,
        "generator.guidance=3.5",
        "backend.attn.is_enabled=true",
        "backend.attn.top_keys=0.1",
        "backend.mlp.mbm=64",
    ]


@pytest.mark.parametrize(
    ("line", "means"),
    [
        ("", "generator=flux_tiny backend=dense strategy=original"),
        ("--backend chipmunk --mode HiCache", "generator=flux_tiny backend=chipmunk strategy=hicache"),
        ("--backend chipmunk --mode original", "generator=flux_tiny backend=dense strategy=original"),
        ("--mode taylor-scaled --interval=3", "generator=flux_tiny backend=dense strategy=taylor_scaled strategy.interval=3"),
        ("--model_name flux-dev", "backend=dense strategy=original generator=flux_dev"),
        ("--mode HiCache trainer=ddp --dry-run", "generator=flux_tiny backend=dense strategy=hicache trainer=ddp --dry-run"),
        (
            "--backend chipmunk --mode chipmunk backend=column_sparse",
            "generator=flux_tiny strategy=original backend=column_sparse",
        ),
    ],
)
def test_what_arguments_mean(line: str, means: str) -> None:
    assert " ".join(overrides(line.split())) == means


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            "--first_enhanced 3",
            "--first_enhanced is not a flag of the launcher that is known here; the nearest is --first_enhance.",
        ),
        ("--mode ToCa", "--mode ToCa is not offered here; choose one of original, chipmunk, Taylor"),
        ("--backend sana", "--backend sana is not offered here; choose one of flux, chipmunk."),
        ("--backend flux --mode chipmunk", "--mode chipmunk is dense on --backend flux; write --backend chipmunk"),
        ("--interval", "--interval needs a value."),
        ("--interval --limit 3", "--interval needs a value."),
        ("--backend chipmunk --mode chipmunk --chipmunk_config nowhere.yml", "nowhere.yml does not exist"),
        ("--chipmunk_config nowhere.yml", "nowhere.yml does not exist"),
        ("--limit 3 --limit 4", "--limit is given twice, as 3 and as 4; give it once."),
        (
            "--mode original --interval 5",
            "--interval 5 has no effect in --mode original; leave it out, or choose one of --mode Taylor",
        ),
        ("--mode Taylor --hicache_scale 0.5", "--hicache_scale 0.5 has no effect in --mode Taylor"),
    ],
)
def test_what_cannot_be_meant_is_one_line(line: str, says: str) -> None:
    with pytest.raises(BadInput) as caught:
        overrides(line.split())
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1, 2]", "holds list and not options by name"),
        ("5", "holds int and not"),
        ("", "holds NoneType and not"),
        ("attn: 5", "attn is '5' and holds no options by name"),
        ("attn: {top_keys: {a: 1}}", "attn.top_keys is"),
        ("a: !!timestamp x", "is not YAML"),
        ("a: [", "is not YAML"),
    ],
)
def test_a_config_that_is_no_config_is_one_line(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text(text)
    with pytest.raises(BadInput, match=re.escape(says)):
        overrides(["--backend", "chipmunk", "--mode", "chipmunk", "--chipmunk_config", str(tmp_path / "config.yml")])


def test_a_config_without_effect_is_refused_and_sets_options_alone(tmp_path: Path) -> None:
    config = tmp_path / "config.yml"
    config.write_text("attn: {top_keys: 0.1, _target_: os.system, count: 3}")
    with pytest.raises(BadInput, match="has no effect on --backend flux --mode original"):
        overrides(["--chipmunk_config", str(config)])
    assert overrides(["--backend", "chipmunk", "--mode", "HiCache", "--chipmunk_config", str(config)])[3:] == [
        "backend.attn.top_keys=0.1"
    ]


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "chipmunk"])
def test_every_mode_composes(mode: str) -> None:
    plan = compose.plan([*overrides(["--mode", mode]), "data.prompts=[a cat]"], conf=CONF)
    assert plan.arms[-1].config["strategy"]["name"] == MODES[mode]


def test_the_models_of_the_launcher_are_the_official_ones() -> None:
    line = "--model_name flux-dev --mode HiCache --interval 5 --max_order 2 --width 512 --num_steps 28 --guidance 4"
    made = compose.plan([*overrides(line.split()), "data.prompts=[a cat]"], conf=CONF).arms[-1]
    assert made.generator == OfficialFlux(width=512, num_steps=28, guidance=4.0)
    assert made.strategy.plan(28)[:8] == ["full"] * 3 + ["forecast"] * 4 + ["full"]
    schnell = compose.plan([*overrides(["--model_name", "flux-schnell"]), "data.prompts=[a cat]"], conf=CONF).arms[-1].generator
    assert (schnell.num_steps, schnell.guidance_embeds, schnell.shifted) == (4, False, False)
    with pytest.raises(BadInput, match=r"generator\.num_steps=4 is too few to forecast"):
        compose.plan([*overrides(["--model_name", "flux-schnell", "--mode", "HiCache"]), "data.prompts=[a cat]"], conf=CONF)


def test_every_flag_is_in_the_readme() -> None:
    text = (CONF.parent / "README.md").read_text()
    assert [flag for flag in (*FLAGS, "--backend", "--mode", "--chipmunk_config") if f"`{flag}" not in text] == []


def test_it_runs_what_it_prints() -> None:
    line = "--mode HiCache --interval 3 --num_steps 12 --dry-run data.prompts=[cat]"
    run = fresh.python("-m", "sdaccel.compat.hicache", *line.split(), cwd=CONF.parent)
    assert run.returncode == 0, run.stderr
    first, *rest = run.stdout.splitlines()
    means = "generator=flux_tiny backend=dense strategy=hicache strategy.interval=3 generator.num_steps=12"
    assert first == f"sdaccel run {means} --dry-run 'data.prompts=[cat]'"  # as a shell takes it
    assert any("FFF..F..F..F 6/12 full" in shown for shown in rest)
