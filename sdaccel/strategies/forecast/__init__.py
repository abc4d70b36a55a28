"""Cache-then-forecast: skipped denoising steps take their features from an extrapolation of the last full steps."""
