"""Great Expectations on DuckDB: engine, data source, and the one expectation of the gate.

Every check is an SQL count of ours; Great Expectations is the protocol in which it is asked,
evaluated and answered. Importing this module imports it (seconds), so only `expectations/suite.py`
and, late, the gate do.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, ClassVar, Literal, Protocol

os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read while it is imported

import great_expectations as gx
import sqlalchemy as sa
from duckdb_engine import ConnectionWrapper
from great_expectations.compatibility import pydantic
from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.core.metric_function_types import MetricPartialFunctionTypes
from great_expectations.datasource.fluent import SQLDatasource
from great_expectations.execution_engine import SqlAlchemyExecutionEngine
from great_expectations.expectations.expectation import BatchExpectation
from great_expectations.expectations.metrics.metric_provider import metric_partial
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider

_log = logging.getLogger("great_expectations")  # it quotes statements, values and paths
_log.addHandler(logging.NullHandler())
_log.propagate = False


@atexit.register
def _let_go_of_duckdb() -> None:
    """Empty duckdb_engine at exit: the dialects kept there would make DuckDB print leak notes."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "duckdb_engine":
            vars(module).clear()


class PinnedConnection(SqlAlchemyExecutionEngine):  # type: ignore[misc]
    """An engine that keeps one connection.

    The original closes it before the rows are fetched, and DuckDB's are gone by then.
    """

    @contextlib.contextmanager
    def get_connection(self) -> Iterator[Any]:
        """Return the one connection."""
        yield self._connection


class EngineSession(Protocol):
    """What the gate asks of the engine that holds the staged rows."""

    def dbapi_cursor(self) -> Any:
        """Return a new cursor of the DB API on the engine's database."""


class DuckDBSource(SQLDatasource):  # type: ignore[misc]
    """A data source that reads through the session it was last given, never one of its own."""

    type: Literal["jifen_duckdb"] = "jifen_duckdb"
    _engine_in_use: Any = pydantic.PrivateAttr(None)

    def get_execution_engine(self) -> Any:
        """Return the engine of the session in use."""
        return self._engine_in_use

    def whole(self, relation: str) -> Any:
        """Return the batch of all rows of a relation.

        It is defined once per relation: Great Expectations keeps every definition as YAML.
        """
        if relation in self.get_asset_names():
            return self.get_asset(relation).get_batch_definition("whole")
        asset = self.add_query_asset(relation, query=f"SELECT * FROM {relation}")
        return asset.add_batch_definition_whole_table("whole")

    @contextlib.contextmanager
    def reading_through(self, session: EngineSession) -> Iterator[None]:
        """Evaluate everything within the block on a cursor of this session."""
        cursor = ConnectionWrapper(session.dbapi_cursor())
        engine = sa.create_engine(
            "duckdb:///:memory:", creator=lambda: cursor, poolclass=sa.pool.StaticPool
        )
        with engine.connect() as opened:
            self._engine_in_use = PinnedConnection(engine=engine, create_temp_table=False)
            self._engine_in_use._connection = opened
            try:
                yield
            finally:
                self._engine_in_use = None
        engine.dispose()


class _Count(TableMetricProvider):  # type: ignore[misc]
    """An SQL aggregate over the batch; those of one batch are bundled, so one scan answers all."""

    @metric_partial(  # type: ignore[untyped-decorator]
        engine=SqlAlchemyExecutionEngine,
        partial_fn_type=MetricPartialFunctionTypes.AGGREGATE_FN,
        domain_type=MetricDomainTypes.TABLE,
    )
    def _sqlalchemy(
        cls,
        execution_engine: Any,
        metric_domain_kwargs: Any,
        metric_value_kwargs: Any,
        metrics: Any,
        **_: Any,
    ) -> Any:
        (aggregate,) = metric_value_kwargs.values()
        return sa.literal_column(aggregate), metric_domain_kwargs, {}


class FailingRows(_Count):
    """How many rows break an expectation."""

    metric_name = "jifen.counted"
    value_keys = ("counted",)


class ConsideredRows(_Count):
    """Of how many rows."""

    metric_name = "jifen.among"
    value_keys = ("among",)


class ExpectAtMostFailingRows(BatchExpectation):  # type: ignore[misc]
    """Expect at most `tolerated` rows `counted`; with a `share`, or at most that share of `among`.

    `counted` and `among` are SQL aggregates that count rows. The standard column expectations mean
    the same, but they fetch the offending values and scan several times; here only counts leave the
    engine.
    """

    counted: str
    among: str = "count(*)"
    tolerated: int = 0
    share: float | None = None

    metric_dependencies: ClassVar[tuple[str, ...]] = (
        FailingRows.metric_name,
        ConsideredRows.metric_name,
    )
    success_keys: ClassVar[tuple[str, ...]] = ("counted", "among", "tolerated", "share")
    domain_keys: ClassVar[tuple[str, ...]] = ("batch_id",)

    def _validate(
        self,
        metrics: dict[str, int],
        runtime_configuration: Any = None,
        execution_engine: Any = None,
    ) -> dict[str, Any]:
        counted, among = metrics[FailingRows.metric_name], metrics[ConsideredRows.metric_name]
        limit = None if self.share is None else Fraction(str(self.share)) * among  # exactly 0.35
        over = limit is None or counted > limit
        too_many = counted > self.tolerated and over
        return {
            "success": not too_many,
            "result": {"observed_value": counted, "details": {"among": among}},
        }


def create_data_source() -> DuckDBSource:
    """Return the data source of a context without files, progress bars or telemetry.

    A process needs one.
    """
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    source: DuckDBSource = context.data_sources.add_or_update_jifen_duckdb(
        name="staged", connection_string="duckdb:///:memory:"
    )
    return source
