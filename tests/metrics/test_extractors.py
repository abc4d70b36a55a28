"""Laws of the extractor contract: clean-fid's resize, identity at size, fingerprints of weights and preprocessing."""

import numpy as np
import pytest
import torch

import sdaccel.torchvision_guard  # noqa: F401
from sdaccel.metrics.extractors import ClipExtractor, clean_resize, module_fingerprint
from tests.metrics.tiny import TinyExtractor, images, tiny_clip


def test_images_at_size_pass_untouched() -> None:
    x = images(3, side=16)
    assert torch.equal(clean_resize(x, 16), x.float())


@pytest.mark.parametrize("side", [9, 40])
def test_resize_is_clean_fids(side: int) -> None:
    from cleanfid.resize import build_resizer

    x = images(2, side=side)
    theirs = [build_resizer("clean")(image) for image in x.permute(0, 2, 3, 1).numpy()]
    assert np.array_equal(clean_resize(x, 299).permute(0, 2, 3, 1).numpy(), np.stack(theirs))


def test_features_equal_clean_fids_own_folder_features(tmp_path: object) -> None:
    from pathlib import Path

    from cleanfid.fid import get_folder_features
    from PIL import Image

    assert isinstance(tmp_path, Path)
    x = images(3, side=20)
    for i, image in enumerate(x.permute(0, 2, 3, 1).numpy()):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    extractor = TinyExtractor()
    extractor.input_size = 299  # clean-fid always resizes to 299
    with torch.no_grad():
        theirs = get_folder_features(
            str(tmp_path), extractor.features, num_workers=0, device=torch.device("cpu"), mode="clean", verbose=False
        )
    assert np.allclose(extractor(x).numpy(), theirs, atol=1e-6)


def test_extractors_refuse_what_is_not_uint8_rgb() -> None:
    for bad in (torch.zeros(1, 3, 16, 16), torch.zeros(1, 1, 16, 16, dtype=torch.uint8)):
        with pytest.raises(ValueError, match="uint8"):
            TinyExtractor()(bad)


def test_fingerprint_follows_weights_and_preprocessing_and_nothing_else() -> None:
    assert TinyExtractor().fingerprint == TinyExtractor().fingerprint != TinyExtractor(seed=1).fingerprint
    model = tiny_clip()
    a, b, c = (
        ClipExtractor(model, name=n, mean=m, std=(1, 1, 1)) for n, m in (("a", (0, 0, 0)), ("b", (0, 0, 0)), ("c", (0, 0, 0.1)))
    )
    assert a.fingerprint == b.fingerprint != c.fingerprint
    half = TinyExtractor().net.to(torch.bfloat16)
    assert module_fingerprint(half) != module_fingerprint(TinyExtractor().net)
