"""The figures of ensembles: their numbers, captions that name who leads, and drawings of what breaks easily."""

from typing import Any

import made_up_ensembles as made_up
import matplotlib
import numpy as np
import pytest

from modescape.app.report.ensembles import Ensemble
from modescape.app.report.figures import detection, equivalents, families, severity, size_curves, worth
from modescape.app.report.figures.catalogue import FIGURES
from modescape.app.report.figures.image import encode
from modescape.app.report.figures.kinds import BOOTSTRAP, CYCLE_ENDS, INDEPENDENT, LATE, TRAJECTORY, look_of
from modescape.app.report.figures.omitted import Omitted
from modescape.ensemble_tables import COSTS, DETECTION, EQUIVALENTS, FORECAST, SCORES, SEVERITIES
from modescape.tables import Table, from_rows

NAN, INF = float("nan"), float("inf")
TWO = ("independent", "swag")
Tables = dict[str, Table]
EVERY = [pytest.param(module, id=stem) for study in ("ensembling", "shift") for stem, module in FIGURES[study]]


def tables_of(methods: tuple[str, ...] = TWO, networks: int = 5) -> Tables:
    """The tables of ``ensembling``."""
    return made_up.ensembling(methods, networks)


def shifted(methods: tuple[str, ...] = TWO, **changes: Any) -> Tables:
    """The tables of ``shift``."""
    return made_up.shift(methods, **changes)


def tables_for(module: Any, methods: tuple[str, ...] = TWO, small: bool = False) -> Tables:
    """The tables of the study that a figure belongs to; the smallest if asked for."""
    if module in (size_curves, worth, equivalents):
        return tables_of(methods, 2 if small else 5)
    if not small:
        return shifted(methods)
    return shifted(methods, sizes=(1, 2), severities=(3,), families=("fog",), unknown=("svhn",))


def edited(tables: Tables, name: str, **columns: Any) -> Tables:
    """The tables with other columns in one of them; a function is told the old column."""
    old = tables[name]
    new = {column: change(old[column].copy()) if callable(change) else change for column, change in columns.items()}
    return {**tables, name: Table(old.schema, {**old.columns, **new})}


def raised(table: Table, wanted: dict[str, Any], value: float) -> Table:
    """The table with another value in the rows that are as wanted."""
    rows = [{**row, "value": value} if wanted.items() <= row.items() else row for row in table.rows()]
    return from_rows(table.schema, rows)


def test_size_curves_have_all_members_of_every_method_and_the_forecast() -> None:
    found = size_curves.numbers(tables_of())
    assert found.methods == TWO
    nll = found.scores["calibrated_nll"]
    assert set(nll) == {Ensemble(m, n, c) for m, c in (("independent", 1), ("swag", 10)) for n in range(1, 6)}
    assert nll[Ensemble("independent", 2, 1)].value == pytest.approx(0.925)
    assert nll[Ensemble("independent", 2, 1)].most == pytest.approx(0.935)
    assert found.forecast is not None and found.forecast.fitted == 4
    assert found.forecast.value[[0, 19]] == pytest.approx([1.05, 0.8125])
    assert np.isfinite(found.forecast.measured).sum() == 5


def test_the_caption_of_size_curves_names_the_leaders_and_tells_whether_the_forecast_held() -> None:
    tables = tables_of()
    text = size_curves.caption(size_curves.numbers(tables))
    low = made_up.level("swag", 1, 10, TWO)
    assert f"from one network is that of SWAG of one network, 10 members, {low:.3f} (95% interval" in text
    assert "from 5, of SWAG of 5 networks, 10 members each, " in text
    assert (
        "for 20, 0.812 (95% interval 0.806 to 0.818)" in text or "for 20, 0.812 (95% interval 0.806 to 0.819)" in text
    )
    assert "for 5, 0.850 was measured, within its interval (0.844 to 0.856)." in text
    missed = edited(tables, "forecast", measured=lambda old: old + 0.1)
    assert "0.950 was measured, outside its interval" in size_curves.caption(size_curves.numbers(missed))
    better = raised(tables["scores"], {"method": "independent", "solutions": 1, "score": "calibrated_nll"}, 0.5)
    assert "is that of one network, 0.500" in size_curves.caption(size_curves.numbers({**tables, "scores": better}))


def test_only_two_bands_are_drawn_for_many_methods() -> None:
    assert size_curves.numbers(tables_of()).banded == set(TWO)
    many = size_curves.numbers(tables_of(made_up.TWELVE))
    assert many.banded == {"independent", "laplace"}
    assert "(of independent networks and Laplace)" in size_curves.caption(many)


def test_worth_has_both_costs_and_their_frontiers() -> None:
    found = worth.numbers(tables_of(networks=2))
    training, passes = found.panels
    assert training.costs[Ensemble("swag", 2, 5)] == pytest.approx(2.04)
    assert passes.costs[Ensemble("swag", 2, 5)] == 10
    # A network costs nearly what it costs with members around it, and is no rival there; by passes it is.
    assert training.frontier == (Ensemble("swag", 1, 10), Ensemble("swag", 2, 10))
    assert passes.frontier == (
        Ensemble("independent", 1, 1), Ensemble("independent", 2, 1), Ensemble("swag", 2, 5), Ensemble("swag", 2, 10)
    )  # fmt: skip
    text = worth.caption(found)
    assert f"that of SWAG of 2 networks, 10 members each: {made_up.level('swag', 2, 10, TWO):.3f} (95%" in text
    assert "of training: SWAG of one network, 10 members (at 1.02), SWAG of 2 networks" in text
    assert "of prediction: one network (at 1), SWAG of 2 networks, 5 members each (at 10), SWAG" in text


def test_worth_without_known_costs_has_passes_and_independent_networks() -> None:
    tables = {**tables_of(), "costs": from_rows(COSTS, [])}
    training, passes = worth.numbers(tables).panels
    assert {one.method for one in training.costs} == {"independent"}
    assert {one.method for one in passes.costs} == set(TWO)


def worth_rows(*rows: tuple[str, float, float, float]) -> Tables:
    known = [("independent", n, float(n), float(n), float(n)) for n in range(1, 11)]
    every = [*known, *((m, 1, *rest) for m, *rest in rows)]
    columns = ("method", "solutions", "equivalent", "low", "high")
    return {
        "equivalents": made_up.table(
            EQUIVALENTS, [{"samples": 1, **dict(zip(columns, row, strict=True))} for row in every]
        )
    }


def test_equivalents_are_sorted_and_say_what_lies_beyond() -> None:
    found = equivalents.numbers(
        worth_rows(("late_checkpoints", 1, 1, 1.2), ("laplace", 2.5, 2, 3), ("swag", INF, 4, INF))
    )
    assert found.networks == 10
    assert [one.method for one, _ in found.worth] == ["swag", "laplace", "late_checkpoints"]
    text = equivalents.caption(found)
    assert "SWAG of one network is worth most: more than 10 (95% interval 4.0 to more than 10)." in text
    assert text.endswith("1 of 3 are worth no more than one network.")
    drawn = [text.get_text() for text in equivalents.draw(found).axes[0].texts]
    assert "more than 10" in drawn
    nothing = equivalents.numbers(worth_rows(("swag", 1, 1, 1), ("laplace", 1, 1, NAN)))
    assert equivalents.caption(nothing).endswith("No method is worth more than one network.")
    assert [text.get_text() for text in equivalents.draw(nothing).axes[0].texts].count("at most 1") == 2


def test_severity_has_one_network_and_most() -> None:
    found = severity.numbers(shifted(severities=(1, 5)))
    assert (found.severities, found.most, found.methods) == ([0, 1, 5], 5, TWO)
    right = found.scores["accuracy"][5]
    assert set(right) == {Ensemble(m, n, c) for m, c in (("independent", 1), ("swag", 10)) for n in (1, 5)}
    assert right[Ensemble("independent", 5, 1)].value == pytest.approx(1.02 - 0.33 * 0.85 * 1.3)
    assert Ensemble("independent", 1, 1) not in found.scores["jensen_shannon"][5]


def test_the_caption_of_severity_names_the_most_accurate_and_the_most_diverse() -> None:
    tables = shifted(severities=(1, 5))
    text = severity.caption(severity.numbers(tables))
    assert "accuracy falls for one network from 67.3% to 57.0%, for 5 independent networks from 74.0% to 65.5%" in text
    assert "At severity 5 the most accurate is SWAG of 5 networks, 10 members each: " in text
    assert "The most diverse members are those of 5 independent networks: " in text
    wanted = {"method": "swag", "solutions": 1, "samples": 10, "score": "jensen_shannon", "severity": 5}
    other = {**tables, "severities": raised(tables["severities"], wanted, 0.9)}
    assert "are those of SWAG of one network, 10 members: 0.900" in severity.caption(severity.numbers(other))


def test_families_are_sorted_by_what_they_cost() -> None:
    found = families.numbers(shifted(severities=(1, 5), families=("contrast", "fog", "snow")))
    assert (found.families, found.severities) == (("snow", "fog", "contrast"), (1, 5))
    assert found.ensemble == Ensemble("independent", 5, 1)
    assert found.accuracy[0] == pytest.approx([1.02 - 0.33 * 0.85 * (1 + pain) for pain in (0.06, 0.3)])
    assert found.gain[2] == pytest.approx([0.33 * 0.2 * (1 + pain) for pain in (0.02, 0.1)])
    assert found.clean == pytest.approx(1.02 - 0.33 * 0.85)
    text = families.caption(found)
    assert "under 3 corruptions" in text and "At severity 5, snow leaves 65.5% and contrast 71.1%" in text
    assert "most, +8.6, for snow at severity 5." in text


def test_a_family_that_was_not_measured_at_a_severity_leaves_a_gap() -> None:
    tables = shifted(severities=(1, 5), families=("contrast", "fog"))
    rows = [row for row in tables["scores"].rows() if row["split"] != "shift/fog/5"]
    found = families.numbers({**tables, "scores": from_rows(SCORES, rows)})
    assert np.isnan(found.accuracy[found.families.index("fog"), 1])
    assert "nan" not in families.caption(found)
    assert encode(families.draw(found), "png")


def test_one_network_has_no_gain() -> None:
    found = families.numbers(shifted(sizes=(1,)))
    assert "gain" not in families.caption(found)
    assert len(families.draw(found).axes) == 1


def test_detection_shows_one_network_the_largest_ensemble_and_the_best_other_method() -> None:
    found = detection.numbers(shifted((*TWO, "laplace")))
    assert list(found.datasets) == ["svhn", "textures"]
    shown = [Ensemble("independent", 1, 1), Ensemble("independent", 5, 1), Ensemble("laplace", 5, 10)]
    assert [row.ensemble for row in found.datasets["svhn"]] == shown
    assert found.datasets["svhn"][0].scores["energy"].value == pytest.approx(0.78)
    text = detection.caption(found)
    assert "svhn is noticed best by Laplace of 5 networks, 10 members each with the energy, AUROC " in text
    assert "one network reaches 0.780 (95% interval 0.774 to 0.786) with the energy." in text


def test_the_caption_of_detection_follows_the_numbers() -> None:
    tables = shifted(unknown=("svhn",))
    wanted = {"method": "independent", "solutions": 1, "detector": "entropy", "score": "auroc"}
    other = {**tables, "detection": raised(tables["detection"], wanted, 0.999)}
    text = detection.caption(detection.numbers(other))
    assert "svhn is noticed best by one network with the entropy, AUROC 0.999" in text
    assert "one network reaches" not in text


def clean_alone(table: Table) -> Table:
    return from_rows(
        table.schema, [row for row in table.rows() if row.get("severity", row.get("split")) in (0, "test")]
    )


@pytest.mark.parametrize(
    ("module", "tables", "words"),
    [
        (size_curves, tables_of(networks=1), "several networks"),
        (size_curves, {**tables_of(), "scores": from_rows(SCORES, [])}, "several networks"),
        (worth, tables_of(("independent",), networks=1), "fewer than two"),
        (equivalents, tables_of(("independent",)), "no method to compare"),
        (equivalents, tables_of(networks=1), "ensemble of independent networks"),
        (severity, {"severities": clean_alone(shifted()["severities"])}, "no corrupted inputs"),
        (severity, {"severities": from_rows(SEVERITIES, [])}, "no corrupted inputs"),
        (families, {"scores": clean_alone(shifted()["scores"])}, "no corrupted inputs"),
        (detection, shifted(unknown=()), "no unknown inputs"),
        (detection, {"detection": from_rows(DETECTION, [])}, "no unknown inputs"),
    ],
)
def test_without_its_numbers_a_figure_is_omitted_with_a_sentence(module: Any, tables: Tables, words: str) -> None:
    with pytest.raises(Omitted, match=rf"^Omitted: .*{words}.*\.$"):
        module.numbers(tables)


def drawn(module: Any, tables: Tables) -> Any:
    found = module.numbers(tables)
    text = module.caption(found)
    assert text.endswith(".") and "nan" not in text
    figure = module.draw(found)
    assert encode(figure, "png").startswith(b"\x89PNG")
    return figure


@pytest.mark.parametrize("module", EVERY)
@pytest.mark.parametrize("methods", [TWO, (*made_up.TWELVE, "bootstrap", "a_new_one")], ids=["two", "many"])
def test_every_figure_draws_from_the_smallest_and_from_many(module: Any, methods: tuple[str, ...]) -> None:
    drawn(module, tables_for(module, methods, small=True))


@pytest.mark.parametrize("module", [size_curves, worth, severity, families, detection])
def test_independent_networks_alone_can_be_drawn(module: Any) -> None:
    drawn(module, tables_for(module, ("independent",), small=True))


@pytest.mark.parametrize("module", EVERY)
def test_intervals_and_values_that_do_not_exist_can_be_drawn(module: Any) -> None:
    whole = tables_for(module)
    tables, lost = whole, whole
    for name in {"scores", "severities", "detection", "equivalents", "forecast"} & set(whole):
        nothing = np.full(len(tables[name]), NAN)
        tables = edited(tables, name, low=nothing, high=nothing)
    drawn(module, tables)
    for name in {"scores", "severities", "detection", "forecast"} & set(whole):
        half = np.where(np.arange(len(lost[name])) % 7 == 3, NAN, lost[name]["value"])
        lost = edited(lost, name, value=np.where(np.arange(len(half)) % 11 == 5, INF, half))
    drawn(module, lost)


@pytest.mark.parametrize("module", EVERY)
def test_same_bytes_whatever_the_users_settings(module: Any) -> None:
    found = module.numbers(tables_for(module))
    once = [encode(module.draw(found), form) for form in ("png", "svg")]
    with matplotlib.rc_context({"font.size": 30, "svg.hashsalt": "another", "axes.titlelocation": "left"}):
        assert [encode(module.draw(found), form) for form in ("png", "svg")] == once


@pytest.mark.parametrize("module", [size_curves, worth, severity])
def test_the_legend_covers_no_curve(module: Any) -> None:
    figure = drawn(module, tables_for(module, (*made_up.TWELVE, "bootstrap")))
    figure.canvas.draw()
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    (legend,) = figure.legends
    assert all(not legend.get_window_extent().overlaps(box) for box in boxes)
    left, right = figure.bbox.x0, figure.bbox.x1
    assert left <= legend.get_window_extent().x0 and legend.get_window_extent().x1 <= right


def test_a_method_looks_the_same_whoever_stands_beside_it() -> None:
    assert look_of("swag", ["swag"]) == look_of("swag", made_up.TWELVE)
    assert look_of(LATE, []) == look_of(TRAJECTORY, [])
    everything = (*made_up.TWELVE, "variational", BOOTSTRAP, CYCLE_ENDS, "a_new_one", "another")
    looks = {look_of(name, everything)[:2] for name in set(everything)}
    assert len(looks) == len(set(everything))
    assert look_of(INDEPENDENT, everything).marker == "*"


def test_no_forecast_no_dashes() -> None:
    tables = {**tables_of(), "forecast": from_rows(FORECAST, [])}
    found = size_curves.numbers(tables)
    assert found.forecast is None and "foretell" not in size_curves.caption(found)
    assert "foretold" not in " ".join(t.get_text() for t in size_curves.draw(found).legends[0].get_texts())
