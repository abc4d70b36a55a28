"""Models that share the scales of one image between them without checking each other."""
