"""Rings, budgets, glossary and map in step with the code."""

import ast
import io
import re
import tokenize
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from importlinter import cli

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "modescape"
SOURCES = sorted(PACKAGE.rglob("*.py"))
FILES = sorted([*SOURCES, *(ROOT / "tests").rglob("*.py")])
CENTRAL = (
    "weights",
    "member",
    "checkpoint",
    "trajectory",
    "solution",
    "origin",
    "subspace",
    "scale",
    "cloud",
    "keep",
    "base",
    "predictions",
    "disagreement",
    "normalised disagreement",
    "limit curves",
    "exponent",
    "divergence",
    "similarity",
    "ensemble",
    "split",
    "study",
    "task",
    "run",
    "recipe",
    "executor",
)
FORBIDDEN = {"snapshot": "checkpoint", "learner": "member", "particle": "member", "theta": "weights"}
"""Words of the column *Not* that can mean nothing else, and the row in which each stands."""


def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def functions(path):
    return [node for node in ast.walk(parsed(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def place(path, node):
    return f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"


def module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path, known):
    """The modules of ours that a module imports, wherever in it the import stands."""
    found = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found & known


def first_cycle(graph):
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return None


def test_the_rings_hold(capsys):
    code = cli.lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert code == cli.EXIT_STATUS_SUCCESS, capsys.readouterr().out


def test_no_module_imports_itself_through_others():
    known = {module_name(path) for path in SOURCES}
    graph = {module_name(path): imported(path, known) - {module_name(path)} for path in SOURCES}
    assert "modescape.core.weights" in graph["modescape.core.training.loop"]
    assert first_cycle(graph) is None
    assert first_cycle({"a": {"b"}, "b": {"a"}}) is not None


def test_every_module_has_a_name():
    nameless = [str(p.relative_to(ROOT)) for p in FILES if re.search(r"utils?|helpers?|misc|common", p.stem)]
    assert nameless == []


def test_files_and_functions_stay_small():
    long_files = [str(p.relative_to(ROOT)) for p in FILES if len(p.read_text(encoding="utf-8").splitlines()) > 400]
    long_functions = [
        place(path, node) for path in SOURCES for node in functions(path) if node.end_lineno - node.lineno + 1 > 50
    ]
    assert long_files == []
    assert long_functions == []


def test_functions_take_at_most_six_parameters():
    """Commands of the shell are excepted: there a parameter is an option."""
    crowded = [
        place(path, node)
        for path in SOURCES
        if "cli" not in path.parts
        for node in functions(path)
        if len([*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]) > 6
    ]
    assert crowded == []


def glossary():
    """Word -> the words that it replaces."""
    rows = {}
    for line in (ROOT / "GLOSSARY.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and len(cells) == 3 and cells[0] != "Word" and not set(cells[0]) <= {"-", ":"}:
            assert cells[1], f"{cells[0]} has no meaning"
            rows[cells[0]] = [word.strip() for word in re.sub(r"\([^)]*\)", "", cells[2]).split(",") if word.strip()]
    return rows


def identifiers(path):
    with tokenize.open(path) as source:
        tokens = list(tokenize.generate_tokens(io.StringIO(source.read()).readline))
    return {token.string for token in tokens if token.type == tokenize.NAME}


def words_of(identifier):
    """``_lowRank_gaussians`` -> {"low", "rank", "gaussian"}: also the singular of each word."""
    words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", identifier)}
    return words | {word.removesuffix("s") for word in words}


@pytest.mark.parametrize("word", CENTRAL)
def test_the_glossary_has_every_central_word(word):
    assert word in glossary()


def test_no_word_is_both_right_and_wrong():
    rows = glossary()
    replaced = {word for words in rows.values() for word in words}
    assert replaced & rows.keys() == set()


@pytest.mark.parametrize("word", FORBIDDEN)
def test_replaced_words_name_nothing_in_the_code(word):
    assert word in glossary()[FORBIDDEN[word]]
    offenders = sorted(
        f"{path.relative_to(ROOT)}: {name}" for path in SOURCES for name in identifiers(path) if word in words_of(name)
    )
    assert offenders == []


def test_words_are_found_inside_identifiers():
    assert "learner" in words_of("_Learner")
    assert "snapshot" in words_of("old_snapshots")
    assert "theta" not in words_of("synthetase")


def mapped(readme):
    """Every path of the README's tree, relative to the package, from lines such as ``│   ├── name/   caption``."""
    lines = readme.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("src/modescape"))
    found, parents = {}, []
    for line in lines[start + 1 :]:
        if line.startswith("```"):
            break
        branch = re.match(r"^((?:│   |    )*)(?:├──|└──) (\S+)\s*(.*)$", line)
        assert branch, f"no line of a tree: {line!r}"
        depth = len(branch[1]) // 4
        parents = [*parents[:depth], branch[2].rstrip("/")]
        found["/".join(parents) + ("/" if branch[2].endswith("/") else "")] = branch[3]
    return found


def test_the_map_is_read_as_it_is_drawn():
    tree = "src/modescape/\n├── core/   a\n│   ├── x.py   b\n│   └── deep/   c\n└── app/   d\n    └── y.py   e\n```"
    assert mapped(tree) == {"core/": "a", "core/x.py": "b", "core/deep/": "c", "app/": "d", "app/y.py": "e"}


def test_the_map_shows_what_is_there_and_all_of_it():
    tree = mapped((ROOT / "README.md").read_text(encoding="utf-8"))
    there = {p for p in tree if (PACKAGE / p).exists() and (PACKAGE / p).is_dir() == p.endswith("/")}
    assert sorted(tree.keys() - there) == []
    assert [path for path, caption in tree.items() if not caption] == []
    packages = {f"{path.parent.relative_to(PACKAGE)}/" for path in SOURCES if path.parent != PACKAGE}
    # a package deep inside app is its parent's business; the map stops at two levels
    shown = {path for path in packages if path.count("/") <= 2}
    assert sorted(shown - tree.keys()) == []
