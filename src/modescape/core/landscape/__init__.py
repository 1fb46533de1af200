"""Pieces of weight space and what is seen on them: cross-sections, and pictures of few evaluations."""
