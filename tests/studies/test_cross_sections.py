"""The study ``cross_sections`` end to end on a toy problem, every evaluated point against networks built by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from references import slow, toy

from modescape.core.models.batch_norm import refresh_statistics
from modescape.core.seeds import generator, global_generator
from modescape.core.weights import Weights, load_into
from modescape.errors import MemberFailed
from modescape.studies import section_measures
from modescape.studies.abstract import Job, Pad, Result
from modescape.studies.cross_sections import CrossSections, measure_sections
from modescape.studies.members import own_parts, part_of, statistics_of, trajectory
from modescape.tables import CROSS_SECTIONS

pytestmark = pytest.mark.study

KINDS = ("sector", "plane", "principal", "random", "hessian", "gradient", "line", "ray")
STUDY = CrossSections(
    examples=40,
    train_examples=30,
    kinds=KINDS,
    layouts=("oblique", "orthonormal"),
    lines=2,
    rays=1,
    grid=9,
    points=9,
    tolerance=0.05,
    drawn=("diagonal_gaussian",),
    count=3,
    magnified=50.0,
)


@pytest.fixture(scope="module")
def toy_run():
    torch.set_num_threads(1)
    context = toy.context_of(3)
    return context, *toy.performed(context, STUDY)


def path_of(context, results, member):
    names = [t.name for t in STUDY.tasks(context.setup, toy.sizes_of(context)) if t.name.startswith("train/")]
    job = Job({}, {n: lambda n=n: results.read(n) for n in names})
    return trajectory(own_parts(job, member), member)


def values(tables, section, quantity):
    """(row, column) -> value, and whether it was evaluated."""
    return {
        (row["row"], row["column"]): (row["value"], row["evaluated"])
        for row in tables["grid"].rows()
        if row["section"] == section and row["quantity"] == quantity
    }


def by_hand(context, vector, like):
    """Logits on the 40 chosen test examples of a network with these weights, its batch norm computed anew."""
    with global_generator(0, "hand"):
        module = context.build().double()
    params, start = {}, 0
    for name, tensor in like.params.items():
        size = tensor[0].numel()
        params[name] = vector[start : start + size].reshape(tensor.shape)
        start += size
    load_into(module, Weights(params, like.buffers, (0,)), 0)
    statistics = statistics_of(context, module)
    refresh_statistics(module, [context.scaling(statistics.inputs).double()])
    rows = torch.randperm(90, generator=generator(context.setup.seed, "examples", "test"))[:40].sort().values
    split = part_of(context.splits["test"], rows)
    with torch.no_grad():
        return module(context.scaling(split.inputs).double()), split.targets


def flat(weights):
    return torch.cat([t[0].double().ravel() for t in weights.params.values()])


def test_there_is_every_table_and_every_section(toy_run):
    _, _, tables = toy_run
    assert {name: table.schema for name, table in tables.items()} == CROSS_SECTIONS
    names = tables["sections"]["section"].tolist()
    around = [f"{kind}/0" for kind in ("principal", "random", "hessian", "gradient", "ray")]
    through = ["sector/oblique/0-1", "sector/orthonormal/0-1", "plane/0-1-2", "line/0-1", "line/0-2"]
    assert sorted(names) == sorted([*around, *through])
    sizes = dict(zip(names, zip(tables["sections"]["rows"], tables["sections"]["columns"], strict=True), strict=True))
    assert sizes["line/0-1"] == (9, 1) and sizes["random/0"] == (9, 9)
    # Angles have 0, 45 and 90 degrees among them, whatever was asked for.
    assert sizes["sector/oblique/0-1"] == (9, 17)
    assert [row["status"] for row in tables["members"].rows()] == ["done"] * 3


def test_points_of_a_sector_equal_networks_built_by_hand(toy_run):
    context, results, tables = toy_run
    ends = [path_of(context, results, member).solution for member in (0, 1)]
    references = [by_hand(context, flat(end), ends[0])[0] for end in ends]
    found = {
        q: values(tables, "sector/oblique/0-1", q) for q in ("nll", "accuracy", "disagreement/1", "jensen_shannon/0")
    }
    checked = 0
    for place in [(0, 0), (2, 3), (4, 3), (8, 16), (4, 13)]:
        radius, angle = place[0] * 2.0 / 8, math.radians(-27 + place[1] * 9)
        vector = radius * (math.cos(angle) * flat(ends[0]) + math.sin(angle) * flat(ends[1]))
        logits, targets = by_hand(context, vector, ends[0])
        rows = [slow.softmax(row) for row in logits.tolist()]
        nll = -np.mean([math.log(row[t]) for row, t in zip(rows, targets.tolist(), strict=True)])
        if found["nll"][place][1]:
            checked += 1
            assert found["nll"][place][0] == pytest.approx(nll, abs=2e-5)
            accuracy = float((logits.argmax(-1) == targets).double().mean())
            assert found["accuracy"][place][0] == pytest.approx(accuracy, abs=1e-12)
            apart = float((logits.argmax(-1) != references[1].argmax(-1)).double().mean())
            assert found["disagreement/1"][place][0] == pytest.approx(apart, abs=1e-12)
            pairs = zip(logits.tolist(), references[0].tolist(), strict=True)
            mean = np.mean([slow.jensen_shannon(pair) for pair in pairs])
            assert found["jensen_shannon/0"][place][0] == pytest.approx(mean, abs=2e-5)
    assert checked >= 2


def test_a_line_passes_through_its_solutions_and_a_ray_through_its_own(toy_run):
    context, results, tables = toy_run
    for section, member, reference in (("line/0-1", 0, 0), ("ray/0", 0, 0)):
        rows = [r for r in tables["grid"].rows() if r["section"] == section]
        at = {r["quantity"]: r for r in rows if abs(r["a"] - (0.0 if section.startswith("line") else 1.0)) < 1e-12}
        logits, targets = by_hand(
            context, flat(path_of(context, results, member).solution), path_of(context, results, 0).solution
        )
        assert at["accuracy"]["value"] == float((logits.argmax(-1) == targets).double().mean())
        assert at[f"disagreement/{reference}"]["value"] == 0
        assert at[f"normalised_similarity/{reference}"]["value"] == 1
        assert at[f"jensen_shannon/{reference}"]["value"] == pytest.approx(0, abs=1e-12)
        assert all(r["evaluated"] for r in rows)


def test_what_follows_from_other_quantities_does(toy_run):
    _, _, tables = toy_run
    one = {q: values(tables, "plane/0-1-2", q) for q in set(tables["grid"]["quantity"].tolist())}
    for place, (apart, _) in one["disagreement/2"].items():
        error = 1 - one["accuracy"][place][0]
        assert one["similarity/2"][place][0] == pytest.approx(1 - apart)
        if error > 0:
            assert one["normalised_disagreement/2"][place][0] == pytest.approx(apart / error)
            assert one["normalised_similarity/2"][place][0] == pytest.approx(1 - apart / error)


def test_a_plane_is_drawn_at_true_distances_and_shows_its_solutions_within_the_window(toy_run):
    context, results, tables = toy_run
    ends = [flat(path_of(context, results, member).solution) for member in range(3)]
    marks = [r for r in tables["marks"].rows() if (r["section"], r["kind"]) == ("plane/0-1-2", "solution")]
    assert [m["member"] for m in marks] == [0, 1, 2]
    for a in marks:
        assert a["distance"] < 1e-5
        for b in marks:
            apart = float((ends[a["member"]] - ends[b["member"]]).norm())
            assert math.dist((a["x"], a["y"]), (b["x"], b["y"])) == pytest.approx(apart, rel=1e-5, abs=1e-6)
    grid = [r for r in tables["grid"].rows() if r["section"] == "plane/0-1-2"]
    for axis in "xy":
        assert min(r[axis] for r in grid) < min(m[axis] for m in marks)
        assert max(r[axis] for r in grid) > max(m[axis] for m in marks)


def test_marks_are_projections_and_drawn_members_are_magnified_around_their_solution(toy_run):
    context, results, tables = toy_run
    marks = [r for r in tables["marks"].rows() if r["section"] == "sector/oblique/0-1"]
    paths = [path_of(context, results, member) for member in (0, 1)]
    basis = torch.stack([flat(path.solution) for path in paths]).numpy()
    for row in marks:
        if row["kind"] in ("initialisation", "checkpoint", "solution"):
            vector = flat(paths[row["member"]].weights[row["number"]]).numpy()
            wanted, *_ = np.linalg.lstsq(basis.T, vector, rcond=None)
            assert (row["x"], row["y"]) == pytest.approx(tuple(wanted), abs=1e-6)
            assert row["distance"] == pytest.approx(np.linalg.norm(vector - wanted @ basis), abs=1e-5)
            assert row["magnified"] == 1
    kinds = [row["kind"] for row in marks]
    assert [kinds.count(k) for k in ("initialisation", "checkpoint", "solution", "origin")] == [2, 10, 2, 1]
    drawn = [row for row in marks if row["kind"] == "diagonal_gaussian"]
    assert len(drawn) == 6 and {row["magnified"] for row in drawn} == {50.0}


def test_members_drawn_are_magnified_around_their_mean(toy_run):
    context, results, tables = toy_run
    (task,) = [t for t in STUDY.tasks(context.setup, toy.sizes_of(context)) if t.name.endswith("sector/oblique/0-1")]
    inputs = {n: lambda s=source: results.read(s) for n, source in task.inputs.items()}
    *_, last = measure_sections(context, [Job({**task.arguments, "magnified": 1.0}, inputs)])
    for member in (0, 1):
        rows = [
            n for n, label in enumerate(last.result.facts["marks"]) if tuple(label[:2]) == ("diagonal_gaussian", member)
        ]
        true = torch.stack([last.result.files["marks"][axis][rows] for axis in "xy"], dim=1)
        marks = [r for r in tables["marks"].rows() if r["section"] == "sector/oblique/0-1"]
        shown = torch.tensor(
            [(r["x"], r["y"]) for r in marks if (r["kind"], r["member"]) == ("diagonal_gaussian", member)]
        )
        assert torch.allclose(shown.double(), true.mean(0) + 50 * (true - true.mean(0)), atol=1e-5)
        assert not torch.allclose(shown.double(), true, atol=1e-3)


def test_errors_tell_how_far_off_interpolation_is(toy_run):
    _, _, tables = toy_run
    errors = {(r["section"], r["quantity"]): r for r in tables["errors"].rows()}
    assert errors["line/0-1", "nll"]["checked"] == 0
    sector = errors["sector/oblique/0-1", "nll"]
    evaluated = dict(zip(tables["sections"]["section"], tables["sections"]["evaluated"], strict=True))
    told = [evaluated for _, evaluated in values(tables, "sector/oblique/0-1", "nll").values()]
    assert sum(told) == evaluated["sector/oblique/0-1"]
    assert (sector["checked"] > 0) == (sum(told) < 9 * 17)


def test_answers_are_read_off_the_grid(toy_run):
    _, _, tables = toy_run
    answers = {row["quantity"]: row for row in tables["answers"].rows()}
    accuracy = [values(tables, f"line/0-{other}", "accuracy") for other in (1, 2)]
    half = [one[4, 0][0] for one in accuracy]  # nine points from -0.5 to 1.5: the fifth is half way
    assert answers["accuracy_half_way"]["value"] == pytest.approx(np.mean(half))
    assert answers["accuracy_half_way"]["count"] == 2
    sector = values(tables, "sector/oblique/0-1", "accuracy")
    assert answers["accuracy_between_oblique"]["value"] == sector[4, 8][0]  # radius 1, 45 degrees
    assert all(np.isfinite(row["value"]) or "no such number" in row["sentence"] for row in answers.values())


class Kept(Pad):
    """A pad in memory that stops the work after so many pieces."""

    def __init__(self, pieces=(), most=None):
        self.pieces, self.most = list(pieces), most

    def read(self):
        return iter(list(self.pieces))

    def put(self, piece):
        self.pieces.append(piece)
        if len(self.pieces) == self.most:
            raise RuntimeError("stopped")


def test_a_cross_section_that_was_stopped_goes_on_point_by_point_and_ends_the_same(toy_run, monkeypatch):
    context, results, _ = toy_run
    (task,) = [t for t in STUDY.tasks(context.setup, toy.sizes_of(context)) if t.name.endswith("section/random/0")]
    inputs = {n: lambda s=source: results.read(s) for n, source in task.inputs.items()}
    calls = []
    measure = section_measures.Measurer.__call__
    monkeypatch.setattr(section_measures.Measurer, "__call__", lambda self, w: calls.append(len(w)) or measure(self, w))
    pad = Kept(most=2)
    *_, stopped = measure_sections(context, [Job(task.arguments, inputs, pad)])
    assert str(stopped.error) == "stopped"
    before = sum(calls)
    assert before == sum(len(piece["values"]) for piece in pad.pieces) > 0
    calls.clear()
    *_, last = measure_sections(context, [Job(task.arguments, inputs, Kept(pad.pieces))])
    whole: Result = results.read(task.name)
    for group, tensors in whole.files.items():
        for name, tensor in tensors.items():
            assert torch.equal(last.result.files[group][name].nan_to_num(), tensor.nan_to_num()), name
    assert sum(calls) == whole.facts["evaluated"] - before


def test_a_network_without_finite_logits_has_no_value_and_keeps_none_from_its_neighbours(toy_run):
    context, results, _ = toy_run
    solution = path_of(context, results, 0).solution
    asked = section_measures.Asked(context.splits["test"], context.splits["train"], {}, (0,))
    measurer = section_measures.Measurer(context, asked, [solution])
    broken = {name: torch.cat([t, t * (math.nan if "5" in name else 1.0)]) for name, t in solution.params.items()}
    buffers = {name: torch.cat([t, t]) for name, t in solution.buffers.items()}
    found = measurer(Weights(broken, buffers, (0, 0)))
    assert found[0].isfinite().all()
    assert found[1].isnan().all()


def test_detection_of_unknown_inputs_is_the_share_of_pairs_in_order(toy_run):
    context, results, _ = toy_run
    solution = path_of(context, results, 0).solution
    strange = toy.blobs(25, 9)
    asked = section_measures.Asked(context.splits["test"], None, {"strange": strange}, ())
    found = section_measures.Measurer(context, asked, [])(solution)
    assert asked.quantities[-1] == "detection/strange"
    measurer = section_measures.Measurer(context, asked, [])
    spare = [
        1 - measurer._logits(solution, split)[0].double().softmax(-1).amax(-1)
        for split in (context.splits["test"], strange)
    ]
    pairs = [(float(b > a) + 0.5 * float(b == a)) for a in spare[0] for b in spare[1]]
    assert float(found[0, -1]) == pytest.approx(np.mean(pairs), abs=1e-9)


def test_what_cannot_be_shown_is_told_and_the_rest_is_shown(toy_run):
    context, results, _ = toy_run
    tasks = {t.arguments["name"]: t for t in STUDY.tasks(context.setup, toy.sizes_of(context)) if "section/" in t.name}
    task = tasks["plane/0-1-2"]
    same = {n: (lambda s=source: results.read(s.replace("member/2", "member/1"))) for n, source in task.inputs.items()}
    *_, last = measure_sections(context, [Job(task.arguments, same)])
    assert isinstance(last.error, MemberFailed)
    assert "plane/0-1-2" in str(last.error) and "depend on each other" in str(last.error)


def test_settings_that_cannot_be_are_refused():
    for field, message in (
        ({"kinds": ()}, "kinds is empty"),
        ({"layouts": ()}, "layouts is empty"),
        ({"grid": 3}, "grid must be at least 5"),
        ({"tolerance": 1.0}, "tolerance must lie in"),
        ({"magnified": 0.5}, "magnified must be at least 1"),
        ({"extent": 0.0}, "extent must be above 0"),
        ({"train_examples": -1}, "train_examples must be 0 or more"),
        ({"drawn": ("nothing",)}, "there is no subspace"),
    ):
        with pytest.raises(ValueError, match=message):
            CrossSections(**field)
    context = toy.context_of(2)
    noisy = replace(toy.sizes_of(context), noisy="it draws random numbers")
    with pytest.raises(ValueError, match="draws random numbers"):
        CrossSections().tasks(context.setup, noisy)
    for study, message in (
        (CrossSections(split="tset"), "there is no split 'tset'"),
        (CrossSections(unknown=("svhn",)), "no unknown inputs 'svhn'"),
        (CrossSections(kinds=("plane",)), "2 networks have none of the cross-sections"),
    ):
        with pytest.raises(ValueError, match=message):
            study.tasks(context.setup, toy.sizes_of(context))


def test_points_of_a_plane_are_the_networks_at_the_places_where_they_are_drawn(toy_run):
    context, results, tables = toy_run
    ends = [path_of(context, results, member).solution for member in range(3)]
    first, across, upwards = flat(ends[0]), flat(ends[1]) - flat(ends[0]), flat(ends[2]) - flat(ends[0])
    across = across / across.norm()
    upwards = upwards - (upwards @ across) * across
    upwards = upwards / upwards.norm()
    rows = [r for r in tables["grid"].rows() if (r["section"], r["quantity"]) == ("plane/0-1-2", "nll")]
    evaluated = [r for r in rows if r["evaluated"]]
    for row in evaluated[:: len(evaluated) // 4]:
        assert (row["x"], row["y"]) == pytest.approx((row["a"], row["b"]), abs=1e-9)
        logits, targets = by_hand(context, first + row["x"] * across + row["y"] * upwards, ends[0])
        losses = -logits.log_softmax(-1).gather(-1, targets[:, None])
        assert row["value"] == pytest.approx(float(losses.mean()), rel=1e-4)
