"""What a network computes around single points, and where "around" ends."""
