"""Lightning, predict only. Import Lightning from here: the guard must come first."""

import sdaccel.torchvision_guard  # noqa: F401

# isort: split
import pytorch_lightning as pl
from pytorch_lightning.plugins.environments import LightningEnvironment, SLURMEnvironment
from pytorch_lightning.strategies import DDPStrategy

__all__ = ["DDPStrategy", "LightningEnvironment", "SLURMEnvironment", "pl"]
