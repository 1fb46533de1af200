"""Ensembling methods: from trajectories to the weights that are ensembled, each member labelled with its origin."""
