"""Running networks backwards through transposed weights: theory and practice."""
