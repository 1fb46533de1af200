"""A run as a folder for a repository or a web site: a page of Markdown and its figures, small."""

import html
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from PIL import Image

from modescape.app.report.page import Picture, pictures_of
from modescape.app.report.record import RunRecord
from modescape.app.report.words import duration, number, span
from modescape.tables import title_of

WIDEST = 1000
"""Pixels of a figure: what a page of documentation shows."""
COLOURS = 256


def published(record: RunRecord) -> dict[str, bytes]:
    """Files by their paths in the folder: ``index.md`` and its figures as PNG."""
    pictures = pictures_of(record.tables)
    page = "\n".join([*_head(record), *_claims(record.claims), *_found(record, pictures), *_circumstances(record)])
    figures = {f"figures/{one.stem}.png": small(one.png) for study in pictures.values() for one in study if one.png}
    return {"index.md": (page.rstrip() + "\n").encode(), **figures}


def small(png: bytes) -> bytes:
    """A picture with at most ``WIDEST`` pixels across and ``COLOURS`` colours."""
    with Image.open(io.BytesIO(png)) as image:
        plain = image.convert("RGB")
    if plain.width > WIDEST:
        plain = plain.resize((WIDEST, round(plain.height * WIDEST / plain.width)), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    # Without dithering: flat areas stay flat, and the file small.
    plain.quantize(COLOURS, dither=Image.Dither.NONE).save(stream, "png", optimize=True)
    return stream.getvalue()


def _text(value: Any) -> str:
    """Text that is neither markup nor the end of a table's cell."""
    return html.escape(str(value), quote=False).replace("|", "\\|").replace("\n", " ")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    yield from ("| " + " | ".join(row) + " |" for row in rows)
    yield ""


def _head(record: RunRecord) -> Iterator[str]:
    yield f"# {_text(record.title)}"
    yield ""
    yield _text(record.description)
    yield ""
    yield "```sh"
    yield record.command
    yield "```"
    yield ""


def _claims(claims: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not claims:
        return
    yield "## The paper's claims"
    yield ""
    rows = []
    for row in claims:
        checks = "<br>".join(_check(line) for line in row["lines"]) or _text(row["reason"])
        elsewhere = f"<br>(the paper shows it for {_text(row['networks'])})" if row["elsewhere"] else ""
        verdict = f"{row['mark']} {row['verdict']}{elsewhere}"
        rows.append([str(row["number"]), f"{_text(row['title'])}<br>*{_text(row['paper'])}*", verdict, checks])
    yield from _table(["", "claim, and what the paper has", "verdict", "measured"], rows)


def _check(line: Mapping[str, Any]) -> str:
    interval = f" ({line['interval']})" if line["value"] and line["interval"] != span(float("nan"), 0) else ""
    value = f": **{line['value']}**{interval}" if line["value"] else ""
    wanted = f", wanted {line['band']}" if line["band"] else ""
    reason = f": {_text(line['detail'])}" if not line["value"] else ""
    return f"{line['mark']} {_text(line['says'])}{value}{wanted}{reason}"


def _found(record: RunRecord, pictures: Mapping[str, Sequence[Picture]]) -> Iterator[str]:
    for study, tables in record.tables.items():
        yield f"## {title_of(study).capitalize()}"
        yield ""
        answers = tables["answers"].rows() if "answers" in tables else []
        yield from (f"- {_text(row['sentence'])}" for row in answers)
        yield ""
        for picture in pictures.get(study, ()):
            yield f"### {_text(picture.title)}"
            yield ""
            if picture.png:
                yield f"![{_text(picture.title)}](figures/{picture.stem}.png)"
                yield ""
            yield _text(picture.caption)
            yield ""
        if answers:
            rows = [[_text(row["quantity"]), *_numbers(row), str(row["count"])] for row in answers]
            yield from _table(["quantity", "value", "95% interval", "range", "count"], rows)


def _numbers(row: Mapping[str, Any]) -> list[str]:
    ends = span(row["least"], row["most"]) if row["least"] != row["most"] else ""
    return [number(row["value"]), span(row["low"], row["high"]), ends]


def _circumstances(record: RunRecord) -> Iterator[str]:
    yield "## Circumstances"
    yield ""
    facts = [*record.machine.items(), *record.versions.items(), *record.data.items(), *record.seeds.items()]
    yield from _table(["", ""], [[_text(name), _text(value)] for name, value in facts])
    timings = [[_text(phase), duration(seconds), _text(note)] for phase, seconds, note in record.timings]
    yield from _table(["phase", "time", ""], timings)
    yield "All settings are in `run.json`, all tables in `tables/` as Parquet. `modescape report` makes the report of"
    yield "this folder, `modescape scorecard` judges it again."
    yield ""
