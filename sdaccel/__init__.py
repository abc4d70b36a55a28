"""sdaccel: what an acceleration method really buys on a visual generator, and what it costs."""
