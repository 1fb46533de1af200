"""The pages of the documentation: none is missing, what they name exists, what they show runs."""

import hashlib
import re
import shlex
import tomllib
from dataclasses import fields, is_dataclass
from typing import get_args, get_type_hints

import pytest
import torch
import typer
from contracts import subspace_suite
from references import pages, toy
from references.pages import DOCS, FOUNDATION, NEEDS, PAGES, ROOT, blocks, prose, rows, spans
from references.subspaces import Expected, vectors
from torch import nn

from modescape.app.cli.main import app
from modescape.app.datasets.load import DATASETS
from modescape.app.jobs import recipe as recipes
from modescape.app.jobs.landscape import recipe_of
from modescape.core.landscape.connectors.catalogue import CONNECTORS
from modescape.core.methods.scoring import PEOPLE, POSTERIOR, Judge
from modescape.core.methods.summary import pooled, summarise
from modescape.core.models.catalogue import NETWORKS
from modescape.core.scores.detection import detection_scores, detectors
from modescape.core.subspaces.catalogue import SUBSPACES
from modescape.core.weights import Trajectory, flatten, of_module, stack
from modescape.errors import SettingsError
from modescape.studies.catalogue import STUDIES
from modescape.studies.methods import chosen_methods
from modescape.studies.sections import Kind
from modescape.tables import STUDIES as TABLES

SITE = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
NAV = re.findall(r"^ +- (?:.*: )?(\S+\.md)$", SITE.partition("\nnav:\n")[2], flags=re.MULTILINE)
README = ROOT / "README.md"
WITH_PYTHON = [
    page for page in PAGES if blocks(page, "python") and page not in (FOUNDATION, "landscape.md", "extend.md")
]
NOT_OURS = ("questions/", "results/", "log.md")
"""Pages that are about what was measured; where their numbers come from is checked with them."""


def methods():
    """Every name that a recipe may ask for, as its error tells them."""
    setup = toy.context_of().setup
    object.__setattr__(setup.methods, "names", ("none such",))
    with pytest.raises(ValueError, match="choose from") as told:
        chosen_methods(setup, toy.sizes_of(toy.context_of()))
    return str(told.value).partition("choose from ")[2].split(", ")


def scored():
    """Names of all scores of an ensemble, of all detectors, and of what these are judged by."""
    chance = torch.Generator().manual_seed(0)
    ensemble = pooled([summarise(torch.randn(1, 30, 4, generator=chance)) for _ in range(2)])
    ones = torch.ones(1, 30)
    references = {PEOPLE: torch.ones(30, 4), POSTERIOR: torch.full((30, 4), 0.25)}
    targets = torch.randint(0, 4, (30,), generator=chance)
    found = Judge(targets, ones, 0, references).score([ensemble])
    seen = detectors(ensemble)
    by = detection_scores(seen["entropy"], seen["entropy"], ones, ones)
    return list(found.draws), list(seen), list(by)


def pages_of(folder):
    return {page.removeprefix(f"{folder}/").removesuffix(".md") for page in PAGES if page.startswith(f"{folder}/")}


def test_every_page_is_in_the_navigation_once():
    assert sorted(NAV) == sorted(PAGES)


@pytest.mark.parametrize(("folder", "names"), [("subspaces", SUBSPACES), ("studies", STUDIES)])
def test_there_is_a_page_for_every_name_and_no_other(folder, names):
    assert pages_of(folder) - {"index"} == set(names)


def test_every_method_has_a_page():
    found = methods()
    assert {"independent", "late_checkpoints", "snapshot", "bootstrap", "swag"} <= set(found)
    assert set(found) <= pages_of("methods") | pages_of("subspaces")
    assert pages_of("methods") - {"index", "sampled"} <= set(found)
    assert {name for name in found if f"`{name}`" not in prose("methods/index.md")} == set()


def test_every_piece_of_weight_space_has_a_page():
    known = {*CONNECTORS, *get_args(Kind), "alignment", "curvature", "pictures"}
    assert pages_of("landscape") == known
    assert set(get_args(Kind)) <= {row[0].strip("`") for row in rows("landscape.md")} | {"hessian", "gradient"}


def test_every_score_has_its_row_and_its_page():
    scores, found, by = scored()
    told = {row[0].strip("`"): row[1] for row in rows("scores/index.md")}
    for name in scores:
        linked = re.findall(r"\((\w+\.md)\)", told[name])
        assert linked
        assert all(name in " ".join([*spans(f"scores/{page}"), pages.text(f"scores/{page}")]) for page in linked)
    for name in [*found, *by]:
        assert f"`{name}`" in prose("scores/detection.md")
    linked = set(re.findall(r"\((\w+)\.md\)", pages.text("scores/index.md")))
    assert pages_of("scores") - {"index"} == linked


def test_networks_recipes_and_datasets_are_told():
    assert re.findall(r"^## (\w+)$", prose("networks.md"), flags=re.MULTILINE) == list(NETWORKS)
    shipped = recipes.shipped()
    told = {row[0].strip("`"): row[1:3] for row in rows("recipes.md") if len(row) == 4 and row[0] != "recipe"}
    assert {name: title for name, (title, _) in told.items()} == shipped
    for name, (_, networks) in told.items():
        recipe = recipes.read(recipes.find(name))
        assert networks == f"{recipe.training.members} of `{recipe.network.name}`"
    assert {row[0].strip("`") for row in rows("data.md")} - {"dataset"} == set(DATASETS)


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_tells_its_settings_and_its_tables(name):
    page, study = f"studies/{name}.md", STUDIES[name]
    told = {table for row in rows(page) if len(row) == 2 for table in re.findall(r"`(\w+)`", row[0])}
    assert told == set(TABLES[name])
    settings = {}
    for names, default, _ in (row for row in rows(page) if len(row) == 3):
        each = re.findall(r"`(\w+)`", names)
        values = default.split(", ") if len(each) > 1 else [default]
        settings |= dict(zip(each, values if len(values) == len(each) else [""] * len(each), strict=True))
    assert settings.keys() == {field.name for field in fields(study)}
    for key, value in settings.items():
        if re.fullmatch(r"-?[\d.]+", value):
            own = getattr(study(), key)
            assert float(value) == (own[0] if isinstance(own, tuple) else own), f"{key} is {own} by default"


def every_link(path):
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"\]\(([^)\s]+)\)", text)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "GLOSSARY.md", *(f"docs/{page}" for page in PAGES)])
def test_every_link_and_image_is_there(page):
    path = ROOT / page
    gone = []
    for link in every_link(path):
        if re.match(r"https?://", link):
            continue
        place, _, anchor = link.partition("#")
        target = (path.parent / place).resolve() if place else path
        if not target.is_file() or (anchor and anchor not in anchors(target)):
            gone.append(link)
    assert gone == []


def anchors(path):
    text = path.read_text(encoding="utf-8")
    titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}
    return slugs | set(re.findall(r'<a id="([^"]+)">', text))


@pytest.fixture(scope="module")
def names():
    return pages.foundation()


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_the_examples_of_a_page_run(page, names):
    if page in NEEDS:  # with their libraries they are run by tests/oracles
        with pytest.raises(SettingsError, match=rf"pip install modescape\[{NEEDS[page]}\]"):
            pages.run(page, names)
    else:
        after = pages.run(page, names)
        assert any(value is not names.get(name) for name, value in after.items()), "nothing was made"


def test_the_foundation_is_what_its_page_says(names):
    assert names["solutions"].origin == (0, 1, 2)
    assert names["logits"].shape == (3, 1500, 10)
    assert float(names["accuracy"][0]) > 0.8
    assert names["interval"][0] < float(names["accuracy"][0]) < names["interval"][1]
    assert names["members"].origin == (0,) * 5


def test_the_landscape_page_shows_what_the_readme_shows():
    (shown,) = blocks("landscape.md", "python")
    first = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)[1]
    assert shown.split() == re.sub(r" +#.*", "", first).split()


def commands(text):
    """The command lines of ``modescape`` in fenced blocks of a shell."""
    found = []
    for block in re.findall(r"^```sh\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
        found += [line for line in block.splitlines() if line.startswith("modescape ") or line == "modescape"]
    return found


COMMANDS = sorted({line for path in [README, *PAGES.values()] for line in commands(path.read_text(encoding="utf-8"))})


def parsed(line):
    """The command's name and its parameters by the very parser; nothing is run."""
    words = shlex.split(line, comments=True)[1:]
    words = words[: words.index(">")] if ">" in words else words
    command, context, path = typer.main.get_command(app), None, []
    while hasattr(command, "commands"):
        context = command.make_context(command.name, [*words], parent=context, resilient_parsing=True)
        name, command, words = command.resolve_command(context, words)
        path.append(name)
    return path, command.make_context(command.name, words, parent=context).params


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_line_is_understood(line):
    path, given = parsed(line)
    overrides = list(given.get("set_") or ())
    if path[0] in ("run", "study"):
        source = recipes.find("digits" if given["recipe"] == "my.toml" else given["recipe"])
        recipe = recipes.read(source, overrides, given["factory"])
        assert path[0] == "run" or recipe.study(given["name"])
    elif path[0] == "landscape":
        assert recipe_of(given["model"], given["weights"], given["data"], overrides, given["curvature"])
    elif path == ["recipes"] and given["name"]:
        assert recipes.find(given["name"])
    elif path[0] == "data" and "name" in given:
        assert given["name"] in DATASETS


def test_a_command_line_that_is_wrong_is_found():
    assert len(COMMANDS) > 20
    with pytest.raises(SettingsError, match=r"did you mean training\.members"):
        test_every_command_line_is_understood("modescape run digits --set training.member=3")
    with pytest.raises(typer.BadParameter.__base__, match="--sett"):
        parsed("modescape run --sett x=1")


def merged(base, part):
    for key, value in part.items():
        base[key] = merged(dict(base.get(key, {})), value) if isinstance(value, dict) else value
    return base


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "toml")])
def test_the_settings_of_a_page_are_read(page):
    for block in blocks(page, "toml"):
        part = tomllib.loads(block)
        base = {} if "title" in part else tomllib.loads(recipes.find("digits").text)
        if "network" in part:
            base.pop("network", None)
        assert recipes.validate(merged(base, part), page)


def known_key(path):
    """Whether a recipe has this key."""
    owner = recipes.Recipe
    for part in path:
        hints = get_type_hints(owner) if is_dataclass(owner) else {}
        if part not in hints:
            return False
        owner = hints[part]
    return True


COLUMNS = {}
for _tables in TABLES.values():
    for _schema in _tables.values():
        COLUMNS.setdefault(_schema.name, set()).update(_schema.names)
SECTIONS = {field.name for field in fields(recipes.Recipe)}


def wrongly_named(page):
    """Columns, keys of recipes and files that a page sets as code and that do not exist; those of examples may not."""
    wrong = []
    for span in spans(page):
        first, *rest = span.split(".")
        good = True
        if re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", span) and first in COLUMNS.keys() | SECTIONS and rest != ["md"]:
            good = (len(rest) == 1 and rest[0] in COLUMNS.get(first, ())) or known_key([first, *rest])
        elif re.fullmatch(r"(core|studies|app)/[\w/.]+", span):
            good = (ROOT / "src/modescape" / span).exists()
        elif re.fullmatch(r"(tests|docs|src)/[\w/.-]+", span):
            good = (ROOT / span).exists()
        wrong += [] if good or "radial" in span else [span]
    return wrong


@pytest.mark.parametrize("page", [page for page in PAGES if page != "log.md"])
def test_columns_keys_and_files_that_are_named_exist(page):
    assert wrongly_named(page) == []


def test_what_is_named_wrongly_is_found(tmp_path, monkeypatch):
    page = tmp_path / "wrong.md"
    page.write_text(
        "`plane.colour` `training.member` `core/nothing.py` `scores.method` `core/seeds.py`", encoding="utf-8"
    )
    monkeypatch.setitem(PAGES, "wrong.md", page)
    assert wrongly_named("wrong.md") == ["plane.colour", "training.member", "core/nothing.py"]


@pytest.mark.parametrize("page", [page for page in PAGES if not page.startswith(NOT_OURS)])
def test_pages_of_reference_hold_no_measured_numbers(page):
    """Percentages and nats are measured, but for levels, slack, and an example that a test computes."""
    stated = {"95%", "2.5%", "97.5%", "10%"}
    assert [n for n in re.findall(r"\d+(?:\.\d+)?%", prose(page)) if n not in stated] == []
    assert re.findall(r"\d\.\d+ nats", prose(page)) == []


def test_the_glossary_is_the_glossary():
    assert pages.text("glossary.md") == '--8<-- "GLOSSARY.md"\n'
    assert re.search(r'pymdownx.snippets:\n +base_path: \["."\]\n +check_paths: true', SITE)


def test_the_site_needs_no_other_host_and_no_plugin_that_only_one_builder_has():
    assert re.findall(r"^plugins:\n((?:  - .*\n)+)", SITE, flags=re.MULTILINE) == ["  - search\n  - offline\n"]
    assert "  font: false\n" in SITE
    shim = DOCS / "vendor/iframe-worker/shim.js"
    assert re.search(r"polyfills:.*\n +- vendor/iframe-worker/shim.js\n", SITE)
    digest = hashlib.sha256(shim.read_bytes()).hexdigest()
    assert digest in (shim.parent / "SOURCE.txt").read_text(encoding="utf-8")
    assert digest == "e8e412dbcfea9b7e31b5ffa288d7b6035915e714c542f4176a0cdbe262fc9609"


def extended(name, number):
    """The names of one example of the page on extending."""
    names = {"__name__": name}
    exec(blocks("extend.md", "python")[number], names)
    return names


def some_trajectory():
    torch.manual_seed(0)
    parts = [of_module(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)), origin=7) for _ in range(6)]
    return Trajectory(stack(parts), tuple(range(6)), "member/7")


@pytest.mark.parametrize("check", subspace_suite.CHECKS, ids=lambda check: check.__name__)
def test_the_new_subspace_keeps_every_promise(check):
    subspace = extended("radial", 0)["Radial"](scale=0.6)
    path = some_trajectory()
    own = vectors(subspace, path.weights)[-1]
    check(subspace, path, None, Expected(own, own, 0.6**2 * own[:, None] * own[None]))


def test_the_new_method_gives_spaced_checkpoints():
    path = some_trajectory()
    found = extended("spaced", 1)["Spaced"](count=2, apart=3).members([path, path])
    assert torch.equal(flatten(found), flatten(path.weights)[[5, 2, 5, 2]])


def test_the_new_score_equals_its_slow_twin():
    logs = torch.randn(20, 5, generator=torch.Generator().manual_seed(0)).log_softmax(dim=-1)
    names = extended("margin", 2)
    exec(blocks("extend.md", "python")[3], names)
    assert torch.allclose(names["margin"](logs), torch.tensor(names["slow_margin"](logs), dtype=torch.float64))


def test_the_new_network_and_dataset_are_made():
    assert extended("linear", 4)["linear"]((1, 8, 8), 3)(torch.zeros(2, 1, 8, 8)).shape == (2, 3)
    assert len(extended("stripes", 6)["load_stripes"]().splits["train"]) == 20


@pytest.mark.study
def test_the_new_study_answers():
    context, study = toy.context_of(), extended("lengths", 5)["Lengths"]()
    _, tables = toy.performed(context, study)
    (row,) = tables["answers"].rows()
    assert row["count"] == 3
    assert row["least"] <= row["value"] <= row["most"]
    assert row["sentence"] == f"Solutions have a length of {row['value']:.2f} on average."
