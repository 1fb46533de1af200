"""What a machine has, and what a run would use of it."""

import os
import platform
from pathlib import Path

import psutil

from modescape import __version__
from modescape.app.datasets.locate import status
from modescape.app.runs.run import free_bytes


def examine(data_dir: Path | None) -> dict[str, str]:
    """Facts about this machine, by name."""
    import torch

    from modescape.app.jobs.engine import memory_file
    from modescape.app.jobs.prepare import choose_device, cores_available

    memory = psutil.virtual_memory()
    gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    named = [f"{gpu.name} ({gpu.total_memory / 2**30:.0f} GiB)" for gpu in gpus]
    device = choose_device("auto")
    use = f"{cores_available()} cores" if device.type == "cpu" else str(device)
    data = {f"data {line.name}": str(line.where) if line.where else line.how for line in status(data_dir)}
    return {
        "modescape": __version__,
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "torch": torch.__version__,
        "cores": f"{cores_available()} usable of {os.cpu_count()}",
        "memory": f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free",
        "disk": f"{free_bytes(Path.cwd()) / 2**30:.1f} GiB free here",
        "GPU": ", ".join(named) or f"none that torch {torch.__version__} can use",
        **data,
        "will use": f"{use}, by the way that is fastest for the network (measured once, kept in {memory_file()})",
    }
