"""Lightning, predict only."""

import sdaccel.torchvision_guard  # noqa: F401  (before any module here imports Lightning)
