"""The subspaces by name; to add one, write its file and its line here."""

from modescape.core.subspaces.abstract import Subspace
from modescape.core.subspaces.activation_dropout import ActivationDropout
from modescape.core.subspaces.diagonal_gaussian import DiagonalGaussian
from modescape.core.subspaces.laplace import Laplace
from modescape.core.subspaces.low_rank_gaussian import LowRankGaussian
from modescape.core.subspaces.random_direction import RandomDirection
from modescape.core.subspaces.random_pca import RandomPCA
from modescape.core.subspaces.swag import SWAG
from modescape.core.subspaces.variational import Variational
from modescape.core.subspaces.weight_average import WeightAverage
from modescape.core.subspaces.weight_dropout import WeightDropout

SUBSPACES: dict[str, type[Subspace]] = {
    "random_direction": RandomDirection,
    "weight_dropout": WeightDropout,
    "activation_dropout": ActivationDropout,
    "diagonal_gaussian": DiagonalGaussian,
    "low_rank_gaussian": LowRankGaussian,
    "random_pca": RandomPCA,
    "weight_average": WeightAverage,
    "swag": SWAG,
    "laplace": Laplace,
    "variational": Variational,
}
"""Name -> the class of its settings."""

EXTRAS: dict[str, str] = {"laplace": "laplace", "variational": "posteriors"}
"""Subspaces that need an optional library, from an extra of the subspace's name: name -> the library's module."""
