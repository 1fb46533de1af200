"""What is compared, by name: the work, the contestants (modescape first), and the target."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from modescape.app.bench.assignment import Assignment


@dataclass(frozen=True)
class Comparison:
    """Contestants as "module:Class". A target is a least ratio of speeds against a peer, or most seconds by itself.

    ``alike`` are the largest differences of what contestants found, by name; ``rounds`` are how many, if not as asked;
    ``devices`` are where the comparison is made unless it is asked for.
    """

    title: str
    unit: str
    work: Assignment
    contestants: tuple[str, ...]
    target: float | None = None
    seconds: float | None = None
    alike: Mapping[str, float] = field(default_factory=dict)
    rounds: int | None = None
    devices: tuple[str, ...] = ("cpu", "cuda")


OURS, PEERS = "modescape.app.bench.ours", "modescape.app.bench.peers"
TRAINERS = (f"{OURS}:Train", f"{PEERS}:TorchEnsemble", f"{PEERS}:TorchFunc", f"{PEERS}:PlainTrain")
PICTURE = (f"{OURS}:Picture", f"{OURS}:WholePicture")
LEARNT = {"accuracy": 0.03, "ensemble": 0.03}
"""Members of other seeds and orders: accuracies on 10,000 images after a short training scatter by a point or two."""

SAME = {"loss": 1e-3}
"""The same function of the same weights: float32 sums in another order."""

COMPARISONS: dict[str, Comparison] = {
    "train-small-cnn": Comparison(
        "Train 8 SmallCNNs", "images/s", Assignment("small_cnn", train=2_560, epochs=2), TRAINERS, 2.2, alike=LEARNT
    ),
    "train-without-dropout": Comparison(
        "Train 8 SmallCNNs without their dropout",
        "images/s",
        Assignment("small_cnn", train=2_560, epochs=2, dropout=False),
        TRAINERS[:2],
        2.2,
        alike=LEARNT,
    ),
    "train-resnet20": Comparison(
        "Train 8 ResNet20s", "images/s", Assignment("resnet20", train=256, images=1_000), TRAINERS[:2], 1.3, rounds=3
    ),
    "train-resnet20-gpu": Comparison(
        "Train 8 ResNet20s on a GPU, against one after another",
        "images/s",
        Assignment("resnet20", train=10_240),
        (f"{OURS}:Train", f"{PEERS}:PlainTrain", f"{PEERS}:TorchFunc", f"{PEERS}:TorchEnsemble"),
        6.0,
        devices=("cuda",),
    ),
    "recipe-resnet20": Comparison(
        "The recipe cifar10-resnet20: 5 members for 200 epochs, three studies",
        "times/s",
        Assignment("resnet20"),
        ("modescape.app.bench.whole:Recipe",),
        rounds=1,
        devices=("cuda",),
    ),
    "evaluate-small-cnn": Comparison(
        "Evaluate 64 SmallCNNs on 10,000 images",
        "images/s",
        Assignment("small_cnn", points=64),
        (f"{OURS}:Evaluate", f"{PEERS}:PlainEvaluate"),
        alike=SAME | {"accuracy": 1e-4},
    ),
    "plane-small-cnn": Comparison(
        "A row of a 51 x 51 plane through three SmallCNNs, 10,000 images a point",
        "images/s",
        Assignment("small_cnn", points=51),
        (f"{OURS}:Plane", f"{PEERS}:LossLandscapes"),
        3.0,
        alike=SAME,
    ),
    "plane-resnet20": Comparison(
        "4 points of a 51 x 51 plane through three ResNet20s, 10,000 images each",
        "images/s",
        Assignment("resnet20", points=4),
        (f"{OURS}:Plane", f"{PEERS}:LossLandscapes"),
        1.5,
        alike=SAME,
        rounds=3,
    ),
    "statistics": Comparison(
        "4 ResNet20s with batch-norm statistics from 512 images, against without",
        "images/s",
        Assignment("resnet20", points=4, statistics=512),
        (f"{OURS}:Evaluate", f"{OURS}:WithoutStatistics"),
        1 / 1.10,
        rounds=3,
    ),
    "picture": Comparison(
        "A 51 x 51 picture of a plane through three SmallCNNs (2,000 images a point), refined, against every point",
        "images/s",
        Assignment("small_cnn", train=10_240, epochs=2, points=51 * 51, images=2_000),
        PICTURE,
        3.0,
        alike={"picture": 0.05},
        rounds=1,
    ),
    "picture-whole": Comparison(
        "The same picture with 10,000 images a point",
        "images/s",
        Assignment("small_cnn", train=10_240, epochs=2, points=51 * 51),
        PICTURE,
        3.0,
        alike={"picture": 0.05},
        rounds=1,
        devices=(),
    ),
    "plane-whole": Comparison(
        "A 51 x 51 plane through three SmallCNNs, 10,000 images a point",
        "images/s",
        Assignment("small_cnn", points=51 * 51),
        (f"{OURS}:Plane", f"{PEERS}:LossLandscapes"),
        3.0,
        alike=SAME,
        rounds=1,
        devices=(),
    ),
    "disagreement": Comparison(
        "Disagreement of 300 checkpoints on 10,000 examples",
        "times/s",
        Assignment("small_cnn", points=300),
        (f"{OURS}:Disagreement", f"{PEERS}:LoopDisagreement"),
        seconds=0.3,
        alike={"mean": 1e-9},
    ),
    "divergence": Comparison(
        "Kullback-Leibler divergence of 300 checkpoints on 10,000 examples",
        "times/s",
        Assignment("small_cnn", points=300),
        (f"{OURS}:Divergence",),
        seconds=0.5,
    ),
    "similarity": Comparison(
        "Cosine of 300 MediumCNNs",
        "times/s",
        Assignment("medium_cnn", points=300, images=100),
        (f"{OURS}:Similarity",),
        seconds=2.5,
    ),
    "embedding": Comparison(
        "t-SNE of 300 prediction vectors of 100,000",
        "times/s",
        Assignment("small_cnn", points=300),
        (f"{OURS}:Embedding", f"{PEERS}:RawEmbedding"),
        seconds=1.0,
        rounds=3,
    ),
}
