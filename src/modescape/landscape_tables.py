"""Columns of the tables that show pieces of weight space."""

from modescape.table import Column, Schema

_SECTION = Column("section", "text", "name of the cross-section, unique within the run")

SECTIONS = Schema(
    "sections",
    "the cross-sections: which piece of weight space each shows, and at what cost",
    (
        _SECTION,
        Column("kind", "text", "line, ray, plane, principal, random, hessian, gradient or sector"),
        Column("layout", "text", "how coordinates are drawn: isometric, oblique or orthonormal, see docs/landscape.md"),
        Column("members", "text", "numbers of the solutions that it runs through, separated by spaces"),
        Column("axis_a", "text", "what the grid's first axis measures, with its unit"),
        Column("axis_b", "text", "the same of the second axis; empty for a line and a ray"),
        Column("split", "text", "split that the quantities are measured on"),
        Column("examples", "int", "examples of that split"),
        Column("rows", "int", "points along the first axis"),
        Column("columns", "int", "points along the second axis; 1 for a line and a ray"),
        Column("evaluated", "int", "points at which networks were evaluated; the others are interpolated"),
    ),
)

GRID = Schema(
    "grid",
    "quantities at every point of every cross-section, as computed: what is not finite stays so",
    (
        _SECTION,
        Column("row", "int", "place along the first axis"),
        Column("column", "int", "place along the second axis"),
        Column("a", "float", "coordinate along the first axis"),
        Column("b", "float", "coordinate along the second axis; 0 for a line and a ray"),
        Column("x", "float", "where the point is drawn"),
        Column("y", "float", "where the point is drawn"),
        Column("quantity", "text", "such as nll, accuracy, disagreement/0 or similarity/1 (with that reference)"),
        Column("value", "float", "its value"),
        Column("evaluated", "flag", "whether networks were evaluated here; otherwise interpolated"),
    ),
)

ERRORS = Schema(
    "errors",
    "how far interpolated points may be trusted: the error at points drawn at random that were evaluated afterwards",
    (
        _SECTION,
        Column("quantity", "text", "quantity that was interpolated"),
        Column("checked", "int", "points checked; 0 where every point was evaluated"),
        Column("largest", "float", "largest error, in the quantity's own unit"),
        Column("rms", "float", "root of the mean squared error"),
        Column("largest_fraction", "float", "largest error over the quantity's range (of its logarithm, for nll)"),
    ),
)

MARKS = Schema(
    "marks",
    "networks projected onto the cross-sections",
    (
        _SECTION,
        Column("kind", "text", "solution, checkpoint, initialisation, origin, or the name of a subspace"),
        Column("member", "int", "solution that it descends from; -1 for the origin of weight space"),
        Column("number", "int", "place in the trajectory, or which draw"),
        Column("x", "float", "where the nearest point of the cross-section is drawn"),
        Column("y", "float", "where the nearest point of the cross-section is drawn"),
        Column("distance", "float", "Euclidean distance to the cross-section"),
        Column(
            "magnified",
            "float",
            "factor by which its way from the mean of its kind is drawn longer; 1 for the true way",
        ),
    ),
)

_CONNECTOR = Column("connector", "text", "name of the connector: how the path was found")
_FIRST = Column("first", "int", "solution at t = 0")
_SECOND = Column("second", "int", "solution at t = 1")

CONNECTORS = Schema(
    "connectors",
    "every path between two solutions: how far loss rises and accuracy falls along it, and how long it is",
    (
        _CONNECTOR,
        _FIRST,
        _SECOND,
        Column("train_barrier", "float", "largest rise of the training loss above the line between the ends'", "nats"),
        Column("barrier", "float", "the same of the loss on the study's split", "nats"),
        Column("ends_accuracy", "float", "mean accuracy of both ends on the study's split"),
        Column("lowest_accuracy", "float", "lowest accuracy along the path"),
        Column("lowest_at", "float", "t at which it is lowest"),
        Column("middle_disagreement", "float", "mean disagreement of the network at t = 1/2 with both ends"),
        Column("ends_disagreement", "float", "disagreement of the ends with each other"),
        Column("length", "float", "Euclidean length of the path in weight space"),
        Column("ratio", "float", "its length over the distance between the ends"),
    ),
)

CONNECTOR_PROFILES = Schema(
    "profiles",
    "the networks along every path; the agreement with an end is 1 minus the disagreement",
    (
        _CONNECTOR,
        _FIRST,
        _SECOND,
        Column("t", "float", "place on the path, from 0 to 1"),
        Column("train_nll", "float", "mean negative log-likelihood on training examples", "nats"),
        Column("train_accuracy", "float", "accuracy on training examples"),
        Column("nll", "float", "mean negative log-likelihood on the study's split", "nats"),
        Column("accuracy", "float", "accuracy on the study's split"),
        Column("disagreement_first", "float", "disagreement with the first end"),
        Column("disagreement_second", "float", "disagreement with the second end"),
        Column(
            "normalised_first", "float", "disagreement with the first end over its own error rate; NaN without error"
        ),
        Column("normalised_second", "float", "the same with the second end"),
        Column("jensen_shannon_first", "float", "mean Jensen-Shannon divergence from the first end", "nats"),
        Column("jensen_shannon_second", "float", "the same from the second end", "nats"),
    ),
)

TRIANGLES = Schema(
    "triangles",
    "the triangles that the straight pieces of a path span with the origin of weight space, laid edge to edge",
    (
        _CONNECTOR,
        _FIRST,
        _SECOND,
        Column("piece", "int", "which piece of the path, from 0"),
        Column("u", "float", "place along the piece, from 0 to 1"),
        Column("v", "float", "distance from the origin, in that of the piece: 0 at the origin, 1 on the piece"),
        Column("x", "float", "where the point is drawn, the origin at 0, at true lengths and angles within a triangle"),
        Column("y", "float", "where the point is drawn; the first end lies on the axis of x"),
        Column(
            "quantity",
            "text",
            "train_nll, nll, accuracy, agreement_first, agreement_second, or one of the latter as normalised_first or "
            "normalised_second: disagreement over its own error rate",
        ),
        Column("value", "float", "its value"),
    ),
)

_PAIR = (
    Column("member_a", "int", "number of the first solution, which stays as it is"),
    Column("member_b", "int", "number of the second solution, whose hidden units are permuted"),
    Column("method", "text", "how they were matched: none (left as they are), weights or activations"),
)

ALIGNMENTS = Schema(
    "alignments",
    "pairs of solutions before and after permuting hidden units, and the line between the two",
    (
        *_PAIR,
        Column("moved", "float", "fraction of the permutable hidden units that change places"),
        Column("similarity", "float", "cosine of all weights and biases, from the origin of weight space"),
        Column("disagreement", "float", "fraction of examples on which the two solutions' classes differ"),
        Column("barrier", "float", "largest rise of the loss above the straight line between the ends' losses", "nats"),
        Column("barrier_train", "float", "the same on training examples", "nats"),
        Column("middle_accuracy", "float", "accuracy of the network halfway"),
        Column("middle_nll", "float", "its mean negative log-likelihood", "nats"),
        Column("middle_disagreement_a", "float", "fraction of examples on which its class is not the first end's"),
        Column("middle_disagreement_b", "float", "fraction of examples on which its class is not the second end's"),
        Column(
            "proof_disagreement", "float", "fraction of examples on which permuting changed the class: nothing else"
        ),
        Column("proof_difference", "float", "largest change of a logit by permuting, over the largest logit: rounding"),
    ),
)

ALIGNED_LINES = Schema(
    "aligned_lines",
    "scores along the straight line between two solutions, batch-norm statistics computed anew at every point",
    (
        *_PAIR,
        Column("split", "text", "the study's split, or train"),
        Column("position", "float", "0 at the first solution, 1 at the second"),
        Column("accuracy", "float", "fraction of examples whose predicted class is the target"),
        Column("nll", "float", "mean negative log-likelihood", "nats"),
        Column("straight", "float", "the straight line between the ends' nll, which the barrier rises above", "nats"),
    ),
)

_CURVED = Column("member", "int", "solution at which the curvature was measured")

EIGENVALUES = Schema(
    "eigenvalues",
    "extreme eigenvalues of the Hessian of the mean training loss, in nats for each squared unit of a weight",
    (
        _CURVED,
        Column("rank", "int", "1 is the largest, 2 the next; -1 the smallest, with its sign"),
        Column("value", "float", "eigenvalue"),
        Column("error", "float", "norm of H v - value v: an eigenvalue of H lies within it, but for rounding"),
    ),
)

TRACES = Schema(
    "traces",
    "the training loss around each solution as a whole; errors are standard errors over random probes",
    (
        _CURVED,
        Column("examples", "int", "training examples that the loss is the mean over"),
        Column("weights", "int", "weights of the network, which is the number of eigenvalues"),
        Column("loss", "float", "mean loss in evaluation mode", "nats"),
        Column("gradient_norm", "float", "Euclidean norm of its gradient: 0 where the solution is stationary"),
        Column("trace", "float", "trace of the Hessian"),
        Column("trace_error", "float", "its standard error"),
        Column("near_zero", "float", "fraction of eigenvalues within a hundredth of the largest around zero"),
        Column("near_zero_error", "float", "its standard error"),
    ),
)

SPECTRUM = Schema(
    "spectrum",
    "density of the eigenvalues of the Hessian, by stochastic Lanczos quadrature, peaks two grid steps wide",
    (
        _CURVED,
        Column("eigenvalue", "float", "point of the grid"),
        Column("density", "float", "mean over probes of the fraction of eigenvalues for each unit of eigenvalue"),
        Column("low", "float", "smallest value over the probes"),
        Column("high", "float", "largest value over the probes"),
    ),
)
