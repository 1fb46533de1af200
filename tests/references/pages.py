"""The pages of the documentation, and what stands in them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {str(path.relative_to(DOCS)): path for path in sorted(DOCS.rglob("*.md"))}
FOUNDATION = "python.md"
"""The page whose blocks come before those of every other."""
NEEDS = {"subspaces/laplace.md": "laplace", "subspaces/variational.md": "variational"}
"""Pages whose examples need an optional library, and the extra that brings it."""


def text(page):
    return PAGES[page].read_text(encoding="utf-8")


def blocks(page, language):
    """The fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", text(page), flags=re.DOTALL | re.MULTILINE)


def prose(page):
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", text(page), flags=re.DOTALL | re.MULTILINE)


def spans(page):
    """What is set as code within sentences and tables."""
    return re.findall(r"`([^`\n]+)`", prose(page))


def rows(page):
    """The cells of every row of every table."""
    lines = [line.strip() for line in prose(page).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if not set(line) <= set("|-: ")]


def run(page, names):
    """Run a page's Python in a copy of these names; the names afterwards."""
    names = dict(names)
    for block in blocks(page, "python"):
        exec(block, names)
    return names


def foundation():
    """The names that every page's examples work on."""
    return run(FOUNDATION, {})
