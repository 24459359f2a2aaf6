"""When numbers are too large to count with: the error that names them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal

from expectations.errors import ExitCode, JifenError
from expectations.source_model import Fact
from transforms.engine.session import NumberError, Session

PLAUSIBLE = 99_999


@contextmanager
def explain_overflow(
    session: Session, facts: Mapping[str, Fact], tables: Iterable[str]
) -> Iterator[None]:
    """Replace the engine's error when a number does not fit by JifenError 12.

    It names the facts in `tables` whose values are so large.
    """
    try:
        yield
    except NumberError:
        tops = [(fact, name, session.scalar(f"SELECT max({name}) FROM {table}")) for table in tables
                for name, fact in facts.items() if name in session.describe(table)]  # fmt: skip
        largest = [
            f"{fact.title}（{name}）最大 {top:,}"
            for fact, name, top in tops
            if isinstance(top, int | Decimal) and top > PLAUSIBLE
        ]
        what = f"有数值大得无法计算：{'、'.join(largest) or '各项相加以后'}"
        raise JifenError(
            ExitCode.GATE, what, hint="请部门核对这些数据和更正值，重新提供后再运行"
        ) from None
