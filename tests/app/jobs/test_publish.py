"""A run as others can read it: the same answers, no weights, nothing half written."""

import io

import numpy as np
import pytest
from PIL import Image
from references.small_recipe import small_recipe

from modescape.app.cli.main import main
from modescape.app.jobs.publish import portable, publish
from modescape.app.report.published import WIDEST, small
from modescape.app.runs.layout import Layout
from modescape.app.runs.tables_file import read_tables
from modescape.errors import RunError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    (folder / "piece.toml").write_text(small_recipe("A <b>piece</b> | of the paper"))
    with pytest.raises(SystemExit) as ended:
        main(["run", str(folder / "piece.toml"), "--out", str(folder / "piece"), "--json"])
    assert not ended.value.code
    return folder / "piece"


@pytest.fixture(scope="module")
def page(run, tmp_path_factory):
    return publish(run, tmp_path_factory.mktemp("published"))


def test_what_is_published_is_a_run_without_its_results(run, page):
    place = page.parent
    assert page.name == "index.md"
    assert sorted(path.name for path in place.iterdir()) == [
        "figures",
        "index.md",
        "journal.jsonl",
        "run.json",
        "tables",
    ]
    for name, table in read_tables(Layout(run), "trajectories").items():
        published = read_tables(Layout(place), "trajectories")[name]
        for column in table.schema.names:
            np.testing.assert_array_equal(published[column], table[column])


def test_the_page_has_every_answer_and_every_figure_as_a_small_file(run, page):
    text = page.read_text()
    answers = read_tables(Layout(run), "trajectories")["answers"].rows()
    assert all(row["sentence"].replace("<", "&lt;") in text for row in answers)
    figures = [line.partition("](")[2].rstrip(")") for line in text.splitlines() if line.startswith("![")]
    assert len(figures) >= 3
    for figure in figures:
        with Image.open(page.parent / figure) as image:
            assert image.width <= WIDEST
    assert "# A &lt;b&gt;piece&lt;/b&gt; \\| of the paper" in text
    assert "wall time" in text


def test_publishing_again_replaces_and_never_what_is_no_run(run, page, tmp_path):
    first = page.read_bytes()
    assert publish(run, page.parents[1]).read_bytes() == first
    # What is published is a run, and can be published.
    assert publish(page.parent, tmp_path).read_bytes() == first
    other = tmp_path / "other" / "piece"
    other.mkdir(parents=True)
    (other / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="is no published run; choose another folder with --to"):
        publish(run, tmp_path / "other")
    assert [path.name for path in other.iterdir()] == ["mine.txt"]
    with pytest.raises(RunError, match="onto itself"):
        publish(run, run.parent)


def test_paths_of_a_machine_become_names_of_files():
    record = {
        "settings": {"network": {"weights": ["/home/me/a.npz", "b.npz"]}, "rate": 0.1},
        "source": {"command": "modescape import --weights /home/me/a.npz --set 'studies=[\"shift\"]'"},
    }
    assert portable(record) == {
        "settings": {"network": {"weights": ["a.npz", "b.npz"]}, "rate": 0.1},
        "source": {"command": "modescape import --weights a.npz --set 'studies=[\"shift\"]'"},
    }


def test_a_run_without_tables_is_not_published(run, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "run.json").write_bytes(Layout(run).identity.read_bytes())
    with pytest.raises(RunError, match="has no tables yet"):
        publish(empty, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_a_picture_is_made_smaller_and_stays_the_same_picture():
    columns = np.linspace(0, 255, 2000).astype(np.uint8)
    wide = np.stack([np.broadcast_to(columns, (400, 2000))] * 3, axis=-1)
    stream = io.BytesIO()
    Image.fromarray(wide).save(stream, "png")
    with Image.open(io.BytesIO(small(stream.getvalue()))) as image:
        assert image.size == (WIDEST, 200)
        found = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(found - wide[::2, ::2].astype(int)).max() <= 2
