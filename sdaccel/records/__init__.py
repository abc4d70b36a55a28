"""Records: what studies and benchmarks write and reports read, on disk and as typed, frozen values."""
