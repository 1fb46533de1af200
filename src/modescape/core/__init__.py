"""Tensors in, tensors out: no files, clocks, printing, devices by name or global randomness."""
