"""How far a change of the input can carry, and inputs that show it."""
