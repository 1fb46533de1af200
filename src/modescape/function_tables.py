"""The columns of the tables that compare networks by what they predict."""

from modescape.table import Column, Schema

NETWORKS = Schema(
    "networks",
    "every score of every network as it is, and of the ensemble of all",
    (
        Column("network", "text", "number of the member, or ensemble: the mean of all members' probabilities"),
        Column("score", "text", "which score; conventions are in docs/ensembles.md"),
        Column("value", "float", "its value"),
        Column("low", "float", "lower end of its 95% bootstrap interval over examples"),
        Column("high", "float", "upper end of that interval"),
    ),
)

FUNCTION_PAIRS = Schema(
    "pairs",
    "how much the predictions of every two networks differ",
    (
        Column("member_a", "int", "number of the first network"),
        Column("member_b", "int", "number of the second network"),
        Column("disagreement", "float", "fraction of examples on which the predicted classes differ"),
        Column("low", "float", "lower end of its 95% bootstrap interval over examples"),
        Column("high", "float", "upper end of that interval"),
        Column("normalised_a", "float", "disagreement over the error rate of the first; NaN if it makes no error"),
        Column("normalised_b", "float", "disagreement over the error rate of the second; NaN if it makes no error"),
        Column("both_wrong", "float", "fraction of examples on which neither is right"),
        Column("kl_ab", "float", "mean Kullback-Leibler divergence KL(first || second); NaN for classes", "nats"),
        Column("kl_ba", "float", "mean Kullback-Leibler divergence KL(second || first); NaN for classes", "nats"),
        Column("jensen_shannon", "float", "mean Jensen-Shannon divergence; NaN for classes", "nats"),
        Column("total_variation", "float", "mean total variation between their probabilities; NaN for classes"),
    ),
)

FUNCTION_MAP = Schema(
    "map",
    "the networks as points of a plane, by their predictions",
    (
        Column("method", "text", "how they were embedded: pca or mds"),
        Column("member", "int", "number of the network"),
        Column("x", "float", "first coordinate"),
        Column("y", "float", "second coordinate"),
        Column("explained", "float", "fraction of the variance that pca keeps; NaN for mds"),
        Column("stress", "float", "normalised stress (Kruskal's stress-1) of mds; NaN for pca"),
    ),
)
