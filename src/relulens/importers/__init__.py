"""Ways in: source models become networks."""
