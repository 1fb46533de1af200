"""One member trained as a textbook would: contiguous memory, no fused optimiser, one loop; only chance is shared."""

import torch
from torch import nn

from modescape.core.seeds import generator, global_generator
from modescape.core.training.noise import seed_dropout


def train(plan, member, epochs):
    """The network after ``epochs`` epochs of Adam, and the losses of its steps."""
    with global_generator(plan.root, "member", member, "init"):
        network = plan.build()
    noise = seed_dropout(network)
    optimiser = torch.optim.Adam(network.parameters(), lr=plan.training.optimiser.rate, foreach=False)
    size = min(plan.training.batch, len(plan.data))
    steps = len(plan.data) // size
    losses = []
    for epoch in range(epochs):
        chance = generator(plan.root, "member", member, "order", "epoch", epoch)
        order = torch.randperm(len(plan.data), generator=chance)
        drop = generator(plan.root, "member", member, "dropout", "epoch", epoch)
        for layer in noise:
            layer.chance = drop
        for step in range(steps):
            index = order[step * size : (step + 1) * size]
            images = plan.scaling(plan.data.inputs[index]).contiguous()
            loss = nn.CrossEntropyLoss()(network(images), plan.data.targets[index])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
    return network, losses
