"""Deep ensembles and their loss landscapes: train, draw, predict, measure, render."""

__version__ = "0.1.0"
