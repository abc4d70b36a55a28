"""Reuse of sublayer outputs of the stage before, enlarged (seed documents 000 and 001)."""
