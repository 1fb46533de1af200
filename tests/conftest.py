"""Every test runs on one operator thread, with the shapes that annotations promise checked at run time."""

from jaxtyping import install_import_hook

install_import_hook("modescape.core", "beartype.beartype")

import pytest  # noqa: E402
import torch  # noqa: E402


@pytest.fixture(autouse=True)
def one_operator_thread():
    torch.set_num_threads(1)
