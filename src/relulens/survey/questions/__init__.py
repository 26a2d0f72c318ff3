"""The questions that a survey can ask, one a file."""
