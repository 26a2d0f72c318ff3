"""What source operations mean, in nodes: shared by all importers, one family a file.

Every function takes the builder, a name, its arguments as the source has them (axes
count the batch axis, constants are tensors or numbers) and returns a value.
"""
