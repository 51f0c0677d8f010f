"""GitHub Actions as far as fleet's builds need them: workflows are read strictly, and their steps really run."""
