"""The presets that SDVAR's documents name, on the command line and as arms of a study."""

import pytest

from sdaccel.reporting.sdvar_claims import PRESETS
from sdaccel.strategies.speculative.handover import Handover
from sdaccel.studies import compose
from tests.conftest import CONF

NAMES = {"sdvar_quality": (2, 5), "sdvar_balanced": (5, 2), "sdvar_speed": (8, 1)}
PAIR = ["generator=var_mini_target", "data.labels=[1]"]


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_is_the_handover_of_the_seed(name: str) -> None:
    entry, sd_mask = NAMES[name]
    by_name, by_hand, as_arm = (
        compose.plan([*PAIR, *overrides], conf=CONF).arms[-1].strategy
        for overrides in (
            [f"strategy={name}"],
            ["strategy=handover", f"strategy.entry_num={entry}", f"strategy.sd_mask={sd_mask}"],
            [f"+study.arms={{a: {{strategy: original}}, b: {{strategy: {name}}}}}"],
        )
    )
    assert isinstance(by_name, Handover) and by_name == by_hand == as_arm
    assert by_name.draft.weights == "shipped:var_mini_draft"


def test_a_preset_may_be_changed_and_the_study_of_the_claims_has_them_all() -> None:
    changed = compose.plan([*PAIR, "strategy=sdvar_speed", "strategy.sd_mask=3"], conf=CONF).arms[-1].strategy
    assert (changed.entry_num, changed.sd_mask) == (8, 3)
    arms = {arm.name: arm.strategy for arm in compose.plan(["+exp=seed_claims_sdvar"], conf=CONF).arms}
    own = [(arms[name].entry_num, arms[name].sd_mask) for name in ("quality_first", "balanced", "speed_first")]
    assert own == list(NAMES.values()) == list(PRESETS)
