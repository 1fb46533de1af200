"""What every study starts from: the data, the network, the training and the root seed."""

from dataclasses import field
from typing import Any, Literal

from modescape.core.models.catalogue import NETWORKS
from modescape.core.settings import require, settings
from modescape.core.splits import ScalingKind
from modescape.core.subspaces.abstract import Subspace
from modescape.core.subspaces.catalogue import SUBSPACES
from modescape.core.subspaces.keep import Keep
from modescape.core.training.settings import Training


@settings
class DataChoice:
    """Which data, how many examples to train on (all by default), how many to hold out, and the scale of the inputs.

    ``size`` is that of images decoded from files, in pixels a side (224 by default).
    """

    name: str
    train: int | None = None
    validation: int | None = None
    scaling: ScalingKind = "standard"
    size: int | None = None

    def __post_init__(self) -> None:
        require(self.train is None or self.train >= 1, f"train must be at least 1 example, got {self.train}")
        require(self.validation is None or self.validation >= 0, f"validation must be 0 or more, got {self.validation}")
        require(self.size is None or 8 <= self.size <= 1024, f"size must be from 8 to 1024 pixels, got {self.size}")


PredictionKind = Literal["probabilities", "logits", "classes"]


@settings
class NetworkChoice:
    """A network of the catalogue by ``name``, or somebody's own by ``factory`` ("package.module:function").

    ``options`` are handed to the builder by name. ``weights`` are files of networks that were trained elsewhere, one
    for each member: then nothing is trained, and each trajectory is its solution alone.

    Or there is no network, and ``predictions`` are files of what others predicted, of one member or of several each;
    ``kind`` says what is in them, None takes it from the values. Then ``data.name`` is a dataset, or a file of labels.
    """

    name: str | None = None
    factory: str | None = None
    options: dict[str, bool | int | float | str | tuple[int, ...]] = field(default_factory=dict)
    weights: tuple[str, ...] = ()
    predictions: tuple[str, ...] = ()
    kind: PredictionKind | None = None

    def __post_init__(self) -> None:
        if self.predictions:
            require(
                self.name is None and self.factory is None and not self.weights,
                "predictions stand alone: leave out name, factory and weights, or predictions",
            )
            return
        require(self.kind is None, "kind says what is in the files of predictions, and there are none")
        require(
            (self.name is None) != (self.factory is None),
            f"give either name (one of {', '.join(NETWORKS)}) or factory (package.module:function), and not both",
        )
        require(
            self.name is None or self.name in NETWORKS,
            f"there is no network {self.name!r}; choose {', '.join(NETWORKS)}",
        )
        require(
            self.factory is None or self.factory.count(":") == 1,
            f"factory must read package.module:function, got {self.factory!r}",
        )

    @property
    def title(self) -> str:
        """The network's name in messages."""
        return self.name or self.factory or "elsewhere"


_DEFAULTS = {name: kind() for name, kind in SUBSPACES.items()}
SubspaceSettings: Any = settings(
    type("SubspaceSettings", (), {"__module__": __name__, "__annotations__": dict(SUBSPACES), **_DEFAULTS})
)
"""The settings of every subspace, a field each by its name in the catalogue, with the paper's values by default."""


@settings
class MethodChoice:
    """The ensembling methods that are compared, by name, and how many members each has around a solution.

    ``names`` are "independent", "late_checkpoints", "snapshot", "bootstrap" and those of subspaces; None takes the
    first two and all subspaces that the network and the trajectories allow and that need no optional library. Members
    of subspaces are kept by ``keep``. For "snapshot" (``cycles`` of a cyclical rate) and "bootstrap" (each network on a
    bootstrap sample of the training data) networks are trained: ``trained`` each, by default as many as members.
    """

    names: tuple[str, ...] | None = None
    samples: int = 10
    keep: Keep = Keep()
    cycles: int = 5
    trained: int | None = None

    def __post_init__(self) -> None:
        require(self.names is None or len(self.names) > 0, "names is empty; leave it out for all methods")
        for name in ("samples", "cycles"):
            require(getattr(self, name) >= 1, f"{name} must be at least 1, got {getattr(self, name)}")
        require(self.trained is None or self.trained >= 1, f"trained must be at least 1 network, got {self.trained}")


@settings
class Setup:
    """The part of a recipe that all of its studies share."""

    data: DataChoice
    network: NetworkChoice
    training: Training
    subspaces: SubspaceSettings = SubspaceSettings()
    methods: MethodChoice = MethodChoice()
    seed: int = 0

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**63, f"seed must lie in [0, 2**63), got {self.seed}")
        files = len(self.network.weights)
        require(
            files in (0, self.training.members),
            f"network.weights names {files} files and training.members is {self.training.members}: each member has one "
            f"file; set training.members = {files}",
        )

    @property
    def imported(self) -> bool:
        """Whether members come from files of weights instead of being trained."""
        return len(self.network.weights) > 0

    @property
    def predicted(self) -> bool:
        """Whether there are no members at all, but what they predict."""
        return len(self.network.predictions) > 0

    @property
    def trains(self) -> bool:
        """Whether members are trained here, so that there are trajectories."""
        return not self.imported and not self.predicted

    def subspace(self, name: str) -> Subspace:
        """A subspace with its settings."""
        found: Subspace = getattr(self.subspaces, name)
        return found
