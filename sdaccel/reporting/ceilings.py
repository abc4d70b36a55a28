"""What an arm's multiply-accumulates would allow at best; every clock of the project stops after decoding."""

from sdaccel.records.view import Arm

DECODE_IN, DECODE_OUT = "MAC ceiling, decode in", "MAC ceiling, decode out"
"""The decoder is the same for all arms and hides what they save: the first bounds measured times, the second the method."""


def with_decoder(arm: Arm, baseline: Arm) -> float | None:
    """Speed-up over a baseline, all inside the timer counted; None where the decoder's work is not known."""
    decoders = [each.generated.decode_macs for each in (baseline, arm)]
    whole, own = (each.macs + (decoder or 0.0) for each, decoder in zip((baseline, arm), decoders, strict=True))
    return None if None in decoders or not own else whole / own
