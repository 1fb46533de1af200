"""Puts small CIFAR datasets in place of the official ones."""

from pathlib import Path

import pytest
from small_cifar import SmallCifar

from modescape.app.datasets import layouts


@pytest.fixture(params=["cifar10", "cifar100"])
def any_cifar(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[str, SmallCifar]:
    """Each CIFAR dataset in turn, small; the package believes that this is the official one."""
    small = SmallCifar(request.param)
    monkeypatch.setitem(layouts.LAYOUTS, request.param, (small.binary, small.python))
    return request.param, small


@pytest.fixture
def cifar10(monkeypatch: pytest.MonkeyPatch) -> SmallCifar:
    """CIFAR-10, small; the package believes that this is the official one."""
    small = SmallCifar("cifar10")
    monkeypatch.setitem(layouts.LAYOUTS, "cifar10", (small.binary, small.python))
    return small


@pytest.fixture(autouse=True)
def no_data_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test finds, or writes into, the data of whoever runs it."""
    monkeypatch.setenv("MODESCAPE_DATA", str(tmp_path / "nothing here"))
