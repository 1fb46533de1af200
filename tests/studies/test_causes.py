"""What makes networks differ: each kind of chance alone, from training to the answer."""

from dataclasses import asdict, replace
from itertools import combinations

import numpy as np
import pytest
import torch
from references import toy
from references.in_memory import perform

from modescape.core.weights import flatten
from modescape.studies.abstract import Unfit
from modescape.studies.causes import Causes
from modescape.studies.causes_answers import answers
from modescape.studies.members import unpack
from modescape.studies.methods import Chosen, arguments_of, chosen_in
from modescape.studies.variants import ORDINARY, Variant, variant_in

pytestmark = pytest.mark.study


@pytest.fixture(scope="module")
def done():
    torch.set_num_threads(1)
    context = toy.context_of(3)
    study = Causes(members=3, draws=200)
    tasks = study.tasks(context.setup, toy.sizes_of(context))
    results = perform(tasks, context)
    return context, tasks, results, study.tables(context.setup, results)


def solution(results, name, member):
    return unpack(results.read(name).files["checkpoints"], member)[-1]


def test_every_cause_that_the_training_has_is_compared(done):
    _, tasks, _, tables = done
    # No image, no augmentation; the toy has dropout.
    assert list(dict.fromkeys(tables["causes"]["cause"].tolist())) == ["everything", "init", "order", "dropout"]
    assert len(tables["causes"]) == 4 * 3
    trained = {task.name.rsplit("/member/", 1)[0] for task in tasks if task.phase == "train"}
    assert trained == {"train", "train/init_alone", "train/order_alone", "train/dropout_alone"}


def test_every_pair_is_what_its_two_networks_say(done):
    """The slow twin: each network by itself, on every example, from the weights that were kept."""
    context, _, results, tables = done
    split = context.splits["test"]
    for cause, prefix in (("everything", ""), ("init", "init_alone/"), ("order", "order_alone/")):
        members = [solution(results, f"train/{prefix if m else ''}member/{m}/epoch/6", m) for m in range(3)]
        classes = []
        for member in members:
            module = context.build()
            module.load_state_dict({name: t[0] for name, t in {**member.params, **member.buffers}.items()})
            with torch.no_grad():
                classes.append(module.eval()(context.scaling(split.inputs)).argmax(dim=-1))
        rows = [row for row in tables["causes"].rows() if row["cause"] == cause]
        for row, (a, b) in zip(rows, combinations(range(3), 2), strict=True):
            assert (row["member_a"], row["member_b"]) == (a, b)
            assert row["disagreement"] == pytest.approx(float((classes[a] != classes[b]).double().mean()))
            errors = [float((classes[m] != split.targets).double().mean()) for m in (a, b)]
            expected = np.mean([row["disagreement"] / error for error in errors])
            assert row["normalised_disagreement"] == pytest.approx(expected)


def test_networks_that_share_their_initialisation_start_alike_and_end_apart(done):
    _, _, results, tables = done
    starts = [unpack(results.read(f"train/order_alone/member/{m}/epoch/4").files["checkpoints"], m)[0] for m in (1, 2)]
    starts.append(unpack(results.read("train/member/0/epoch/4").files["checkpoints"], 0)[0])
    assert all(torch.equal(flatten(starts[0]), flatten(start)) for start in starts)
    ends = [solution(results, f"train/order_alone/member/{m}/epoch/6", m) for m in (1, 2)]
    assert not torch.equal(flatten(ends[0]), flatten(ends[1]))
    cosine = {row["quantity"]: row["value"] for row in tables["answers"].rows()}
    assert cosine["similarity_order"] > cosine["similarity_init"]


def compared(*classes):
    pairs = len(classes)
    return {"classes": torch.tensor(classes), "similarity": torch.eye(pairs)}


def test_the_answer_says_which_of_both_matters_more():
    apart = [[0] * 50, [0] * 25 + [1] * 25]
    close = [[0] * 50, [0] * 49 + [1]]
    for init, order, told in (
        (apart, close, "Another initialisation makes networks differ more"),
        (close, apart, "Another order of the data makes networks differ more"),
        (close, close, "differ alike"),
    ):
        found = {"everything": compared(*apart), "init": compared(*init), "order": compared(*order)}
        first = answers(found, {"split": "test"}, 200, 0).rows()[0]
        assert first["quantity"] == "init_minus_order"
        assert told in first["sentence"]
        differ = [np.mean(np.array(c[0]) != np.array(c[1])) for c in (init, order)]
        assert first["value"] == pytest.approx(differ[0] - differ[1])
        assert first["low"] <= first["value"] <= first["high"]


def test_what_cannot_be_compared_is_refused():
    context = toy.context_of(2)
    sizes = toy.sizes_of(context)
    with pytest.raises(ValueError, match=r"causes\.members = 3 is above training\.members = 2"):
        Causes(members=3).tasks(context.setup, sizes)
    network = replace(context.setup.network, weights=("a", "b"))
    with pytest.raises(Unfit, match="trained elsewhere"):
        Causes(members=2).tasks(replace(context.setup, network=network), sizes)
    with pytest.raises(ValueError, match="causes is empty"):
        Causes(causes=())


def test_results_from_before_chance_could_be_shared_keep_their_keys():
    for variant in (Variant("bootstrap", bootstrap=True), Variant("snapshot", cycle=3)):
        assert set(variant.record) == {"name", "bootstrap", "cycle"}
        assert variant_in(variant.arguments) == variant
        chosen = Chosen("bootstrap", variant, 2, 1, draws=False)
        assert set(arguments_of(chosen)["variant"]) == {"name", "bootstrap", "cycle"}
        assert chosen_in(arguments_of(chosen)) == chosen
    shared = Variant("init_alone", shared=("order", "dropout"))
    assert variant_in(shared.arguments) == shared
    assert ORDINARY.arguments == {}
    assert asdict(ORDINARY)["shared"] == ()
