"""HART: text to image by next-scale prediction, with a residual head on the last scale (Tang et al., arXiv 2410.10812)."""
