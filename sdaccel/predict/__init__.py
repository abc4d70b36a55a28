"""Lightning, predict only. Import Lightning from here: the guard must come first."""

import sdaccel.torchvision_guard  # noqa: F401

# isort: split
import pytorch_lightning as pl

__all__ = ["pl"]
