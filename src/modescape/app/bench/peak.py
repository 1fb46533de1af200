"""What a machine can do at most: the speed of a large matrix product."""

import statistics
import time

import torch

SIZE, TIMES = 2048, 5


def peak_of(device: str, cores: int) -> float:
    """Median GFLOP/s of a product of two float32 matrices of 2,048 x 2,048, on all cores or on a GPU."""
    size = SIZE * (4 if device == "cuda" else 1)
    before = torch.get_num_threads()
    torch.set_num_threads(cores)
    try:
        one, other = (torch.randn(size, size, device=device) for _ in range(2))
        found = []
        for _ in range(TIMES + 1):
            start = time.perf_counter()
            one @ other
            if device == "cuda":
                torch.cuda.synchronize()
            found.append(2 * size**3 / (time.perf_counter() - start) / 1e9)
        return statistics.median(found[1:])
    finally:
        torch.set_num_threads(before)
