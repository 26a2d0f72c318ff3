"""Models with loops: x = phi(A x + B u + a), y = C x + D u + d."""
