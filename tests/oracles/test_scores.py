"""Scores next to those of torchmetrics and torch-uncertainty, and where these are wrong."""

import math

import pytest
import torch
import torch_uncertainty_parts  # noqa: F401  before anything of torch-uncertainty
from torch_uncertainty.metrics import classification as tu
from torch_uncertainty.post_processing.calibration.temperature_scaler import TemperatureScaler
from torchmetrics.functional.classification import (
    binary_auroc,
    binary_average_precision,
    multiclass_calibration_error,
)

from modescape.core.scores.calibration import calibration_error
from modescape.core.scores.decomposition import entropies, pairwise_disagreement
from modescape.core.scores.detection import aupr, auroc, fpr_at_recall
from modescape.core.scores.proper import brier, log_loss
from modescape.core.scores.selective import risk_coverage_area
from modescape.core.scores.temperature import fit_temperature

# Each of their metrics says that it keeps all predictions.
pytestmark = pytest.mark.filterwarnings("ignore:Metric .* will save all:UserWarning")
CASES = [(300, 2, 0), (300, 10, 1), (45, 1000, 2)]


def some(examples, classes, seed, scale=2.0):
    chance = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, classes, (examples,), generator=chance)
    logits = torch.randn(examples, classes, generator=chance, dtype=torch.float64)
    return (scale * (logits + torch.nn.functional.one_hot(targets, classes))).log_softmax(-1), targets


def ones(examples):
    return torch.ones(1, examples, dtype=torch.float64)


def theirs(metric, *given):
    metric.update(*given)
    return metric.compute()


@pytest.mark.parametrize("case", CASES)
def test_proper_scores(case):
    logs, targets = some(*case)
    p = logs.exp()
    assert torch.allclose(theirs(tu.CategoricalNLL("none"), p, targets), log_loss(logs, targets), atol=1e-6)
    found = theirs(tu.BrierScore(case[1], reduction="none"), p, targets)
    assert torch.allclose(found, brier(logs, targets), atol=1e-6)


def test_their_loss_is_infinite_where_a_probability_underflows():
    logs, targets = torch.tensor([[0.0, -800.0]], dtype=torch.float64), torch.tensor([1])
    assert log_loss(logs, targets).tolist() == [800.0]
    assert float(theirs(tu.CategoricalNLL("none"), logs.exp(), targets)) == math.inf


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("bins", [10, 15])
def test_calibration_errors(case, bins):
    logs, targets = some(*case)
    examples, classes, _ = case
    ours = float(calibration_error(logs, targets, ones(examples), bins))
    assert ours == pytest.approx(float(multiclass_calibration_error(logs.exp(), targets, classes, bins)), abs=1e-6)
    metric = tu.CalibrationError("multiclass", num_bins=bins, num_classes=classes)
    assert ours == pytest.approx(float(theirs(metric, logs.exp(), targets)), abs=1e-6)
    # where bins cannot be equal, which of them are larger is a convention
    even = examples // bins * bins
    ours = calibration_error(logs[:even], targets[:even], ones(even), bins, "adaptive")
    metric = tu.AdaptiveCalibrationError("multiclass", num_bins=bins, num_classes=classes)
    assert float(ours) == pytest.approx(float(theirs(metric, logs[:even].exp(), targets[:even])), abs=1e-6)


def test_their_calibration_error_gives_a_confidence_of_1_a_bin_of_its_own():
    """torchmetrics#3510: |0.95 - 1| / 2 + |1 - 0| / 2, of two examples in the last of ten bins."""
    p, targets = torch.tensor([[0.95, 0.05], [1.0, 0.0]], dtype=torch.float64), torch.tensor([0, 1])
    assert float(calibration_error(p.log(), targets, ones(2), 10)) == pytest.approx(0.475, abs=1e-12)
    assert float(multiclass_calibration_error(p, targets, 2, 10)) == pytest.approx(0.525, abs=1e-6)
    metric = tu.CalibrationError("multiclass", num_bins=10, num_classes=2)
    assert float(theirs(metric, p, targets)) == pytest.approx(0.525, abs=1e-6)


def test_their_adaptive_error_has_no_value_for_fewer_examples_than_bins():
    logs, targets = some(3, 2, 0)
    metric = tu.AdaptiveCalibrationError("multiclass", num_bins=15, num_classes=2)
    assert math.isnan(theirs(metric, logs.exp(), targets))
    top = logs.exp().amax(1)
    expected = float((top - (logs.argmax(1) == targets).double()).abs().mean())
    assert float(calibration_error(logs, targets, ones(3), 15, "adaptive")) == pytest.approx(expected)


@pytest.mark.parametrize("case", CASES)
def test_the_area_under_the_risk_coverage_curve(case):
    """Theirs joins the points of the curve by lines from 1/N on; ours is their mean. Both from the same points."""
    logs, targets = some(*case)
    errors, top = (logs.argmax(1) != targets).double(), logs.amax(1)
    count, ends = len(errors), float(errors[top.argmax()] + errors.mean())
    ours = float(risk_coverage_area(top, errors, ones(count)))
    joined = float(theirs(tu.AURC(), logs.exp(), targets))
    assert ours == pytest.approx((joined * (count - 1) + ends / 2) / count, abs=1e-6)


@pytest.mark.parametrize("levels", [5, 10**6])
def test_detection(levels):
    chance = torch.Generator().manual_seed(3)
    known = torch.randint(0, levels, (200,), generator=chance).double() / levels
    unknown = torch.randint(levels // 5, levels, (150,), generator=chance).double() / levels
    weights = ones(200), ones(150)
    # torchmetrics takes the logistic function of what does not lie in [0, 1]
    values, labels = torch.cat([known, unknown]), torch.tensor([0] * 200 + [1] * 150)
    assert float(auroc(known, unknown, *weights)) == pytest.approx(float(binary_auroc(values, labels)), abs=1e-6)
    precision = float(binary_average_precision(values, labels))
    assert float(aupr(known, unknown, *weights)) == pytest.approx(precision, abs=1e-6)
    rate = float(theirs(tu.FPR95(pos_label=1), values, labels))
    assert float(fpr_at_recall(known, unknown, *weights)) == pytest.approx(rate, abs=1e-6)


def test_uncertainty_and_disagreement_of_members():
    logs = torch.stack([some(40, 5, seed)[0] for seed in range(4)])
    p = logs.exp().transpose(0, 1)
    entropy = -(logs.exp() * logs).sum(-1).mean(0)
    total, aleatoric, epistemic = entropies(p.mean(1).log(), entropy)
    assert torch.allclose(theirs(tu.MutualInformation("none"), p), epistemic, atol=1e-6)
    assert torch.allclose(theirs(tu.Entropy("none"), p), aleatoric, atol=1e-6)
    assert torch.allclose(theirs(tu.Entropy("none"), p.mean(1)), total, atol=1e-6)
    votes = torch.nn.functional.one_hot(logs.argmax(-1), 5).sum(0)
    found = theirs(tu.Disagreement("none"), p).double()
    assert torch.allclose(found, pairwise_disagreement(4, votes), atol=1e-6)


@pytest.mark.parametrize("scale", [0.7, 1.0, 2.5])
def test_the_temperature(scale):
    logs, targets = some(500, 10, 4, scale)
    scaler = TemperatureScaler(torch.nn.Sequential(), lr=1.0, max_iter=200).double()
    scaler.fit(torch.utils.data.DataLoader(list(zip(logs, targets, strict=True)), batch_size=500), progress=False)
    found, peers = fit_temperature(logs, targets), float(scaler.temperature[0].detach())
    # theirs stops where the slope is 1e-7 or the step 1e-9
    assert found == pytest.approx(peers, rel=1e-4)
    ours, peer = (float(log_loss((logs / t).log_softmax(-1), targets).mean()) for t in (found, peers))
    assert ours <= peer + 1e-12
    assert ours == pytest.approx(peer, abs=1e-6)
