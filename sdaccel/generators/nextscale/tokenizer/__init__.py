"""Pictures to tokens of every scale and back: what VAR and HART share, official parameter names included."""
