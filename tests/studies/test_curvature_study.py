"""The study ``curvature`` end to end on a toy problem, against whole Hessians."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from references import toy
from references.in_memory import perform
from torch import nn
from torch.func import functional_call, grad, jacrev

from modescape.core.engine.engine import Engine
from modescape.core.engine.way import Room
from modescape.core.seeds import generator
from modescape.errors import MemberFailed
from modescape.studies.curvature import Curvature
from modescape.studies.curvature_words import answers, significant
from modescape.tables import STUDIES

pytestmark = pytest.mark.study

EXAMPLES, WEIGHTS = 40, 67
STUDY = Curvature(
    members=2, examples=EXAMPLES, top=3, trace_probes=4, probes=6, steps=8, points=120, precision="float64"
)


@pytest.fixture(scope="module")
def toy_run():
    """The context, the results of all tasks, and the tables. Made once: nothing below changes them."""
    torch.set_num_threads(1)
    context = toy.context_of(3)
    return context, *toy.performed(context, STUDY)


def whole(context, results, member, count=EXAMPLES):
    """The Hessian of the mean loss on the chosen training examples, and that loss with its gradient."""
    found = results.read(f"train/member/{member}/epoch/6").files["checkpoints"]
    last = {name.split(".", 1)[1]: t[-1] for name, t in found.items() if name.startswith("param.")}
    buffers = {name.split(".", 1)[1]: t[-1] for name, t in found.items() if name.startswith("buffer.")}
    buffers = {name: t.double() if t.is_floating_point() else t for name, t in buffers.items()}
    network, train = context.build().double().eval(), context.splits["train"]
    order = torch.randperm(64, generator=generator(context.setup.seed, "examples", "train"))
    rows = order[:count].sort().values
    inputs, targets = context.scaling(train.inputs[rows]).double(), train.targets[rows]

    def mean(row):
        parts = row.split([t.numel() for t in last.values()])
        tensors = {n: part.reshape(t.shape) for part, (n, t) in zip(parts, last.items(), strict=True)}
        return nn.functional.cross_entropy(functional_call(network, {**tensors, **buffers}, (inputs,)), targets)

    row = torch.cat([t.double().reshape(-1) for t in last.values()])
    return jacrev(grad(mean))(row), float(mean(row)), grad(mean)(row)


def test_there_is_every_table_that_the_schemas_describe(toy_run):
    _, _, tables = toy_run
    assert {name: table.schema for name, table in tables.items()} == STUDIES["curvature"]
    assert [row["status"] for row in tables["members"].rows()] == ["done"] * 3


def test_eigenvalues_and_traces_are_those_of_the_whole_hessian(toy_run):
    context, results, tables = toy_run
    assert [row["member"] for row in tables["traces"].rows()] == [0, 1]
    for row in tables["traces"].rows():
        hessian, loss, slope = whole(context, results, row["member"])
        values = torch.linalg.eigvalsh(hessian).flip(0)
        own = [r for r in tables["eigenvalues"].rows() if r["member"] == row["member"]]
        assert [r["rank"] for r in own] == [1, 2, 3, -1]
        assert [r["value"] for r in own] == pytest.approx([*values[:3].tolist(), float(values[-1])], abs=1e-8)
        assert all(r["error"] < 1e-8 for r in own)
        assert (row["examples"], row["weights"]) == (EXAMPLES, len(values)) == (EXAMPLES, WEIGHTS)
        assert row["loss"] == pytest.approx(loss, abs=1e-10)
        assert row["gradient_norm"] == pytest.approx(float(slope.norm()), abs=1e-10)
        assert abs(row["trace"] - float(values.sum())) < 6 * row["trace_error"]
        rest = hessian - hessian.diagonal().diag()
        assert 0 < row["trace_error"] < math.sqrt(2 * float(rest.square().sum()))
        near = float((values.abs() < 0.01 * values[0]).double().mean())
        assert abs(row["near_zero"] - near) < 6 * row["near_zero_error"] + 0.05


def test_the_spectrum_is_a_density_with_the_mean_of_the_eigenvalues(toy_run):
    context, results, tables = toy_run
    for member in (0, 1):
        own = [r for r in tables["spectrum"].rows() if r["member"] == member]
        grid, density, low, high = (
            np.array([r[name] for r in own]) for name in ("eigenvalue", "density", "low", "high")
        )
        assert len(grid) == 120
        assert np.allclose(np.diff(grid), grid[1] - grid[0])
        values = np.linalg.eigvalsh(whole(context, results, member)[0].numpy())
        width = 2 * (grid[1] - grid[0])
        # room for the outermost peaks, and no more
        assert grid[0] == pytest.approx(values[0] - 4 * width, abs=width)
        assert grid[-1] == pytest.approx(values[-1] + 4 * width, abs=1e-6)
        assert np.trapezoid(density, grid) == pytest.approx(1, abs=1e-3)
        assert np.trapezoid(density * grid, grid) == pytest.approx(values.mean(), rel=0.2)
        assert ((low <= density * (1 + 1e-12)) & (density <= high * (1 + 1e-12))).all()
        assert (low < high).any()
        # the three largest eigenvalues are known, and are peaks of one eigenvalue each
        for value in values[-3:]:
            apart = np.abs(values[-3:] - value)
            height = np.exp(-((apart / width) ** 2) / 2).sum() / (WEIGHTS * width * math.sqrt(2 * math.pi))
            assert density[np.abs(grid - value).argmin()] >= 0.9 * height


def test_all_examples_and_float32(toy_run):
    context, _, _ = toy_run
    study = replace(STUDY, members=1, examples=None, precision="float32", probes=2, steps=2)
    results, tables = toy.performed(context, study)
    assert tables["traces"]["examples"].tolist() == [64]
    hessian, loss, _ = whole(context, results, 0, count=64)
    assert tables["traces"]["loss"][0] == pytest.approx(loss, rel=1e-5)
    assert tables["eigenvalues"]["value"][0] == pytest.approx(float(torch.linalg.eigvalsh(hessian)[-1]), rel=1e-4)


@pytest.mark.parametrize("cores", [1, 3])
def test_the_number_of_cores_changes_no_number(toy_run, cores):
    context, results, _ = toy_run
    tasks = [task for task in STUDY.tasks(context.setup, toy.sizes_of(context)) if task.phase == "curvature"]
    for name, result in toy.together(replace(context, engine=Engine(room=Room(cores))), results, tasks).items():
        assert result.facts == results.read(name).facts
        for key, tensor in result.files["spectrum"].items():
            assert torch.equal(tensor, results.read(name).files["spectrum"][key])


def test_a_member_that_fails_is_left_out(toy_run, monkeypatch):
    context, _, tables = toy_run
    monkeypatch.setattr("modescape.core.training.work.train", toy.failing({0}))
    _, found = toy.performed(context, STUDY)
    assert [row["status"] for row in found["members"].rows()] == ["failed", "done", "done"]
    assert [row["member"] for row in found["traces"].rows()] == [1]
    before = [row for row in tables["eigenvalues"].rows() if row["member"] == 1]
    assert found["eigenvalues"].rows() == before
    assert set(found["answers"]["count"].tolist()) == {1}


def test_no_member_left_is_no_study(monkeypatch):
    context = toy.context_of(2)
    monkeypatch.setattr("modescape.core.training.work.train", toy.failing({0, 1}))
    results = perform(STUDY.tasks(context.setup, toy.sizes_of(context)), context)
    with pytest.raises(MemberFailed, match="member 0 diverged on purpose"):
        STUDY.tables(context.setup, results)


def test_a_solution_without_curvature_is_a_member_that_failed(toy_run, monkeypatch):
    context, _, _ = toy_run
    monkeypatch.setattr("modescape.core.landscape.curvature._SYMMETRIC", -1.0)
    found = perform(STUDY.tasks(context.setup, toy.sizes_of(context)), context)
    reason = found.failure("curvature/member/1")["reason"]
    assert reason.startswith("the curvature at member 1 cannot be measured: the products are not those of a symmetric")


@pytest.mark.parametrize(
    ("name", "value"),
    [("members", 0), ("top", 0), ("trace_probes", 1), ("probes", 1), ("steps", 1), ("points", 49), ("examples", 0)],
)
def test_settings_that_make_no_sense_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"{name} must be at least \d+, got {value}"):
        Curvature(**{name: value})


def eigen(member, rank, value, error=0.01):
    return {"member": member, "rank": rank, "value": value, "error": error}


def traced(member, trace, near_zero=0.9):
    return {
        "member": member,
        "examples": 2000,
        "weights": 1000,
        "trace": trace,
        "trace_error": 0.5 + member,
        "near_zero": near_zero,
        "near_zero_error": 0.001,
    }


VALUES = [eigen(0, 1, 12.0), eigen(0, 2, 8.0), eigen(0, -1, -1.2), eigen(1, 1, 20.0, 0.02), eigen(1, 2, 4.0)]
VALUES += [eigen(1, -1, -1.0)]


def test_the_answers_are_means_and_ranges():
    rows = answers(VALUES, [traced(0, 40.0), traced(1, 60.0, 0.8)]).rows()
    numbers = {row["quantity"]: (row["value"], row["least"], row["most"], row["count"]) for row in rows}
    assert numbers == {
        "largest_eigenvalue": (16.0, 12.0, 20.0, 2),
        "trace": (50.0, 40.0, 60.0, 2),
        "top_share": (pytest.approx(0.45), 0.4, 0.5, 2),
        "smallest_ratio": (pytest.approx(0.075), 0.05, pytest.approx(0.1), 2),
        "near_zero": (pytest.approx(0.85), 0.8, 0.9, 2),
    }
    told = {row["quantity"]: row["sentence"] for row in rows}
    assert "at a solution is 16 (over 2 solutions 12 to 20; each to within 0.02)" in told["largest_eigenvalue"]
    assert "for 2,000 training examples" in told["largest_eigenvalue"]
    assert "Its trace is 50 (over 2 solutions 40 to 60; each with a standard error of 1.5 at most)" in told["trace"]
    assert "its 1,000 eigenvalues have a mean of 0.05" in told["trace"]
    assert told["top_share"].startswith("The 2 largest eigenvalues are 45.0% of the trace")
    assert "below zero at 2 of 2 solutions" in told["smallest_ratio"]
    assert "7.5% as much" in told["smallest_ratio"]
    assert told["near_zero"].startswith("85.0% of the eigenvalues lie within 1% of the largest around zero")
    assert all(math.isnan(row["low"]) and math.isnan(row["high"]) for row in rows)


def test_a_smallest_eigenvalue_within_its_error_of_zero_is_not_below_it():
    flat = [eigen(0, 1, 12.0), eigen(0, -1, -0.005)]
    (*_, smallest, _) = answers(flat, [traced(0, 40.0)]).rows()
    assert smallest["sentence"].startswith("No eigenvalue below zero was found")
    (_, _, share, _, _) = answers(flat, [traced(0, 40.0)]).rows()
    assert share["sentence"] == "The largest eigenvalue is 30.0% of the trace (one solution)."


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1234567.0, "1,230,000"), (0.012345, "0.0123"), (-3.14159, "-3.14"), (1e-7, "1.00e-07")],
)
def test_curvature_of_any_magnitude_is_said(value, text):
    assert significant(value) == text
