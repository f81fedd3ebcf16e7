"""Reads files of known content with four query engines and reports what differs.

Usage: check.py DIR, where DIR/files.json lists the files, each with its truth:
a JSON list per column. Exits 1 when an engine disagrees with the truth.
"""

import base64
import datetime as dt
import json
import pathlib
import sys
import time

import datafusion
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
SCALARS = ("int", "ms", "us", "string")
CODECS = {"zstd": "ZSTD", "snappy": "SNAPPY", "none": "UNCOMPRESSED"}
OPERATORS = {">=": lambda a, b: a >= b, "<": lambda a, b: a < b, "=": lambda a, b: a == b}


class File:
    """A Parquet file and the truth about it, by column name."""

    def __init__(self, directory, described):
        self.__dict__.update(described)
        self.path = str(directory / self.name)
        lists = json.loads((directory / self.truth).read_text())
        self.truth = {c["name"]: plain(c["type"], values) for c, values in zip(self.columns, lists)}
        self.rows = len(lists[0])
        self.types = {c["name"]: c["type"] for c in self.columns}

    def thresholds(self, name):
        """Values at the edges of pages and row groups, the extremes, and values that are not there."""
        values = self.truth[name]
        edges = {0, self.page_rows - 1, self.page_rows, self.group_rows - 1, self.group_rows, self.group_rows + 2 * self.page_rows}
        chosen = {values[i] for i in edges}
        there = [v for v in values if v is not None]
        chosen = chosen - {None} | {min(there), max(there)}
        chosen |= {"", "\U0010ffff" * 65, "did"} if self.types[name] == "string" else {min(there) - 1, max(there) // 2}
        if self.types[name] == "int":
            chosen = {v for v in chosen if -(2**63) <= v}
        return sorted(chosen)


def plain(kind, values):
    """Turns the JSON values of a column into what engines give back: timestamps become microseconds."""
    if kind == "ms":
        return [None if v is None else v * 1000 for v in values]
    if kind == "binaries":
        return [None if v is None else [base64.b64decode(e) for e in v] for v in values]
    return values


def literal(kind, value):
    return EPOCH + dt.timedelta(microseconds=value) if kind in ("ms", "us") else value


def column_values(table, name):
    """The values of an Arrow column as in the truth."""
    column = table.column(name)
    if pa.types.is_timestamp(column.type):
        if column.type.tz is None:
            raise AssertionError(f"{name} has no time zone")
        column = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    return column.to_pylist()


class PyArrow:
    def __init__(self, path):
        self.path = path
        self.dataset = ds.dataset(path)

    def table(self):
        return pq.read_table(self.path, page_checksum_verification=True)

    def count(self, expression):
        return self.dataset.count_rows(filter=expression)

    def null(self, name):
        return self.count(ds.field(name).is_null()), self.count(ds.field(name).is_valid())

    def compare(self, name, operator, value):
        field, scalar = ds.field(name), pa.scalar(value)
        if isinstance(value, dt.datetime):
            scalar = scalar.cast(self.dataset.schema.field(name).type, safe=False) if value.microsecond % 1000 == 0 else scalar
        return self.count({">=": field >= scalar, "<": field < scalar, "=": field == scalar}[operator])

    def lengths(self, name):
        return pc.list_value_length(self.table().column(name)).to_pylist()

    def contains(self, name, element):
        return sum(element in v for v in self.table().column(name).to_pylist() if v is not None)


class DuckDB:
    def __init__(self, path):
        self.db = duckdb.connect()
        self.db.execute("SET TimeZone='UTC'")
        self.source = f"read_parquet('{path}')"

    def table(self):
        return self.db.sql(f"SELECT * FROM {self.source}").to_arrow_table()

    def count(self, condition, *values):
        return self.db.execute(f"SELECT count(*) FROM {self.source} WHERE {condition}", values).fetchone()[0]

    def null(self, name):
        return self.count(f'"{name}" IS NULL'), self.count(f'"{name}" IS NOT NULL')

    def compare(self, name, operator, value):
        return self.count(f'"{name}" {operator} ?', value)

    def lengths(self, name):
        return [n for (n,) in self.db.execute(f'SELECT len("{name}") FROM {self.source}').fetchall()]

    def contains(self, name, element):
        return self.count(f'list_contains("{name}", ?)', element)


class Polars:
    def __init__(self, path):
        self.frame = pl.scan_parquet(path)

    def table(self):
        return self.frame.collect().to_arrow()

    def count(self, expression):
        return self.frame.filter(expression).select(pl.len()).collect().item()

    def null(self, name):
        return self.count(pl.col(name).is_null()), self.count(pl.col(name).is_not_null())

    def compare(self, name, operator, value):
        column, value = pl.col(name), pl.lit(value)
        return self.count({">=": column >= value, "<": column < value, "=": column == value}[operator])

    def lengths(self, name):
        return self.frame.select(pl.col(name).list.len()).collect().to_series().to_list()

    def contains(self, name, element):
        return self.count(pl.col(name).list.contains(pl.lit(element)))


class DataFusion:
    def __init__(self, path):
        # one partition keeps the rows in file order; filters reach the pages
        config = datafusion.SessionConfig().with_target_partitions(1).set("datafusion.execution.parquet.pushdown_filters", "true")
        self.frame = datafusion.SessionContext(config).read_parquet(path)

    def table(self):
        return self.frame.to_arrow_table()

    def count(self, expression):
        return self.frame.filter(expression).count()

    def null(self, name):
        column = datafusion.col(f'"{name}"')
        return self.count(column.is_null()), self.count(column.is_not_null())

    def compare(self, name, operator, value):
        if isinstance(value, dt.datetime):
            value = pa.scalar(value, pa.timestamp("us", "UTC"))
        column, value = datafusion.col(f'"{name}"'), datafusion.lit(value)
        return self.count({">=": column >= value, "<": column < value, "=": column == value}[operator])

    def lengths(self, name):
        column = datafusion.functions.array_length(datafusion.col(f'"{name}"'))
        return self.frame.select(column.alias("n")).to_arrow_table().column("n").to_pylist()

    def contains(self, name, element):
        return self.count(datafusion.functions.array_has(datafusion.col(f'"{name}"'), datafusion.lit(element)))


ENGINES = (PyArrow, DuckDB, Polars, DataFusion)


class Checker:
    """Compares and counts; keeps every difference for the end."""

    def __init__(self):
        self.checks = 0
        self.differences = []

    def equal(self, what, got, want):
        self.checks += 1
        if got != want:
            self.differences.append(f"{what}: got {str(got)[:200]}, want {str(want)[:200]}")

    def file(self, file):
        check_metadata(self, file)
        for engine_type in ENGINES:
            where = f"{engine_type.__name__} {file.name}"
            try:
                self.engine(where, engine_type(file.path), file)
            except Exception as error:  # an engine that cannot read the file is a finding like any other
                self.differences.append(f"{where}: {type(error).__name__}: {error}")

    def engine(self, where, engine, file):
        table = engine.table()
        self.equal(f"{where} columns", table.column_names, list(file.truth))
        for name, truth in file.truth.items():
            what = f"{where} {name}"
            self.values(what, column_values(table, name), truth)
            nulls = sum(v is None for v in truth)
            self.equal(f"{what} IS NULL, IS NOT NULL", engine.null(name), (nulls, file.rows - nulls))
            if not file.thorough:
                continue
            if file.types[name] in SCALARS:
                self.ranges(what, engine, file, name)
            else:
                self.lists(what, engine, file, name)

    def values(self, what, got, want):
        self.checks += 1
        if got == want:
            return
        differing = [i for i, pair in enumerate(zip(got, want)) if pair[0] != pair[1]]
        at = differing[0] if differing else min(len(got), len(want))
        self.equal(f"{what} of {len(want)} rows, first difference in row {at}", got[at:at + 1], want[at:at + 1])

    def ranges(self, what, engine, file, name):
        there = [v for v in file.truth[name] if v is not None]
        for threshold in file.thresholds(name):
            for operator, holds in OPERATORS.items():
                got = engine.compare(name, operator, literal(file.types[name], threshold))
                self.equal(f"{what} {operator} {threshold!r}", got, sum(holds(v, threshold) for v in there))

    def lists(self, what, engine, file, name):
        truth = file.truth[name]
        lengths = [n or 0 if v is not None and len(v) == 0 else n for n, v in zip(engine.lengths(name), truth)]
        self.equal(f"{what} lengths", lengths, [None if v is None else len(v) for v in truth])
        elements = sorted({e for v in truth if v for e in v})
        for element in (elements[0], elements[len(elements) // 2], elements[-1]):
            self.equal(f"{what} contains {element!r}", engine.contains(name, element), sum(element in v for v in truth if v))


def check_metadata(checker, file):
    """Compares what pyarrow reads from the footer with the truth."""
    metadata = pq.read_metadata(file.path)
    checker.equal(f"{file.name} rows", metadata.num_rows, file.rows)
    for i in range(metadata.num_row_groups):
        first, group = i * file.group_rows, metadata.row_group(i)
        checker.equal(f"{file.name} rows of group {i}", group.num_rows, min(file.group_rows, file.rows - first))
        for j, (name, truth) in enumerate(file.truth.items()):
            checker.equal(f"{file.name} {name} codec", group.column(j).compression, CODECS[file.codec])
            check_chunk(checker, f"{file.name} group {i} {name}", file.types[name], group.column(j), truth[first:first + group.num_rows])


def check_chunk(checker, what, kind, chunk, truth):
    checker.equal(f"{what} has an offset index", chunk.has_offset_index, True)
    if kind not in SCALARS:
        truth = [e for v in truth for e in (v or [None])]
    there = [v for v in truth if v is not None]
    statistics = chunk.statistics
    checker.equal(f"{what} values, nulls", (chunk.num_values, statistics.null_count), (len(truth), len(truth) - len(there)))
    exact = bool(there) and (not isinstance(there[0], (str, bytes)) or all(len(raw(v)) <= 256 for v in (min(there), max(there))))
    checker.equal(f"{what} has bounds", statistics.has_min_max, exact)
    if exact:
        checker.equal(f"{what} bounds", tuple(map(comparable, (statistics.min, statistics.max))), (min(there), max(there)))


def raw(value):
    return value.encode() if isinstance(value, str) else value


def comparable(value):
    return (value - EPOCH) // dt.timedelta(microseconds=1) if isinstance(value, dt.datetime) else value


def main():
    directory, checker = pathlib.Path(sys.argv[1]), Checker()
    for described in json.loads((directory / "files.json").read_text()):
        started = time.monotonic()
        file = File(directory, described)
        checker.file(file)
        print(f"{file.name}: {checker.checks} checks so far, {time.monotonic() - started:.1f} s")
    for difference in checker.differences[:50]:
        print("DIFFERENCE", difference)
    versions = ", ".join(f"{m.__name__} {m.__version__}" for m in (pa, duckdb, pl, datafusion))
    print(f"{checker.checks} checks, {len(checker.differences)} differences: {versions}")
    return 1 if checker.differences else 0


if __name__ == "__main__":
    sys.exit(main())
