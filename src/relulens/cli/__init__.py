"""The command line: one command a file, each a thin caller of one function."""
