"""The scorecard as Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modescape.app.scorecard.card import Card
from modescape.app.scorecard.words import rows_of, summary

INTRODUCTION = """\
Every claim of [the paper](https://arxiv.org/abs/1912.02757) on the checklist, and what the runs below say. Bands are
modescape's own: the paper has few numbers and no error bars. A claim holds if every check lies in its band, in part if
some do. *Elsewhere* means that the paper shows the claim for another network. Intervals are 95% bootstrap intervals
over test examples where the table has them; ranges are over members, pairs or subsets."""


def markdown(card: Card) -> str:
    """The whole card: the runs, all verdicts at a glance, then every claim with its checks."""
    return "\n".join([*_head(card), *_glance(card), *_claims(card)]) + "\n"


def _head(card: Card) -> Iterator[str]:
    yield "# Scorecard"
    yield ""
    yield INTRODUCTION
    yield ""
    yield "| run | recipe | departs from the paper's recipe | result |"
    yield "|---|---|---|---|"
    for run in card.runs:
        yield _row(
            [
                f"[`{run.name}`]({run.name}/index.md)",
                run.title,
                "; ".join(run.departures) or "in nothing",
                summary(card, run.name),
            ]
        )
    yield ""


def _glance(card: Card) -> Iterator[str]:
    names = [run.name for run in card.runs]
    yield "## At a glance"
    yield ""
    yield _row(["", "claim", *(f"`{name}`" for name in names)])
    yield "|---|---|" + "---|" * len(names)
    cells: dict[int, dict[str, Mapping[str, Any]]] = {}
    titles = {}
    for row in rows_of(card):
        cells.setdefault(row["number"], {})[row["run"]] = row
        titles[row["number"]] = row["title"]
    for number, found in cells.items():
        told = [_cell(found.get(name), found.get("")) for name in names]
        yield _row([f"[{number}](#claim-{number})", titles[number], *told])
    yield ""


def _cell(row: Mapping[str, Any] | None, nowhere: Mapping[str, Any] | None) -> str:
    if row is None:
        return nowhere["verdict"] if nowhere else ""
    return f"{row['mark']} {row['verdict']}{', elsewhere' if row['elsewhere'] else ''}"


def _claims(card: Card) -> Iterator[str]:
    last = None
    for row in rows_of(card):
        if row["number"] != last:
            yield f'## <a id="claim-{row["number"]}"></a>{row["number"]}. {row["title"]}'
            yield ""
            yield f"Paper: {row['paper']} ({row['source']})."
            yield ""
            if row["remark"]:
                yield f"{row['remark']}"
                yield ""
        last = row["number"]
        where = f" on `{row['run']}`" if row["run"] else ""
        elsewhere = f" (the paper shows it for {row['networks']})" if row["elsewhere"] else ""
        reason = f": {row['reason']}" if row["reason"] else ""
        yield f"**{row['mark']} {row['verdict']}**{where}{elsewhere}{reason}."
        yield ""
        if row["lines"]:
            yield "| check | measured | 95% interval | range | band | verdict | from |"
            yield "|---|---|---|---|---|---|---|"
            for line in row["lines"]:
                detail = f" ({line['detail']})" if line["detail"] else ""
                yield _row(
                    [
                        line["says"],
                        f"{line['value']}{detail}",
                        line["interval"],
                        line["range"],
                        line["band"],
                        line["verdict"],
                        f"{line['tables']}: {line['how']}",
                    ]
                )
            yield ""


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
