"""Result tables on disk: a study's tables as Parquet, committed together with their digests."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet

from modescape.app.runs.commit import write_folder
from modescape.app.runs.layout import MANIFEST, Layout
from modescape.app.runs.manifest import Damaged, entry, manifest_bytes, read_manifest, read_verified
from modescape.table import Schema, Table
from modescape.tables import STUDIES

_TYPES = {"int": pyarrow.int64(), "float": pyarrow.float64(), "text": pyarrow.string(), "flag": pyarrow.bool_()}


def _to_bytes(table: Table) -> bytes:
    fields = [
        pyarrow.field(
            column.name,
            _TYPES[column.kind],
            metadata={"meaning": column.meaning, "unit": column.unit},
        )
        for column in table.schema.columns
    ]
    arrays = [pyarrow.array(table[field.name], type=field.type) for field in fields]
    schema = pyarrow.schema(fields, metadata={"table": table.schema.name, "meaning": table.schema.meaning})
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_arrays(arrays, schema=schema), buffer, compression="zstd")
    return buffer.getvalue()


def _from_bytes(data: bytes, schema: Schema) -> Table:
    found = pyarrow.parquet.read_table(io.BytesIO(data))
    return Table(schema, {name: np.asarray(found[name].to_pylist()) for name in schema.names})


def write_tables(layout: Layout, study: str, tables: Mapping[str, Table], record: Mapping[str, Any]) -> None:
    """Commit all tables of a study at once."""
    contents = {layout.table(study, name).name: _to_bytes(table) for name, table in tables.items()}
    files = {name: entry(data) for name, data in contents.items()}
    manifest = manifest_bytes(files, {**record, "study": study})
    write_folder(
        layout.tables(study),
        {name: lambda data=data: data for name, data in [*contents.items(), (MANIFEST, manifest)]},  # type: ignore[misc]
    )


def read_tables(layout: Layout, study: str) -> dict[str, Table] | None:
    """A study's tables, verified; None if they were not written. Raises ``Damaged``."""
    folder = layout.tables(study)
    manifest = read_manifest(folder)
    if manifest is None:
        return None
    tables = {}
    for name, schema in STUDIES[study].items():
        path: Path = layout.table(study, name)
        if path.name not in manifest.files:
            raise Damaged(f"{folder} lacks the table {name}; delete {folder} and run again")
        tables[name] = _from_bytes(read_verified(folder, manifest, path.name), schema)
    return tables


def has_tables(root: Path) -> bool:
    """Whether a run has the tables of any study."""
    return any(Layout(root).tables(study).is_dir() for study in STUDIES)


def tables_key(layout: Layout, study: str) -> str | None:
    """Which results a study's tables were made from; None if there are no tables."""
    manifest = read_manifest(layout.tables(study))
    return None if manifest is None else str(manifest.record.get("key"))


def tables_settings(layout: Layout, study: str) -> dict[str, Any]:
    """The study's settings when its tables were made; empty if there are no tables."""
    manifest = read_manifest(layout.tables(study))
    return {} if manifest is None else dict(manifest.record.get("settings", {}))
