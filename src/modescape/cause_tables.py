"""Columns of the table that tells what makes networks differ."""

from modescape.table import Column, Schema

CAUSES = Schema(
    "causes",
    "pairs of networks in whose training one kind of chance differed, or everything",
    (
        Column("cause", "text", "what differed: init, order, augment, dropout, or everything"),
        Column("member_a", "int", "number of the first network"),
        Column("member_b", "int", "number of the second network"),
        Column("disagreement", "float", "fraction of examples on which their classes differ"),
        Column("normalised_disagreement", "float", "disagreement over each one's error rate, mean of both"),
        Column("similarity", "float", "cosine of weights and biases, without those of normalisation layers"),
    ),
)
