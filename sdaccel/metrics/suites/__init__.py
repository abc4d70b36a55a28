"""Which metrics a study measures: a suite checks what it needs before the run, and makes its scorers after it."""
