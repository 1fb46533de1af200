"""Stored results: whole, read by the pages that show them, and judged again to the same card."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"


@pytest.fixture(scope="module")
def render():
    spec = importlib.util.spec_from_file_location("render_pages", ROOT / "pages" / "render.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_page_is_what_the_stored_results_give(render):
    assert [place.relative_to(ROOT).as_posix() for place in render.stale()] == []


def test_a_number_that_was_changed_by_hand_is_noticed(render, monkeypatch, tmp_path):
    text = (ROOT / "README.md").read_text()
    (found,) = re.findall(r"(\S+) of test images", text)
    changed = tmp_path / "README.md"
    changed.write_text(text.replace(f"{found} of test images", "99.9% of test images"))
    pages = list(render.pages())
    monkeypatch.setattr(
        render, "pages", lambda: [(changed, given) for place, given in pages if place.name == "README.md"]
    )
    assert render.stale() == [changed]


def test_every_stored_run_is_whole_and_has_its_figures(render):
    runs = render.stored_runs()
    assert "cifar10-small-cnn" in runs
    for run in runs.values():
        page = (run.root / "index.md").read_text()
        figures = re.findall(r"\]\((figures/[^)]+)\)", page)
        assert figures
        assert all((run.root / figure).is_file() for figure in figures)
        # Tables are read with their digests.
        assert len(run.table("trajectories.answers" if run.has("trajectories") else "ensembling.answers")) > 2
        assert not (run.root / "results").exists()
        settings = (run.root / "run.json").read_text()
        assert not re.search(r'"/(home|root|tmp|work|Users)/', settings)


def test_missing_numbers_are_errors_and_no_gaps(render):
    run = render.stored_runs()["cifar10-small-cnn"]
    with pytest.raises(LookupError, match="0 rows with"):
        run.answer("trajectories", "nonsense")
    with pytest.raises(LookupError, match="no study nonsense"):
        run.table("nonsense.answers")


def test_numbers_are_written_as_readers_expect(render):
    number = render.Number(0.12345, 0.1, 0.2, float("nan"), float("nan"))
    assert (render.percent(number), render.points(number), render.plain(number)) == ("12.3%", "+12.3", "0.12")
    assert (render.interval(number, 1, True), render.spread(number)) == ("10.0 to 20.0", "")
    assert [render.worth(value) for value in (1.0, 1.34, float("inf"))] == [
        "at most 1",
        "1.3",
        "more than were trained",
    ]
