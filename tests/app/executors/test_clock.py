"""Work is told by a clock that neither waiting nor other programs hurry."""

import subprocess
import sys
import time

import torch

from modescape.app.executors.clock import core_seconds

CPU = torch.device("cpu")
BUSY = "import time\nwhile time.process_time() < 0.4: pass\nprint(flush=True)\ninput()"


def test_work_counts_and_waiting_does_not():
    before = core_seconds(CPU)
    time.sleep(0.3)
    waited = core_seconds(CPU)
    began = time.process_time()
    while time.process_time() < began + 0.3:
        pass
    assert waited - before < 0.15
    assert core_seconds(CPU) - waited >= 0.3


def test_the_work_of_workers_counts():
    before = core_seconds(CPU)
    with subprocess.Popen([sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdout.readline()
        assert core_seconds(CPU) - before >= 0.35
        worker.communicate(b"\n")
