"""The surface that can be turned: which scripts a page may run, what they are given, and what a browser makes of it."""

import base64
import html
import json
import re
import shutil
import subprocess
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_sections import NAN, sections
from test_report_page import Page

from modescape.app.report import scripts
from modescape.app.report.figures import section_surface
from modescape.app.report.page import write_report
from modescape.app.report.record import RunRecord
from modescape.tables import CROSS_SECTIONS, Table

Tables = dict[str, Table]
HOSTILE = "</script><script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\"><!--<b>\u2028&amp;"
REPORT = files("modescape.app.report")
FLAT = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def spoilt(name: str, values: dict[str, np.ndarray]) -> None:
    values["nll"][1, -1] = np.inf
    if name.startswith("plane"):
        values["disagreement/0"][2, 1] = NAN


def hostile() -> Tables:
    """Every text of the tables that can be hostile is."""
    tables = sections(6, spoilt, kinds=("plane", "sector"))
    for name in ("sections", "grid", "errors", "marks"):
        columns: dict[str, Any] = dict(tables[name].columns)
        for column in {"section", "axis_a", "axis_b", "split"} & columns.keys():
            columns[column] = np.array([f"{value} {HOSTILE}" for value in columns[column]])
        if "quantity" in columns:
            columns["quantity"] = np.array([q.replace("accuracy", f"detection/{HOSTILE}") for q in columns["quantity"]])
        tables[name] = Table(CROSS_SECTIONS[name], columns)
    return tables


def record(tables: Tables) -> RunRecord:
    return RunRecord(title="A title", run_name="run", command="x", tables={"cross_sections": tables})


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(record(hostile()), tmp_path_factory.mktemp("surface"))


def elements(page: str) -> list[tuple[str, str]]:
    """Attributes and text of every script element, as a browser cuts them out."""
    return re.findall(r"<script([^>]*)>(.*?)</script>", page, re.DOTALL)


def test_the_bundle_is_the_one_that_was_published() -> None:
    content = REPORT.joinpath(scripts.BUNDLE).read_bytes()
    assert sha256(content).hexdigest() == scripts.DIGEST
    told = REPORT.joinpath("vendor/README.md").read_text("utf-8")
    (version,) = re.findall(rb"plotly\.js \(gl3d - minified\) v(\S+)", content)
    assert scripts.DIGEST in told
    assert f"version {version.decode()}" in told
    assert "MIT License" in REPORT.joinpath("vendor/LICENSE").read_text("utf-8")
    held = {path.name for path in REPORT.joinpath("vendor").iterdir()}
    assert held == {"plotly-gl3d.min.js", "LICENSE", "README.md"}


@pytest.mark.parametrize("name", [scripts.BUNDLE, "surface.js"])
def test_a_script_stands_in_a_page_as_it_is(name: str) -> None:
    content = REPORT.joinpath(name).read_bytes()
    # A browser would read line ends and zeros otherwise than they are, and the others would end the script.
    assert [mark for mark in (b"\r", b"\0", b"<script", b"</script", b"<!--") if mark in content.lower()] == []


def test_our_script_writes_text_and_never_markup() -> None:
    content = REPORT.joinpath("surface.js").read_text("utf-8")
    markup = re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|createContextual", content)
    code = re.findall(r"\beval\b|Function\(|fetch|import\(|XMLHttp|setTimeout", content)
    assert markup + code == []


def test_only_scripts_of_known_digests_may_run(written: Path) -> None:
    page = written.read_text("utf-8")
    (policy,) = (meta["content"] for meta in Page(page).all("meta") if "http-equiv" in meta)
    running = [text for attributes, text in elements(page) if not attributes]
    assert len(running) == 2
    hashes = [f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'" for text in running]
    assert policy == FLAT.replace("base-uri", f"script-src {' '.join(hashes)}; base-uri")
    assert [attributes for attributes, _ in elements(page) if attributes] == [' type="application/json"']
    assert running[0].encode() == REPORT.joinpath(scripts.BUNDLE).read_bytes()


def test_a_page_without_a_surface_has_neither_script_nor_bundle(tmp_path: Path) -> None:
    page = write_report(record(sections(4, kinds=("line",))), tmp_path).read_text("utf-8")
    (policy,) = (meta["content"] for meta in Page(page).all("meta") if "http-equiv" in meta)
    assert policy == FLAT
    assert elements(page) == []
    assert "lotly" not in page
    assert len(page) < 500_000


def test_nothing_of_the_run_becomes_markup(written: Path) -> None:
    page = Page(written.read_text("utf-8"))
    names = [name for name, _ in page.elements]
    assert names.count("script") == 3
    assert names.count("img") == len([image for image in page.all("img") if image["src"].startswith("data:")])
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert {"link", "iframe", "object", "base", "form"}.isdisjoint(names)


def test_the_scene_holds_the_tables_numbers_and_null_where_nothing_is_finite(written: Path) -> None:
    (data,) = (text for attributes, text in elements(written.read_text("utf-8")) if attributes)
    scene = json.loads(data)
    tables = hostile()
    known = {(r["section"], r["quantity"], r["row"], r["column"]): r for r in tables["grid"].rows()}
    checked = 0
    for section in scene["sections"]:
        for name, values in section["values"].items():
            for row, line in enumerate(values):
                for column, value in enumerate(line):
                    wanted = known[section["name"], name, row, column]
                    expected = wanted["value"] if np.isfinite(wanted["value"]) else None
                    assert value == (None if expected is None else pytest.approx(expected, rel=5.1e-4))
                    places = [section["x"][row][column], section["y"][row][column]]
                    assert places == pytest.approx([wanted["x"], wanted["y"]], rel=5.1e-4)
                    checked += 1
    assert checked > 500
    assert sum(value is None for line in scene["sections"][0]["values"]["nll"] for value in line) == 1
    assert [one["name"] for one in scene["sections"]] == tables["sections"]["section"].tolist()
    assert {one["member"] for one in scene["sections"][1]["solutions"]} == {0, 2, 5}


def test_scales_of_the_scene_hold_all_values() -> None:
    found = section_surface.numbers(sections(6, spoilt))
    scene = section_surface.scene(found)
    assert scene["sections"][scene["first"]]["name"] == "plane 0 2 5"
    assert (scene["height"], scene["colour"]) == ("nll", "disagreement/0")
    for name, told in scene["quantities"].items():
        shown = section_surface.quantity(name)
        for section in found.sections:
            if name in section.values:
                drawn = shown.drawn(section.values[name])
                assert told["low"] <= np.nanmin(drawn) + 1e-9
                assert told["high"] >= np.nanmax(drawn) - 1e-9
        assert all(re.fullmatch("#[0-9a-f]{6}", colour) for _, colour in told["colours"])
    # What says the same turned round is not offered twice.
    assert not any(name.startswith(("similarity", "normalised_similarity", "error")) for name in scene["quantities"])


def test_many_cross_sections_are_cut_to_a_dozen_and_the_caption_says_so() -> None:
    found = section_surface.numbers(sections(4, kinds=("plane",)))
    many = found._replace(sections=found.sections * 6, found=20)
    assert "any quantity of 12 of 20 cross-sections" in section_surface.caption(many)
    assert len(section_surface.in_turn(found.sections * 9, 12)) == 12


@pytest.mark.parametrize("text", [HOSTILE, "<!--", "]]>", "\udcff", "\0", "\u2029", "</SCRIPT >", "'\"\\"])
def test_data_is_read_back_as_it_was_and_cannot_end_its_element(text: str) -> None:
    data = scripts.as_data({text: [text, 1.5, None]})
    assert json.loads(data) == {text: [text, 1.5, None]}
    assert data.isascii()
    assert not set("<>&") & set(data)


def test_a_number_that_is_not_finite_is_no_data() -> None:
    with pytest.raises(ValueError, match="JSON"):
        scripts.as_data([NAN])


BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "chromium")


def opened(page: Path, profile: Path, *options: str) -> tuple[str, str]:
    """The document after its scripts have run, and what the browser said."""
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-sync", f"--user-data-dir={profile}", "--virtual-time-budget=8000", "--enable-logging=stderr",
        *options, "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=200, errors="replace")
    return done.stdout, done.stderr


@pytest.mark.browser
def test_in_a_browser_the_surface_is_there_and_a_script_of_the_run_does_not_run(written: Path, tmp_path: Path) -> None:
    intruder = written.read_text("utf-8").replace("</main>", "<script>document.title = 'ran'</script></main>")
    page = tmp_path / "page.html"
    page.write_text(intruder, "utf-8")
    document, said = opened(page, tmp_path / "profile")
    assert "Content Security Policy" in said
    assert "unsafe-eval" not in said and said.count("violates") == 1
    assert "<title>A title · run</title>" in document
    assert 'class="surface live"' in document
    assert "<canvas" in document
    options = re.findall(r"<option[^>]*>(.*?)</option>", document, re.DOTALL)
    assert f"plane 0 2 5 {HOSTILE}" in [html.unescape(option) for option in options]
    labels = re.findall(r"<label[^>]*>(.*?)<select", document)
    assert labels == ["Cross-section", "Height", "Colour"]


@pytest.mark.browser
@pytest.mark.parametrize(
    ("bundle", "options"),
    [("window.Plotly = Plotly;", ("--disable-3d-apis",)), ("window.Plotly = Plotly; ", ())],
    ids=["no WebGL", "another bundle"],
)
def test_where_it_cannot_be_drawn_the_picture_stays(
    bundle: str, options: tuple[str, ...], written: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    page.write_text(written.read_text("utf-8").replace("window.Plotly = Plotly;", bundle), "utf-8")
    document, _ = opened(page, tmp_path / "profile", *options)
    assert 'class="surface live"' not in document
    assert 'class="surface"' in document
    assert '<div class="stage" hidden' in document
