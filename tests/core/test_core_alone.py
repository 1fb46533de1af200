"""``core`` runs where torch and numpy are the only packages installed."""

import subprocess
import sys
import textwrap

PROGRAM = textwrap.dedent(
    """
    import importlib, importlib.abc, pkgutil, sys

    BLOCKED = {blocked!r}

    class Blocked(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path=None, target=None):
            if name.split(".")[0] in BLOCKED:
                raise ImportError(name + " is not installed here")

    sys.meta_path.insert(0, Blocked())
    import modescape.core
    for module in pkgutil.walk_packages(modescape.core.__path__, "modescape.core."):
        importlib.import_module(module.name)
    brought = BLOCKED & {{name.split(".")[0] for name in sys.modules}}
    assert not brought, brought

    from torch import Tensor, tensor
    from modescape.core.shapes import Bool, Float, Int, Shaped
    assert Float[Tensor, "a b"] is Int[Tensor, "a"] is Bool[Tensor, ""] is Shaped[Tensor, "..."] is Tensor
    from modescape.core.diversity.disagreement import disagreement_matrix
    print(disagreement_matrix(tensor([[0, 1], [0, 0]]), 2)[0, 1].item())
    """
)

OTHERS = {
    "jaxtyping", "beartype", "sklearn", "scipy", "pydantic", "typer", "rich", "matplotlib", "pyarrow", "safetensors",
    "pooch", "psutil", "filelock", "platformdirs", "mnist1d", "pandas", "requests",
}  # fmt: skip
NEEDED_BY_TORCH = {"filelock"}


def performed(blocked):
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(blocked=blocked)], capture_output=True, text=True, timeout=120
    )


def test_core_imports_and_measures_with_torch_and_numpy_alone():
    found = performed(OTHERS - NEEDED_BY_TORCH)
    assert found.returncode == 0, found.stderr
    assert found.stdout.strip() == "0.5"


def test_the_blocking_blocks():
    found = performed({"torch"})
    assert found.returncode != 0
    assert "torch is not installed here" in found.stderr
