"""How far another class is."""
