"""Two models for one image: a small draft beside the target (SDVAR)."""
