"""The report: one page and three tables about a network on a data set."""
