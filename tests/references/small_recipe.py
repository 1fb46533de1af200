"""A recipe of one study that takes seconds."""


def small_recipe(title):
    """Two tiny networks on digits, compared along their trajectories."""
    return f"""
title = "{title}"
studies = ["trajectories"]
[data]
name = "digits"
train = 60
[network]
name = "small_cnn"
options = {{ channels = [4, 4], dropout = 0.1 }}
[training]
members = 2
epochs = 2
batch = 20
[trajectories]
perplexities = [2.0]
seeds = 1
draws = 200
"""
