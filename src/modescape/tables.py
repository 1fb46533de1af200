"""The bridge between rings: names, types and units of the columns of every result table."""

from modescape.cause_tables import CAUSES
from modescape.ensemble_tables import COSTS, DETECTION, EQUIVALENTS, FORECAST, SCORES, SEVERITIES, SHIFTS, VERDICTS
from modescape.function_tables import FUNCTION_MAP, FUNCTION_PAIRS, NETWORKS
from modescape.landscape_tables import (
    ALIGNED_LINES,
    ALIGNMENTS,
    CONNECTOR_PROFILES,
    CONNECTORS,
    EIGENVALUES,
    ERRORS,
    GRID,
    MARKS,
    SECTIONS,
    SPECTRUM,
    TRACES,
    TRIANGLES,
)
from modescape.table import Column, Schema
from modescape.table import Table as Table
from modescape.table import from_rows as from_rows
from modescape.table import title_of as title_of

_MEMBER = Column("member", "int", "number of the network, which is also its origin")
_CHECKPOINT = Column("checkpoint", "int", "position in the trajectory; 0 is the initialisation")
_METHOD = Column("method", "text", "how predictions were embedded: tsne or pca")
_SEED = Column("seed", "int", "which of the seeded repetitions of the embedding")
_PERPLEXITY = Column("perplexity", "float", "perplexity of t-SNE; NaN for pca")

MEMBERS = Schema(
    "members",
    "what became of each member",
    (
        _MEMBER,
        Column("status", "text", "done or failed"),
        Column("step", "int", "training steps completed"),
        Column("reason", "text", "why the member failed; empty when it is done"),
    ),
)

CHECKPOINTS = Schema(
    "checkpoints",
    "every checkpoint of every trajectory, scored on the study's split",
    (
        _MEMBER,
        _CHECKPOINT,
        Column("step", "int", "optimiser steps taken so far"),
        Column("epoch", "float", "passes over the training data so far"),
        Column("training_loss", "float", "mean loss over the steps since the checkpoint before; NaN at 0", "nats"),
        Column("accuracy", "float", "fraction of examples whose predicted class is the target"),
        Column("nll", "float", "mean negative log-likelihood", "nats"),
        Column("norm", "float", "Euclidean norm of all weights and biases"),
    ),
)

PAIRS = Schema(
    "pairs",
    "every unordered pair of checkpoints, within and between trajectories",
    (
        Column("member_a", "int", "member of the first checkpoint"),
        Column("checkpoint_a", "int", "position of the first checkpoint"),
        Column("member_b", "int", "member of the second checkpoint"),
        Column("checkpoint_b", "int", "position of the second checkpoint"),
        Column("disagreement", "float", "fraction of examples on which the predicted classes differ"),
        Column("similarity", "float", "cosine of all weights and biases, from the origin of weight space"),
        Column("similarity_without_norm", "float", "the same without the parameters of normalisation layers"),
    ),
)

EMBEDDING = Schema(
    "embedding",
    "predictions of every checkpoint as points of a plane",
    (
        _METHOD,
        _SEED,
        _PERPLEXITY,
        _MEMBER,
        _CHECKPOINT,
        Column("x", "float", "first coordinate"),
        Column("y", "float", "second coordinate"),
    ),
)

EMBEDDING_QUALITY = Schema(
    "embedding_quality",
    "how far each embedding can be trusted",
    (
        _METHOD,
        _SEED,
        _PERPLEXITY,
        Column("divergence", "float", "Kullback-Leibler divergence that t-SNE ended with; NaN for pca", "nats"),
        Column("explained", "float", "fraction of the variance that pca keeps; NaN for t-SNE"),
        Column("purity", "float", "fraction of checkpoints whose nearest neighbour is of the same trajectory"),
        Column("purity_second_half", "float", "the same among the second halves of the trajectories"),
    ),
)

ANSWERS = Schema(
    "answers",
    "the study's answer in numbers and words",
    (
        Column("quantity", "text", "what was measured"),
        Column("value", "float", "its mean over pairs or members"),
        Column(
            "low",
            "float",
            "lower end of the 95% bootstrap interval over examples (diversity_accuracy: over solutions as well); NaN "
            "where examples play no part",
        ),
        Column("high", "float", "upper end of that interval"),
        Column("least", "float", "smallest value over the pairs or members"),
        Column("most", "float", "largest value over the pairs or members"),
        Column("count", "int", "number of pairs or members"),
        Column("sentence", "text", "the same in words"),
    ),
)

_ORIGIN = Column("origin", "int", "number of the base solution that it is compared with or drawn around")
_KIND = Column("kind", "text", "name of the subspace, or base, trajectory (late checkpoints), independent (solutions)")

PLANE = Schema(
    "plane",
    "every network on the diversity-accuracy plane of each base solution",
    (
        _KIND,
        _ORIGIN,
        Column("number", "int", "which draw of the cloud, which checkpoint, or which solution"),
        Column("scale", "float", "scale at which it was drawn; NaN where nothing was"),
        Column("accuracy", "float", "fraction of examples whose predicted class is the target"),
        Column("disagreement", "float", "fraction of examples on which its class differs from the base's"),
        Column("normalised_disagreement", "float", "disagreement over its own error rate; NaN if it makes no error"),
        Column("nll", "float", "mean negative log-likelihood", "nats"),
        Column("kl_from_base", "float", "mean Kullback-Leibler divergence KL(base || it)", "nats"),
        Column("kl_to_base", "float", "mean Kullback-Leibler divergence KL(it || base)", "nats"),
        Column("jensen_shannon", "float", "mean Jensen-Shannon divergence between it and the base", "nats"),
        Column("total_variation", "float", "mean total variation between its probabilities and the base's"),
    ),
)

CURVES = Schema(
    "curves",
    "the limit curves of each base's plane, and the fitted curve of each cloud",
    (
        Column("curve", "text", "upper, lower, or the name of the subspace that a curve was fitted to"),
        _ORIGIN,
        Column("accuracy", "float", "abscissa"),
        Column("normalised_disagreement", "float", "ordinate"),
    ),
)

EXPONENTS = Schema(
    "exponents",
    "the exponent of the curve nearest to each cloud: 1 is the lower limit, the smaller the more diverse",
    (
        Column("subspace", "text", "name of the subspace"),
        _ORIGIN,
        Column("exponent", "float", "least-squares exponent; NaN for a cloud that never leaves the base"),
        Column("low", "float", "lower end of its 95% bootstrap interval over examples"),
        Column("high", "float", "upper end of that interval"),
        Column("count", "int", "members in the cloud"),
    ),
)

ENSEMBLES = Schema(
    "ensembles",
    "ensembles drawn at each subspace's own scale, beside independent solutions and late checkpoints",
    (
        _KIND,
        _ORIGIN,
        Column("asked", "int", "members asked for"),
        Column("tried", "int", "members drawn"),
        Column("kept", "int", "members that passed the validation score, or all"),
        Column("jensen_shannon", "float", "entropy of the mean prediction minus mean entropy of the members", "nats"),
        Column("low", "float", "lower end of its 95% bootstrap interval over examples", "nats"),
        Column("high", "float", "upper end of that interval", "nats"),
        Column("accuracy", "float", "accuracy of the ensemble"),
    ),
)

_SUBSPACE = Column("subspace", "text", "subspace whose members are embedded together with the trajectories")

SUBSPACE_EMBEDDING = Schema(
    "embedding",
    "predictions of checkpoints and of drawn members as points of a plane, one embedding for each subspace",
    (
        _SUBSPACE,
        Column("method", "text", "how predictions were embedded: tsne, pca or mds"),
        _SEED,
        Column("perplexity", "float", "perplexity of t-SNE; NaN for the others"),
        _MEMBER,
        Column("drawn", "flag", "whether it was drawn from the subspace; otherwise a checkpoint of the trajectory"),
        Column("number", "int", "position in the trajectory (0 is the initialisation), or which draw"),
        Column("x", "float", "first coordinate"),
        Column("y", "float", "second coordinate"),
    ),
)

SUBSPACE_EMBEDDING_QUALITY = Schema(
    "embedding_quality",
    "how far each embedding can be trusted, and whether drawn members stay with their trajectory",
    (
        _SUBSPACE,
        Column("method", "text", "how predictions were embedded: tsne, pca or mds"),
        _SEED,
        Column("perplexity", "float", "perplexity of t-SNE; NaN for the others"),
        Column("divergence", "float", "Kullback-Leibler divergence that t-SNE ended with; NaN for the others", "nats"),
        Column("explained", "float", "fraction of the variance that pca keeps; NaN for the others"),
        Column("stress", "float", "normalised stress (Kruskal's stress-1) of mds; NaN for the others"),
        Column("purity", "float", "fraction of all points whose nearest neighbour is of the same trajectory"),
        Column("purity_drawn", "float", "the same among the drawn members, whose neighbour may be any point"),
    ),
)

DRAWN = Schema(
    "drawn",
    "the members drawn for the embeddings",
    (
        _SUBSPACE,
        _MEMBER,
        Column("asked", "int", "members asked for"),
        Column("tried", "int", "members drawn"),
        Column("kept", "int", "members that passed the validation score, or all"),
        Column(
            "purity_predictions",
            "float",
            "fraction of them whose nearest neighbour among all predictions, before "
            "any embedding, is of the same trajectory",
        ),
    ),
)

TRAJECTORIES = {schema.name: schema for schema in (ANSWERS, MEMBERS, CHECKPOINTS, PAIRS, EMBEDDING, EMBEDDING_QUALITY)}
"""The tables of the study ``trajectories``."""

DIVERSITY_ACCURACY = {schema.name: schema for schema in (ANSWERS, MEMBERS, PLANE, CURVES, EXPONENTS, ENSEMBLES)}
"""The tables of the study ``diversity_accuracy``."""

SUBSPACES = {
    schema.name: schema for schema in (ANSWERS, MEMBERS, SUBSPACE_EMBEDDING, SUBSPACE_EMBEDDING_QUALITY, DRAWN)
}
"""The tables of the study ``subspace_embedding``."""

ENSEMBLING = {schema.name: schema for schema in (ANSWERS, MEMBERS, VERDICTS, SCORES, EQUIVALENTS, FORECAST, COSTS)}
"""The tables of the study ``ensembling``."""

SHIFT = {schema.name: schema for schema in (ANSWERS, MEMBERS, SHIFTS, SEVERITIES, SCORES, DETECTION)}
"""The tables of the study ``shift``."""

ALIGNMENT = {schema.name: schema for schema in (ANSWERS, MEMBERS, ALIGNMENTS, ALIGNED_LINES)}
"""The tables of the study ``alignment``."""

CROSS_SECTIONS = {schema.name: schema for schema in (ANSWERS, MEMBERS, SECTIONS, GRID, ERRORS, MARKS)}
"""The tables of the study ``cross_sections``."""

CONNECTING = {schema.name: schema for schema in (ANSWERS, MEMBERS, CONNECTORS, CONNECTOR_PROFILES, TRIANGLES)}
"""The tables of the study ``connectors``."""

CURVATURE = {schema.name: schema for schema in (ANSWERS, MEMBERS, EIGENVALUES, TRACES, SPECTRUM)}
"""The tables of the study ``curvature``."""

CAUSING = {schema.name: schema for schema in (ANSWERS, MEMBERS, CAUSES)}
"""The tables of the study ``causes``."""

FUNCTIONS = {
    schema.name: schema for schema in (ANSWERS, MEMBERS, NETWORKS, FUNCTION_PAIRS, PLANE, CURVES, FUNCTION_MAP)
}
"""The tables of the study ``disagreement``."""

STUDIES = {
    "ensembling": ENSEMBLING,
    "shift": SHIFT,
    "disagreement": FUNCTIONS,
    "trajectories": TRAJECTORIES,
    "diversity_accuracy": DIVERSITY_ACCURACY,
    "subspace_embedding": SUBSPACES,
    "cross_sections": CROSS_SECTIONS,
    "connectors": CONNECTING,
    "alignment": ALIGNMENT,
    "curvature": CURVATURE,
    "causes": CAUSING,
}
"""The tables of every study, by the study's name, in the order of a report: what decides, then what explains."""
