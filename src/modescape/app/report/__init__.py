"""Tell what a run found: one self-contained page and its figures, from tables alone."""
