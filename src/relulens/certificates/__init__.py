"""Proofs that come with verdicts, and their checkers: weights in, yes or no out."""
