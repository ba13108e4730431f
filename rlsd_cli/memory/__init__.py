"""Whether a run fits into memory: arithmetic on a model's shape, before anything is downloaded or loaded."""
