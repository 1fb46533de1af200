"""What the page says, in which order, that nothing on it can harm, and that it is written whole or not at all."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from modescape.app.report.figures import learning
from modescape.app.report.page import GLOSSARY, write_report
from modescape.app.report.record import RunRecord
from modescape.errors import RunError
from modescape.tables import ANSWERS, MEMBERS, Table, from_rows

Tables = dict[str, Table]
Make = Callable[..., RunRecord]
NAN, DASH = float("nan"), "\N{EN DASH}"
HOSTILE = """<script>alert(1)</script>'"><img src=http://x.example/y onerror=z></style></title>{{ 7 * 7 }}&amp;\udcff"""


class Page(HTMLParser):
    """Every element with its attributes, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, tables_of: Callable[..., Tables]) -> Path:
    tables = {"trajectories": tables_of(5, 9, failed=(3,))}
    failures = ["member 3: the loss is not a number at step 431"]
    record = RunRecord(title="A title", run_name="a-run", command="modescape run x", tables=tables, failures=failures)
    return write_report(record, tmp_path_factory.mktemp("report") / "deep")


def small(make: Make, **changes: Any) -> RunRecord:
    """A record without figures, quick to write."""
    answer = {"quantity": "q", "value": 0.5, "low": NAN, "high": NAN, "least": NAN, "most": NAN}
    answers = from_rows(ANSWERS, [{**answer, "count": 3, "sentence": HOSTILE}])
    members = from_rows(MEMBERS, [{"member": 0, "status": "failed", "step": 5, "reason": HOSTILE}])
    return make({}, **{"tables": {"another": {"answers": answers, "members": members}}, **changes})


def test_answers_come_first_then_failures_then_figures(written: Path) -> None:
    html = written.read_text()
    marks = ['class="lead"', "Range<small>", 'class="failures"', 'id="words"', "<figure", ">Members<", ">Run it again<"]
    places = [html.index(mark) for mark in marks]
    assert places == sorted(places)
    assert html.index("arxiv.org") > places[-1]


def test_page_holds_every_part(record_of: Make, tmp_path: Path) -> None:
    text = " ".join(" ".join(Page(write_report(small(record_of), tmp_path).read_text()).text).split())
    for part in ("batch 128", "schedule initial 0.0016 halve_every 10", "channels 16, 32, 32", "normalisation " + DASH):
        assert part in text
    for part in ("training 1,437 examples", "root 7", "torch 2.10.0", "processor 2 cores", "accelerator " + DASH):
        assert part in text
    for part in ("training 5 min 12 s 5,312 images/s", "modescape run digits --root-seed 7", "arXiv:1912.02757"):
        assert part in text
    assert all(f"{word} {meaning}" in text for word, meaning in GLOSSARY.items())


def test_pictures_are_inside_and_their_files_beside(written: Path) -> None:
    page = Page(written.read_text())
    images = page.all("img")
    assert len(images) == 5
    for image in images:
        assert image["src"].startswith("data:image/png;base64,")
        assert len(image["alt"]) > 40
        assert image["width"] == "800"
    links = [link["href"] for link in page.all("a")]
    assert [link for link in links if ":" in link] == ["https://arxiv.org/abs/1912.02757"]
    beside = [link for link in links if ":" not in link]
    assert len(beside) == 10
    assert all((written.parent / link).stat().st_size > 1000 for link in beside)


def test_nothing_is_loaded_and_nothing_runs(written: Path) -> None:
    html = written.read_text()
    page = Page(html)
    assert {name for name, _ in page.elements}.isdisjoint({"script", "link", "iframe", "object", "base", "form"})
    assert [a["src"][:5] for _, a in page.elements if "src" in a] == ["data:"] * 5
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    policies = [meta["content"] for meta in page.all("meta") if "http-equiv" in meta]
    assert policies[0].startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style and "@import" not in style


def test_failed_member_is_told_of_and_left_out_of_the_figures(written: Path) -> None:
    html = written.read_text()
    assert "1 failure<" in html.replace("\n", "")
    assert html.count("the loss is not a number at step 431") == 2
    assert "of 4 that are done" not in html and "members 1, 2, 4." in html


def test_hostile_words_stay_words(record_of: Make, tmp_path: Path) -> None:
    nested = {"training": {HOSTILE: HOSTILE, "list": [{"name": HOSTILE}]}}
    hostile = dict.fromkeys(("title", "run_name", "description", "command"), HOSTILE)
    facts = {name: {HOSTILE: HOSTILE} for name in ("versions", "machine", "seeds", "data")}
    record = small(
        record_of, **hostile, **facts, settings=nested, failures=[HOSTILE], timings=[(HOSTILE, 1.0, HOSTILE)]
    )
    html = write_report(record, tmp_path).read_text()
    page = Page(html)
    assert not page.all("script") and not page.all("img")
    assert html.count("</style>") == html.count("</title>") == 1
    assert "49" not in "".join(page.text)
    assert "".join(page.text).count("<script>alert(1)</script>") >= 18


def test_numbers_that_do_not_exist_are_dashes(record_of: Make, tmp_path: Path) -> None:
    html = write_report(small(record_of, timings=[("training", NAN, "")]), tmp_path).read_text()
    assert re.search(r"\bnan\b", "".join(Page(html).text), re.IGNORECASE) is None
    assert html.count(f'<td class="n">{DASH}</td>') == 4


def test_single_member_omits_what_needs_two(record_of: Make, tables_of: Callable[..., Tables], tmp_path: Path) -> None:
    stale = tmp_path / "figures" / "one_function.svg"
    stale.parent.mkdir()
    stale.write_text("from an earlier report")
    html = write_report(record_of(tables_of(1, 8)), tmp_path).read_text()
    assert html.count("this figure needs at least 2 members that are done, and this run has 1.") == 2
    assert len(Page(html).all("img")) == 3
    assert not stale.exists()


def test_a_run_without_results_has_a_page(record_of: Make, tmp_path: Path) -> None:
    assert "This run holds no results." in write_report(record_of({}, tables={}), tmp_path).read_text()


def test_same_record_same_bytes(record_of: Make, tables_of: Callable[..., Tables], tmp_path: Path) -> None:
    pages = [write_report(record_of(tables_of(3, 6)), tmp_path / name) for name in ("one", "two")]
    files = [{p.relative_to(page.parent): p.read_bytes() for p in page.parent.rglob("*.*")} for page in pages]
    assert files[0] == files[1]
    assert len(files[0]) == 11


def test_a_figure_that_breaks_leaves_everything_as_it_was(
    tables: Tables, record_of: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "report.html").write_text("old")

    def broken(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(learning, "draw", broken)
    with pytest.raises(ZeroDivisionError):
        write_report(record_of(tables), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text() == "old"


def test_a_disk_that_fills_leaves_the_old_page_and_no_scraps(
    record_of: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = write_report(small(record_of), tmp_path)
    before = page.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match=r"cannot write .*No space left on device"):
        write_report(small(record_of, title="new"), tmp_path)
    assert page.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_modes_follow_the_umask(record_of: Make, tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        page = write_report(small(record_of), tmp_path)
    finally:
        os.umask(old)
    assert page.stat().st_mode & 0o777 == 0o640


def test_report_needs_neither_torch_nor_studies_nor_pyplot() -> None:
    check = (
        "import sys, modescape.app.report.page; "
        "bad = ('torch', 'modescape.core', 'modescape.studies', 'matplotlib.pyplot', 'pydantic', 'pyarrow'); "
        "sys.exit(str([name for name in sys.modules if name in bad]) if set(bad) & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
