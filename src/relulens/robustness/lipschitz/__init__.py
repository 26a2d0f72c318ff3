"""How large a network's slope can get."""
