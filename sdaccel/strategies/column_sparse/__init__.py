"""Column-sparse attention and MLP between full steps (Chipmunk, arXiv 2506.03275), as a backend: it composes with any mode."""
