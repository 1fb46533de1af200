"""The columns of the tables that compare ensembles."""

from modescape.table import Column, Schema

_ENSEMBLE = (
    Column("method", "text", "name of the ensembling method"),
    Column("solutions", "int", "how many trained networks it starts from"),
    Column("samples", "int", "members around each of them"),
)

SCORES = Schema(
    "scores",
    "every score of every ensemble: of each method, from any number of solutions, on each split",
    (
        Column("split", "text", "test, shift/FAMILY/SEVERITY, natural/NAME or unknown/NAME"),
        *_ENSEMBLE,
        Column("score", "text", "which score; conventions are in docs/ensembles.md"),
        Column("value", "float", "its mean over subsets of so many solutions"),
        Column("low", "float", "lower end of its 95% bootstrap interval over examples"),
        Column("high", "float", "upper end of that interval"),
        Column("least", "float", "smallest value over the subsets"),
        Column("most", "float", "largest value over the subsets"),
        Column("subsets", "int", "number of subsets: all, or a sample of them"),
    ),
)

EQUIVALENTS = Schema(
    "equivalents",
    "how many independent networks reach the calibrated negative log-likelihood of each ensemble",
    (
        *_ENSEMBLE,
        Column("calibrated_nll", "float", "its calibrated negative log-likelihood", "nats"),
        Column("equivalent", "float", "as many independent networks; 1: at most one; infinite: more than were trained"),
        Column("low", "float", "lower end of its 95% bootstrap interval over examples"),
        Column("high", "float", "upper end of that interval"),
    ),
)

FORECAST = Schema(
    "forecast",
    "what more independent networks bring, foretold from the first few, beside what was measured",
    (
        Column("score", "text", "which score"),
        Column("fitted", "int", "number of networks that the forecast is made from"),
        Column("solutions", "int", "size of the ensemble"),
        Column("value", "float", "the score by the fitted curve"),
        Column("low", "float", "lower end of the 95% interval: examples and choice of the networks"),
        Column("high", "float", "upper end of that interval"),
        Column("measured", "float", "mean over subsets of all networks; NaN beyond their number"),
        Column("gain", "float", "the score by the fitted curve, less that of all networks that it was fitted to"),
        Column("gain_low", "float", "lower end of its 95% interval, in which what they share cancels"),
        Column("gain_high", "float", "upper end of that interval"),
        Column("gain_measured", "float", "what was measured, less that of all networks that the curve was fitted to"),
    ),
)

COSTS = Schema(
    "costs",
    "what each method costs, measured in this run",
    (
        Column("method", "text", "name of the ensembling method"),
        Column("samples", "int", "members around each solution"),
        Column("training", "float", "core-seconds to train one of its networks", "s"),
        Column("drawing", "float", "core-seconds to fit and draw its members around one solution", "s"),
        Column("relative", "float", "cost of one solution in networks: 1, and drawing over the training of one"),
        Column("prediction", "float", "core-seconds to predict the split with its members of one solution", "s"),
        Column("networks", "int", "networks of the method that came to the end"),
        Column("parameters", "int", "numbers that are stored for one solution"),
    ),
)

VERDICTS = Schema(
    "verdicts",
    "which method has the best calibrated negative log-likelihood at equal cost, compared with its rival",
    (
        Column("cost", "text", "training or inference"),
        Column("budget", "int", "training: that of so many independent networks; inference: forward passes"),
        *_ENSEMBLE,
        Column("calibrated_nll", "float", "of the best method", "nats"),
        Column("rival", "text", "independent networks; the second best method where they are the best"),
        Column("rival_solutions", "int", "how many trained networks it starts from"),
        Column("rival_samples", "int", "members around each of them"),
        Column("difference", "float", "best minus rival; negative is better", "nats"),
        Column("low", "float", "lower end of its 95% paired bootstrap interval over examples", "nats"),
        Column("high", "float", "upper end of that interval", "nats"),
        Column("decided", "flag", "whether the interval excludes zero"),
    ),
)

SHIFTS = Schema(
    "shifts",
    "where the splits of the study come from",
    (
        Column("split", "text", "name of the split"),
        Column("examples", "int", "number of examples that were used"),
        Column("source", "text", "origin of the inputs"),
    ),
)

SEVERITIES = Schema(
    "severities",
    "scores by severity, averaged over the families of corruptions; severity 0 is the test split",
    (
        Column("severity", "int", "0 to 5"),
        *_ENSEMBLE,
        Column("score", "text", "which score"),
        Column("value", "float", "mean over families of the mean over subsets"),
        Column("low", "float", "lower end of its 95% bootstrap interval over examples"),
        Column("high", "float", "upper end of that interval"),
        Column("least", "float", "smallest value over the families"),
        Column("most", "float", "largest value over the families"),
    ),
)

DETECTION = Schema(
    "detection",
    "how well each ensemble tells unknown inputs from those of the test split",
    (
        Column("split", "text", "unknown/NAME"),
        *_ENSEMBLE,
        Column("detector", "text", "entropy, maximum_probability, epistemic or energy"),
        Column("score", "text", "auroc, aupr (unknown inputs are positive) or fpr95"),
        Column("value", "float", "its mean over subsets of so many solutions"),
        Column("low", "float", "lower end of its 95% bootstrap interval over the examples of both splits"),
        Column("high", "float", "upper end of that interval"),
        Column("least", "float", "smallest value over the subsets"),
        Column("most", "float", "largest value over the subsets"),
        Column("subsets", "int", "number of subsets"),
    ),
)
