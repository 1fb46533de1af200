import pytest
import torch

from modescape.core.seeds import generator, global_generator, path_name, seed_of


def draws(*path, root=0):
    return torch.rand(5, generator=generator(root, *path))


def test_a_path_names_its_draws():
    assert torch.equal(draws("member", 3, "init"), draws("member", 3, "init"))
    others = [draws("member", 4, "init"), draws("member", 3, "order"), draws("member", 3, "init", root=1)]
    assert not any(torch.equal(draws("member", 3, "init"), other) for other in others)
    assert path_name("member", 3, "init") == "member/3/init"


def test_seeds_are_fixed_for_ever():
    # Golden: another value here would give every recorded run other numbers.
    assert seed_of(0, "member", 0, "init") == 7_528_949_042_570_808_893


def test_paths_do_not_collide_in_practice():
    low = {seed_of(0, "member", m, role, "epoch", e) & 0xFFFFFFFF for m in range(20) for role in ("order", "dropout")
           for e in range(50)}  # fmt: skip
    assert len(low) == 2000


def test_the_global_generator_is_lent_and_given_back():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with global_generator(0, "x"):
        inside = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    with global_generator(0, "x"):
        assert torch.equal(torch.rand(3), inside)
    torch.manual_seed(5)
    with pytest.raises(RuntimeError, match="on purpose"), global_generator(0, "x"):
        torch.rand(3)
        raise RuntimeError("on purpose")
    assert torch.equal(torch.rand(3), expected)
