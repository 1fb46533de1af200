"""The other side of each comparison, as its documentation says to use it."""

import contextlib
import copy
import importlib.metadata
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.utils.data import DataLoader, TensorDataset

from modescape.app.bench.assignment import Assignment, accuracy_of, random_predictions
from modescape.app.bench.contestant import Contestant
from modescape.core.weights import load_into

BATCH = 128
"""Images in a batch of an evaluation by a plain loop."""


def _prepared(given: Assignment) -> tuple[TensorDataset, Tensor, Tensor]:
    """Training examples as a dataset of scaled images, and the scaled test images with their targets."""
    train, test, scaling = given.splits()
    return TensorDataset(scaling(train.tensor), train.targets), scaling(test.tensor), test.targets


class TorchEnsemble(Contestant):
    """Ensemble-PyTorch: ``VotingClassifier``, one estimator after another."""

    def __init__(self, given: Assignment) -> None:
        super().__init__(given)
        from torchensemble import VotingClassifier

        self.about = f"torchensemble {importlib.metadata.version('torchensemble')}, n_jobs=None"
        logging.getLogger().setLevel(logging.WARNING)
        data, self.images, self.targets = _prepared(given)
        self.loader = DataLoader(data, batch_size=given.batch, shuffle=True, drop_last=True)

        class Network(nn.Module):
            """A class, since an estimator that is a network already would be copied: all would start alike."""

            def __init__(self) -> None:
                super().__init__()
                self.inner = given.build()

            def forward(self, images: Tensor) -> Any:
                return self.inner(images)

        cuda = given.device == "cuda"
        self.model: Any = VotingClassifier(estimator=Network, n_estimators=given.members, cuda=cuda)
        self.model.set_optimizer("Adam", lr=given.rate)

    def once(self) -> float:
        """Images trained, summed over members."""
        torch.manual_seed(0)
        self.model.fit(self.loader, epochs=self.given.epochs, log_interval=10**9, save_model=False)
        return float(self.given.members * len(self.loader) * self.given.batch * self.given.epochs)

    def found(self) -> Mapping[str, float | list[float]]:
        """Accuracy on the test examples."""
        with torch.no_grad():
            rows = [torch.cat([own(x) for x in self.images.split(BATCH)]) for own in self.model.eval().estimators_]
        return accuracy_of(rows, self.targets)


class TorchFunc(Contestant):
    """``torch.func`` as its tutorial on ensembling does it: stacked state, vmap over the gradient."""

    def __init__(self, given: Assignment) -> None:
        super().__init__(given)
        self.about = f"torch {torch.__version__}, vmap over stacked weights"
        data, images, self.targets = _prepared(given)
        self.device = torch.device(given.device)
        self.images = images.to(self.device)
        self.inputs, self.labels = (tensor.to(self.device) for tensor in data.tensors)

    def once(self) -> float:
        """Images trained, summed over members."""
        given, count = self.given, len(self.inputs) // self.given.batch
        modules = [given.initial(member).to(self.device).train() for member in range(given.members)]
        self.params, self.buffers = stack_module_state(modules)
        base = copy.deepcopy(modules[0]).to("meta")
        optimiser = torch.optim.Adam(list(self.params.values()), lr=given.rate)

        def loss(params: Any, buffers: Any, inputs: Tensor, labels: Tensor) -> Tensor:
            return nn.functional.cross_entropy(functional_call(base, (params, buffers), (inputs,)), labels)

        gradients = vmap(grad_and_value(loss), randomness="different")
        for _ in range(given.epochs):
            orders = torch.stack([torch.randperm(len(self.inputs)) for _ in range(given.members)]).to(self.device)
            for step in range(count):
                index = orders[:, step * given.batch : (step + 1) * given.batch]
                found, _ = gradients(self.params, self.buffers, self.inputs[index], self.labels[index])
                for name, parameter in self.params.items():
                    parameter.grad = found[name]
                optimiser.step()
        self.base = base.eval()
        return float(given.members * count * given.batch * given.epochs)

    def found(self) -> Mapping[str, float | list[float]]:
        """Accuracy on the test examples."""
        rows = []
        with torch.no_grad():
            for member in range(self.given.members):
                own = {name: tensor[member] for name, tensor in {**self.params, **self.buffers}.items()}
                rows.append(torch.cat([functional_call(self.base, own, (x,)) for x in self.images.split(BATCH)]).cpu())
        return accuracy_of(rows, self.targets)


class PlainTrain(Contestant):
    """A plain loop: one network after another, Adam, batches by slicing."""

    def __init__(self, given: Assignment) -> None:
        super().__init__(given)
        self.about = f"torch {torch.__version__}, one after another"
        data, self.images, self.targets = _prepared(given)
        self.device = torch.device(given.device)
        self.inputs, self.labels = (tensor.to(self.device) for tensor in data.tensors)

    def once(self) -> float:
        """Images trained, summed over members."""
        given, count = self.given, len(self.inputs) // self.given.batch
        self.modules = [given.initial(member).to(self.device).train() for member in range(given.members)]
        for module in self.modules:
            optimiser = torch.optim.Adam(module.parameters(), lr=given.rate)
            for _ in range(given.epochs):
                order = torch.randperm(len(self.inputs)).to(self.device)
                for step in range(count):
                    index = order[step * given.batch : (step + 1) * given.batch]
                    optimiser.zero_grad()
                    nn.functional.cross_entropy(module(self.inputs[index]), self.labels[index]).backward()
                    optimiser.step()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return float(given.members * count * given.batch * given.epochs)

    def found(self) -> Mapping[str, float | list[float]]:
        """Accuracy on the test examples."""
        rows = []
        with torch.no_grad():
            for module in self.modules:
                rows.append(torch.cat([module.eval()(x.to(self.device)).cpu() for x in self.images.split(BATCH)]))
        return accuracy_of(rows, self.targets)


class PlainEvaluate(Contestant):
    """A plain loop over weight vectors and batches, as the existing tools have it."""

    def __init__(self, given: Assignment) -> None:
        super().__init__(given)
        self.about = f"torch {torch.__version__}, plain loop"
        _, self.images, self.targets = _prepared(given)
        self.weights = given.weights(given.points)
        self.module = given.build().eval()

    def once(self) -> float:
        """Images evaluated, summed over weight vectors."""
        self.losses, self.right = [], []
        for member in range(len(self.weights)):
            load_into(self.module, self.weights, member)
            loss, right = 0.0, 0
            with torch.no_grad():
                for images, targets in zip(self.images.split(BATCH), self.targets.split(BATCH), strict=True):
                    logits = self.module(images)
                    loss += nn.functional.cross_entropy(logits, targets, reduction="sum").item()
                    right += int((logits.argmax(dim=1) == targets).sum())
            self.losses.append(loss / len(self.targets))
            self.right.append(right / len(self.targets))
        return float(len(self.weights) * len(self.targets))

    def found(self) -> Mapping[str, float | list[float]]:
        """Mean loss and accuracy over all weight vectors."""
        count = len(self.losses)
        return {"loss": sum(self.losses) / count, "accuracy": sum(self.right) / count}


class _Enough(Exception):
    """So many points of the plane were asked for, and they are done."""


class LossLandscapes(Contestant):
    """loss-landscapes: ``planar_interpolation`` with a metric that passes the images in batches."""

    def __init__(self, given: Assignment) -> None:
        super().__init__(given)
        from loss_landscapes.metrics.metric import Metric

        self.about = f"loss-landscapes {importlib.metadata.version('loss-landscapes')}"
        _, self.images, self.targets = _prepared(given)
        self.corners = [given.initial(member).eval() for member in range(3)]
        images, targets = self.images.split(BATCH), self.targets.split(BATCH)
        self.losses: list[float] = []
        losses, enough = self.losses, given.points

        class Loss(Metric):  # type: ignore[misc]
            """Mean loss; in batches, since all images at once need gigabytes and are slower."""

            def __call__(self, wrapped: Any) -> float:
                if len(losses) == enough:
                    raise _Enough
                loss, count = 0.0, 0
                with torch.no_grad():
                    for x, y in zip(images, targets, strict=True):
                        loss += nn.functional.cross_entropy(wrapped.forward(x), y, reduction="sum").item()
                        count += len(y)
                losses.append(loss / count)
                return losses[-1]

        self.metric = Loss()

    def once(self) -> float:
        """Images evaluated, summed over points."""
        from loss_landscapes import planar_interpolation

        self.losses.clear()
        with contextlib.suppress(_Enough):
            planar_interpolation(*self.corners, self.metric, steps=self.given.side, deepcopy_model=True)
        return float(len(self.losses) * len(self.targets))

    def found(self) -> Mapping[str, float | list[float]]:
        """Mean loss over the points."""
        return {"loss": sum(self.losses) / len(self.losses)}


class RawEmbedding(Contestant):
    """The library's t-SNE on the prediction vectors as they are."""

    def __init__(self, given: Assignment) -> None:
        super().__init__(given)
        self.about = f"scikit-learn {importlib.metadata.version('scikit-learn')}, raw vectors"
        self.points = random_predictions(given).softmax(dim=-1).flatten(1).numpy()

    def warm_up(self) -> None:
        """Fewer points, but more than the perplexity."""
        type(self)(replace(self.given, points=100)).once()

    def once(self) -> float:
        """One map."""
        from sklearn.manifold import TSNE

        TSNE(perplexity=30.0, random_state=0).fit_transform(self.points)
        return 1.0


class LoopDisagreement(Contestant):
    """Two loops over checkpoints."""

    def __init__(self, given: Assignment) -> None:
        super().__init__(given)
        self.about = "double loop"
        self.classes = random_predictions(given).argmax(dim=-1).to(torch.uint8)

    def once(self) -> float:
        """Every pair by itself."""
        count = len(self.classes)
        self.last = torch.zeros(count, count, dtype=torch.float64)
        for i in range(count):
            for j in range(count):
                self.last[i, j] = (self.classes[i] != self.classes[j]).double().mean()
        return 1.0

    def found(self) -> Mapping[str, float | list[float]]:
        """The mean over all pairs."""
        return {"mean": float(self.last.mean())}
