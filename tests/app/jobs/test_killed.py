"""A run that is killed, anywhere and as often as one likes, ends in the same bytes as one that never was."""

import json
import os
import subprocess
import sys
from pathlib import Path

import killed_runs
import pytest

PLANS = list(killed_runs.plans(13))


@pytest.fixture(scope="module")
def came_to(tmp_path_factory):
    done = subprocess.run(
        [sys.executable, killed_runs.__file__, str(tmp_path_factory.mktemp("killed"))],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(killed_runs.__file__).parent), *sys.path])},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.study
@pytest.mark.parametrize("plan", PLANS)
def test_a_killed_run_ends_in_the_same_bytes(came_to, plan):
    assert came_to.keys() == set(PLANS)
    found, whole = came_to[plan], came_to["never"]
    assert found["survived"] == 0  # every process but the last was killed
    assert found["ended"]
    assert len([name for name in whole["files"] if name.endswith(".parquet")]) == 6
    assert len(whole["files"]) > 30
    assert found["files"] == whole["files"]
