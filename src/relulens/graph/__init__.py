"""The one representation of a network: linear maps, node kinds, and walks over them."""
