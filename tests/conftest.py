"""Every test runs on one operator thread, with the shapes that annotations promise checked at run time."""

from jaxtyping import install_import_hook

install_import_hook("modescape.core", "beartype.beartype")

import pytest  # noqa: E402
import torch  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def no_memory_of_other_days(tmp_path_factory):
    """Which engine is fastest is measured once for all tests, and the user's own cache is let alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODESCAPE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def one_operator_thread():
    torch.set_num_threads(1)
