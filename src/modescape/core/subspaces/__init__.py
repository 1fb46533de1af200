"""Distributions of weights around one solution: fitted from its trajectory, drawn from with a generator."""
