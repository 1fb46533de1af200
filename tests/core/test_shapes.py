"""The shapes in annotations are promises, and these tests run with somebody who looks."""

import pytest
import torch
from jaxtyping import TypeCheckError

from modescape.core.diversity.disagreement import disagreement_matrix
from modescape.core.scores.accuracy import accuracy
from modescape.core.splits import Split


def test_annotated_shapes_are_checked_in_every_test():
    with pytest.raises(TypeCheckError):
        accuracy(torch.zeros(2, 3, dtype=torch.int64), torch.zeros(4, dtype=torch.int64))
    with pytest.raises(TypeCheckError):
        disagreement_matrix(torch.zeros(2, 3), 2)
    with pytest.raises(TypeCheckError):
        Split(torch.zeros(3, 2), torch.zeros(4, dtype=torch.int64))
