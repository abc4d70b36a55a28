"""Published networks from local files: messages where one is missing, values where a small one stands in its place."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import sdaccel.torchvision_guard  # noqa: F401
from sdaccel.errors import BadInput
from sdaccel.metrics import backbones
from sdaccel.metrics.perceptual import perceptual_distance
from tests.metrics.tiny import TEXT, VISION, images, tiny_clip


@pytest.mark.parametrize(
    ("load", "option", "file", "host"),
    [
        (backbones.inception, "metrics.inception", "inception-2015-12-05.pt", "nvlabs-fi-cdn.nvidia.com"),
        (backbones.lpips_alex, "metrics.lpips", "alexnet-owt-7be5be79.pth", "download.pytorch.org"),
        (backbones.clip, "metrics.clip", "open_clip_config.json", "huggingface.co"),
    ],
)
def test_a_missing_file_is_one_line_with_option_name_source_and_place(
    tmp_path: Path, load: Any, option: str, file: str, host: str
) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(BadInput) as caught:
            load(path)
        message = str(caught.value)
        assert "\n" not in message
        assert all(part in message for part in (f"{option}={path}", file, host, f"put it at {tmp_path}"))


def test_damaged_files_name_the_option_and_the_source(tmp_path: Path) -> None:
    for load, source in ((backbones.inception, backbones.INCEPTION), (backbones.lpips_alex, backbones.LPIPS)):
        (tmp_path / source.file).write_bytes(b"not a network")
        with pytest.raises(BadInput, match=f"{source.option}=.* cannot be read .* fetch {source.file} again from https"):
            load(tmp_path)


class Layers(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)).repeat(1, 683)[:, :2048]


class FakeInception(nn.Module):
    """The published file's outside: `layers` to 2048 features, `output` with weight and bias."""

    def __init__(self) -> None:
        super().__init__()
        self.layers, self.output = Layers(), nn.Linear(2048, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.layers(x))


def test_inception_normalises_as_the_published_network_wants_and_omits_the_last_bias(tmp_path: Path) -> None:
    fake = FakeInception()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(fake).save(tmp_path / "inception-2015-12-05.pt")
    extractor = backbones.inception(tmp_path)
    x = images(2, side=299)
    expected = ((x.float() - 128) / 128).mean((2, 3))
    assert torch.allclose(extractor(x)[:, :3], expected, atol=1e-6)
    assert extractor(x).shape == (2, extractor.num_features)
    logits = extractor(x) @ fake.output.weight.T
    assert torch.allclose(extractor.classes(extractor(x)), logits.softmax(1), atol=1e-6)


def test_lpips_equals_torchmetrics_on_the_same_backbone(tmp_path: Path) -> None:
    from torchmetrics.functional.image.lpips import _LPIPS
    from torchvision.models import alexnet

    torch.manual_seed(0)
    features = alexnet(weights=None).features
    torch.save({f"features.{k}": v for k, v in features.state_dict().items()}, tmp_path / backbones.LPIPS.file)
    backbone, weights = backbones.lpips_alex(tmp_path)
    theirs = _LPIPS(pretrained=True, net="alex", pnet_rand=True).eval()
    pretrained = [m for m in features if isinstance(m, nn.Conv2d)]
    convolutions = [m for m in theirs.net.modules() if isinstance(m, nn.Conv2d)]
    for mine, other in zip(pretrained, convolutions, strict=True):
        other.load_state_dict(mine.state_dict())
    a, b = images(2, side=64, seed=0), images(2, side=64, seed=1)
    with torch.no_grad():
        expected = theirs(a.float() / 127.5 - 1, b.float() / 127.5 - 1).flatten()
    assert torch.allclose(perceptual_distance(backbone, a, b, weights=weights), expected, rtol=1e-4)


@pytest.fixture
def clip_folder(tmp_path: Path) -> Path:
    from safetensors.torch import save_model

    config = {"model_cfg": {"embed_dim": 32, "vision_cfg": VISION, "text_cfg": TEXT}}
    config["preprocess_cfg"] = {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7]}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    save_model(tiny_clip(), str(tmp_path / "open_clip_model.safetensors"))
    return tmp_path


def test_a_clip_folder_brings_its_weights_its_preprocessing_and_a_tokenizer(clip_folder: Path) -> None:
    extractor, tokenizer = backbones.clip(clip_folder)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ([0.1, 0.2, 0.3], [0.5, 0.6, 0.7]))
    x = images(2)
    with torch.no_grad():
        expected = tiny_clip().encode_image((x / 255 - mean) / std)
    assert torch.allclose(extractor(x), expected, atol=1e-5)
    assert tokenizer(["a red cube"]).shape == (1, TEXT["context_length"])


def test_a_clip_folder_without_weights_or_with_a_text_tower_from_elsewhere_is_refused(clip_folder: Path) -> None:
    (clip_folder / "open_clip_model.safetensors").unlink()
    with pytest.raises(BadInput, match=r"metrics.clip=.*open_clip_model.safetensors is not there; fetch it from https"):
        backbones.clip(clip_folder)
    config = json.loads((clip_folder / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"] = {"hf_model_name": "roberta-base"}
    (clip_folder / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(BadInput, match="roberta-base"):
        backbones.clip(clip_folder)
