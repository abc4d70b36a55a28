"""Make `import torchvision` work beside a torch without its compiled operators; import this before Lightning or diffusers.

torchvision's Linux wheel is built for CUDA. Beside a CPU build of torch its library cannot load, and the import dies while
registering shapes of an operator that is then unknown, taking pytorch_lightning, torchmetrics, open_clip and diffusers' FLUX
with it. Declaring the operators is enough: transforms and models work, `ops.nms` still raises if called. Where torchvision
imports by itself nothing happens.
"""

import sys

import torch

try:
    import torchvision
except RuntimeError as error:
    if "operator torchvision::" not in str(error):
        raise
    for name in [module for module in sys.modules if module.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    for op in ("nms", "qnms"):
        torch.library.define(f"torchvision::{op}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision  # noqa: F401
