"""FLUX.1 with its published files."""
