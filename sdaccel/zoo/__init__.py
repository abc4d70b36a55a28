"""A procedural world to measure in: captioned scenes, and the small models trained on them."""
