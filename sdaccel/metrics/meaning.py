"""What each metric is called, which way is better, and whether it comes with an interval."""

LABELS = {
    "fid": "FID",
    "fid_plug_in": "FID, plug-in",
    "kid": "KID",
    "cmmd": "CMMD",
    "precision": "precision",
    "recall": "recall",
    "inception_score": "inception score",
    "clip_score": "CLIP score",
    "clip_top1": "CLIP top-1 of 64",
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
    "perceptual": "perceptual distance",
    "fid_difference": "FID − baseline's",
    "kid_difference": "KID − baseline's",
}
LOWER_IS_BETTER = ("fid", "fid_plug_in", "kid", "cmmd", "perceptual", "fid_difference", "kid_difference")
WITHOUT_INTERVAL = ("fid_plug_in", "precision", "recall", "inception_score")
PAIRED = ("psnr", "ssim", "perceptual")
"""Against the baseline's pictures, sample by sample."""
DIFFERENCES = ("fid_difference", "kid_difference")


def label(name: str) -> str:
    """`judge.mean` reads as `judge: mean`."""
    return LABELS.get(name, name.replace("judge.", "judge: "))


def lower_is_better(name: str) -> bool:
    return name in LOWER_IS_BETTER


def has_interval(name: str) -> bool:
    return name not in WITHOUT_INTERVAL
