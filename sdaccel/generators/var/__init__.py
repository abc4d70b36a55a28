"""VAR: class-conditional next-scale generation (Tian et al., arXiv 2404.02905)."""
