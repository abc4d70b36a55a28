"""Whether a run is mirrored to Weights & Biases, and how; asked before wandb is imported."""

import os
from typing import Any, Literal

from sdaccel.errors import BadInput, reason

Mode = Literal["online", "offline", "shared", "disabled"]
MODES: dict[str, Mode] = {m: m for m in ("online", "offline", "shared", "disabled")} | {"run": "online", "dryrun": "offline"}
"""What WANDB_MODE may say; the last two are its older words."""


def mode(logger: Any) -> Mode:
    """As the option says, or else WANDB_MODE; without both online for an agent of W&B, who waits there, and else on disk."""
    if not logger.wandb:
        return "disabled"
    if logger.offline is not None:
        return "offline" if logger.offline else "online"
    if (said := os.environ.get("WANDB_MODE")) is None:
        return "online" if "WANDB_SWEEP_ID" in os.environ else "offline"
    if said not in MODES:
        raise BadInput(f"WANDB_MODE={said} is unknown; choose {', '.join(MODES)}.")
    return MODES[said]


def check_login(logger: Any) -> None:
    """A key is there, asked before the run; whether the server takes it shows when the run is opened."""
    if mode(logger) not in ("online", "shared"):
        return
    import wandb

    wandb.setup(wandb.Settings(silent=True))
    try:
        known, why = wandb.login(prompt=False, verify=False), "there is none"
    except wandb.Error as error:
        known, why = False, reason(error).rstrip(".")
    if not known:
        raise BadInput(
            f"logger=wandb online needs a W&B login ({why}); run `wandb login`, or keep the run on disk by logger.offline=true."
        )
