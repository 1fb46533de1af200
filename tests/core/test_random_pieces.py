"""Random pieces of images: their areas, ratios and places, and that a seed is all that decides."""

import math

import pytest
import torch

from modescape.core.decoded import Box, Decoded
from modescape.core.splits import STANDARD_FROM, Split, scaling_of
from modescape.core.training.augment import cuts_of, draw_cuts, random_piece

HEIGHT, WIDTH, DRAWN = 300, 400, 4000


@pytest.fixture(scope="module")
def boxes():
    seeds = draw_cuts(DRAWN, "resized_crop_flip", torch.Generator().manual_seed(0))
    return [cut(HEIGHT, WIDTH) for cut in cuts_of(seeds)]


def test_pieces_lie_in_the_image_with_areas_and_ratios_as_promised(boxes):
    for box in boxes:
        assert 0 <= box.top <= HEIGHT - box.height and 0 <= box.left <= WIDTH - box.width
        # sides are whole pixels: half a pixel of a side of at least 80 is 0.7% of it, twice for an area
        assert 0.98 * 0.08 <= box.height * box.width / (HEIGHT * WIDTH) <= 1.02
        assert 0.98 * 3 / 4 <= box.width / box.height <= 1.02 * 4 / 3


def test_areas_and_ratios_are_drawn_evenly_and_every_other_piece_is_mirrored(boxes):
    # Small pieces always fit at the first try: below 0.5 of the area nothing is thrown away.
    small = [b for b in boxes if b.height * b.width < 0.5 * HEIGHT * WIDTH]
    areas = sorted(b.height * b.width / (HEIGHT * WIDTH) for b in small)
    # the median of 1,800 even draws has a standard error of 0.005
    assert areas[len(areas) // 2] == pytest.approx((0.08 + 0.5) / 2, abs=0.02)
    ratios = [math.log(b.width / b.height) for b in small]
    assert sum(ratios) / len(ratios) == pytest.approx(0, abs=0.02)
    assert sum(r * r for r in ratios) / len(ratios) == pytest.approx(math.log(4 / 3) ** 2 / 3, rel=0.1)
    places = [b.left / (WIDTH - b.width) for b in small]
    assert sum(places) / len(places) == pytest.approx(0.5, abs=0.03)
    assert sum(b.mirrored for b in boxes) / DRAWN == pytest.approx(0.5, abs=4 * 0.5 / DRAWN**0.5)


@pytest.mark.parametrize(
    ("height", "width", "expected"), [(10, 1000, (0, 493, 10, 13)), (1000, 10, (493, 0, 13, 10)), (1, 1, (0, 0, 1, 1))]
)
def test_where_no_piece_fits_the_middle_is_taken(height, width, expected):
    found = [random_piece(seed, height, width) for seed in range(20)]
    assert {(box.top, box.left, box.height, box.width) for box in found} == {expected}


def test_a_seed_decides_alone_and_others_have_other_pieces(boxes):
    torch.manual_seed(1)
    assert random_piece(7, 50, 60) == random_piece(7, 50, 60)
    assert isinstance(random_piece(7, 50, 60), Box)
    assert len(set(boxes)) > 0.99 * DRAWN
    assert draw_cuts(5, "none", torch.Generator()) is None


class Numbers(Decoded):
    """Example n is n everywhere, modulo 256."""

    def __init__(self, rows):
        self.rows, self.asked = rows, []

    shape = property(lambda self: (len(self.rows), 2, 1, 1))
    digest = "numbers"

    def read(self, rows, cuts=None):
        self.asked.append(len(rows))
        return (self.rows[rows] % 256).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 2, 1, 1).clone()

    def part(self, rows):
        return Numbers(self.rows[rows])

    def held(self, rows):
        return self.read(rows)


def test_the_scaling_of_decoded_inputs_looks_at_some_of_them_alone():
    inputs = Numbers(torch.arange(10 * STANDARD_FROM + 1))
    scaling = scaling_of("standard", inputs)
    assert sum(inputs.asked) <= STANDARD_FROM
    values = inputs.read(torch.arange(0, len(inputs), 11)).double()
    assert scaling.shift.tolist() == pytest.approx([float(values.mean())] * 2)
    assert (1 / scaling.factor).tolist() == pytest.approx([float(values.std(correction=0))] * 2)
    assert scaling_of("unit", inputs).factor.tolist() == pytest.approx([1 / 255] * 2)
    assert inputs.asked == [910, 910]


def test_pieces_of_what_is_in_memory_are_refused():
    split = Split(torch.zeros(3, 1, 4, 4, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ValueError, match="these are not"):
        split.fetch(torch.tensor([0]), cuts_of(torch.tensor([1])))
    with pytest.raises(ValueError, match="never all of them"):
        _ = Split(Numbers(torch.arange(3)), torch.zeros(3, dtype=torch.int64)).tensor
