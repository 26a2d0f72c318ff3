"""Questions asked of a whole data set, in tables on disk that a re-run completes."""
