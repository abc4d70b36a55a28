"""Published metric networks from local files. Nothing is fetched: a missing file is one line that says where it comes from."""

import logging
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from sdaccel.errors import BadInput, reason
from sdaccel.metrics.extractors import ClipExtractor, InceptionExtractor
from sdaccel.shipped import sha256
from sdaccel.user_files import check_file, json_of
from sdaccel.weight_files import NONSENSE, load_pickle, open_weights


@dataclass(frozen=True)
class Source:
    """A published file or folder."""

    option: str
    file: str
    url: str

    def require(self, path: Path) -> Path:
        """The path, if it is there; a folder may be given for the file in it."""
        found = path / self.file if os.path.isdir(path) else path
        if not os.path.exists(found):  # Path.exists raises for a name that is too long
            raise BadInput(f"{self.option}={path}: {self.file} is not there; fetch it from {self.url} and put it at {found}.")
        check_file(found, option=self.option, fix=f"give {self.file} from {self.url}")
        return found

    def refuse(self, path: Path, error: Exception) -> BadInput:
        return BadInput(f"{self.option}={path} cannot be read ({reason(error)}); fetch {self.file} again from {self.url}.")


INCEPTION = Source(
    "metrics.inception",
    "inception-2015-12-05.pt",
    "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/inception-2015-12-05.pt",
)
LPIPS = Source("metrics.lpips", "alexnet-owt-7be5be79.pth", "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth")
CLIP = Source(
    "metrics.clip", "open_clip_config.json", "https://huggingface.co/timm/vit_large_patch14_clip_336.openai (the whole folder)"
)


def inception(path: Path) -> InceptionExtractor:
    """The FID network of clean-fid and StyleGAN, a TorchScript file behind clean-fid's normalisation."""
    file = INCEPTION.require(path)
    from cleanfid.inception_torchscript import InceptionV3W

    with warnings.catch_warnings(), TemporaryDirectory() as folder:
        warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript is deprecated; the published file is TorchScript
        (Path(folder) / INCEPTION.file).symlink_to(file.resolve())  # clean-fid takes a folder and a file of this name
        try:
            return InceptionExtractor(InceptionV3W(folder, download=False), fingerprint=sha256(file))
        except NONSENSE as error:
            raise INCEPTION.refuse(file, error) from None


def clip_folder(path: Path) -> Path:
    """An open_clip folder: its config, weights and preprocessing, as `local-dir:` reads them."""
    folder = CLIP.require(path).parent
    text: Any = json_of(folder / CLIP.file, option=CLIP.option, fix=f"fetch it again from {CLIP.url}").get("model_cfg")
    text = text.get("text_cfg") if isinstance(text, dict) else None
    if not isinstance(text, dict):
        raise BadInput(f"{CLIP.option}={path}: {CLIP.file} describes no model; fetch it again from {CLIP.url}.")
    if "hf_model_name" in text:
        raise BadInput(
            f"{CLIP.option}={path} takes its text tower {text['hf_model_name']} from the network; use another model."
        )
    if not any(folder.glob("open_clip_*.safetensors")) and not any(folder.glob("open_clip_*.bin")):
        raise BadInput(
            f"{CLIP.option}={path}: open_clip_model.safetensors is not there; fetch it from {CLIP.url} and put it in {folder}."
        )
    return folder


def check_clip(path: Path) -> None:
    """Raise BadInput unless the folder describes a model and holds its image side; nothing large is built or read."""
    import sdaccel.torchvision_guard  # noqa: F401, I001  (before open_clip)
    import open_clip

    folder = clip_folder(path)
    logging.disable(logging.WARNING)  # open_clip says that a model without weights is random, which is the point here
    try:
        with torch.device("meta"):
            model = open_clip.create_model(f"local-dir:{folder}", load_weights=False, device="meta")
    except NONSENSE as error:
        raise CLIP.refuse(path, error) from None
    finally:
        logging.disable(logging.NOTSET)
    found = [*sorted(folder.glob("open_clip_*.safetensors")), *sorted(folder.glob("open_clip_*.bin"))]
    file = open_weights(found[0], option=CLIP.option)
    for name, value in model.named_parameters():
        if name.startswith("visual.") and len(file.shapes.get(name, ())) != value.dim():
            raise file.refuse(f"key {name} {tuple(value.shape)} is missing or of another shape", "give the folder of one model")


def clip_extractor(path: Path) -> ClipExtractor:
    """The image side of such a folder."""
    import sdaccel.torchvision_guard  # noqa: F401, I001  (before open_clip)
    import open_clip

    folder = clip_folder(path)
    try:
        model = open_clip.create_model(f"local-dir:{folder}")
    except NONSENSE as error:
        raise CLIP.refuse(path, error) from None
    seen = model.visual.preprocess_cfg
    return ClipExtractor(model, name=f"clip_{folder.name}", mean=seen["mean"], std=seen["std"])


def clip(path: Path) -> tuple[ClipExtractor, Any]:
    """Extractor and tokenizer."""
    extractor = clip_extractor(path)
    import open_clip

    return extractor, open_clip.get_tokenizer(f"local-dir:{clip_folder(path)}")


class Lpips(nn.Module):
    """torchmetrics' LPIPS, which wants [-1, 1], of uint8 pictures."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.eval()

    @torch.no_grad()
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """(B,) for uint8 (B, 3, H, W) twice."""
        return self.network(a.float() / 127.5 - 1, b.float() / 127.5 - 1).flatten()


def lpips_alex(path: Path) -> Lpips:
    """LPIPS v0.1 (alex); torchmetrics ships the weights of channels, and would fetch the backbone if it made it itself."""
    file = LPIPS.require(path)
    import sdaccel.torchvision_guard  # noqa: F401, I001  (before torchmetrics)
    from torchmetrics.functional.image.lpips import _LPIPS

    network = _LPIPS(pretrained=True, net="alex", pnet_rand=True)
    try:
        state = load_pickle(file)
        network.net.load_state_dict({key: state[f"features.{key.partition('.')[2]}"] for key in network.net.state_dict()})
    except NONSENSE as error:
        raise LPIPS.refuse(file, error) from None
    return Lpips(network)
