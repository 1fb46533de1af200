"""A recipe whose run takes a second or two."""

RECORD = {
    "title": "Toy",
    "studies": ["trajectories"],
    "data": {"name": "digits", "train": 40},
    "network": {"name": "small_cnn", "options": {"channels": [2, 2], "dropout": 0.1}},
    "training": {"members": 3, "epochs": 3, "batch": 20, "save_every": 2},
    "trajectories": {"perplexities": [3.0], "seeds": 1, "draws": 100},
}


def toy(**training):
    """The record with some settings of the training replaced."""
    return RECORD | {"training": RECORD["training"] | training}
