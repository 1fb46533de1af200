"""How much work was done, by a clock that other programs on the machine do not hurry."""

import time

import psutil
import torch

CPU = torch.device("cpu")


def core_seconds(device: torch.device = CPU) -> float:
    """Seconds that all cores together have worked for this process and its workers; on a GPU those that passed."""
    if device.type == "cuda":
        return time.monotonic()
    total = time.process_time()
    for worker in psutil.Process().children(recursive=True):
        try:
            times = worker.cpu_times()
        except psutil.Error:  # it has just ended
            continue
        total += times.user + times.system
    return total
