"""A procedural world to measure in: captioned scenes, each a pure function of (split, index)."""

from sdaccel.world.scenes import SPLITS, captioned, classes, keys, of_class, stated

__all__ = ["SPLITS", "captioned", "classes", "keys", "of_class", "stated"]
