"""The examples of the pages that need an optional library run."""

import pytest
from references import pages


@pytest.mark.parametrize("page", pages.NEEDS)
def test_the_examples_run(page):
    members = pages.run(page, pages.foundation())["members"]
    assert members.origin == (0,) * 5
    assert all(tensor.isfinite().all() for tensor in members.params.values())
