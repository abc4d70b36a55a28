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


def test_a_backbone_of_another_network_is_refused(tmp_path: Path) -> None:
    torch.save({"features.0.weight": torch.zeros(3)}, tmp_path / backbones.LPIPS.file)
    with pytest.raises(BadInput, match=r"metrics\.lpips=.* cannot be read"):
        backbones.lpips_alex(tmp_path)


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
        torch.jit.script(fake).save(tmp_path / "of_another_name.pt")
    extractor = backbones.inception(tmp_path / "of_another_name.pt")
    x = images(2, side=299)
    expected = ((x.float() - 128) / 128).mean((2, 3))
    assert torch.allclose(extractor(x)[:, :3], expected, atol=1e-6)
    assert extractor(x).shape == (2, extractor.num_features)
    logits = extractor(x) @ fake.output.weight.T
    assert torch.allclose(extractor.classes(extractor(x)), logits.softmax(1), atol=1e-6)


def test_lpips_is_the_formula_with_the_backbone_of_the_file_and_the_weights_that_torchmetrics_ships(tmp_path: Path) -> None:
    """The published code adds 1e-10 to a norm, torchmetrics 1e-8 to its square; no map is small enough for it to show."""
    from torchmetrics.functional.image import lpips
    from torchvision.models import alexnet

    torch.manual_seed(0)
    features = alexnet(weights=None).features
    with torch.no_grad():
        features[0].weight.mul_(20)  # a trained network's maps are of this size
    torch.save({f"features.{k}": v for k, v in features.state_dict().items()}, tmp_path / backbones.LPIPS.file)
    found = backbones.lpips_alex(tmp_path)
    heads = torch.load(Path(lpips.__file__).parent / "lpips_models" / "alex.pth", map_location="cpu", weights_only=True)
    a, b = images(2, side=64, seed=0), images(2, side=64, seed=1)
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in ([-0.030, -0.088, -0.188], [0.458, 0.448, 0.450]))
    x, y = ((image / 127.5 - 1 - mean) / deviation for image in (a, b))
    wanted, layer = torch.zeros(2), 0
    with torch.no_grad():
        for module in features:
            x, y = module(x), module(y)
            if isinstance(module, nn.ReLU):
                f, g = (maps / (maps.square().sum(1, keepdim=True).sqrt() + 1e-10) for maps in (x, y))
                wanted += (heads[f"lin{layer}.model.1.weight"] * (f - g).square()).sum(1).mean((1, 2))
                layer += 1
    assert layer == 5 and wanted.min() > 0.01
    assert torch.allclose(found(a, b), wanted, rtol=1e-5, atol=1e-6)
    assert found(a, a).tolist() == [0, 0]


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
