"""Charts that are explored in a browser: specifications by Altair, drawn there by Vega.

The page holds Vega's script, loads nothing, and gives each chart its rows under the name `rows`.
Every chart fits the width that it has. Colours are those of `templates/page.css`; no chart says
anything by colour alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from reports.html.charts import BAR, FONT, FONT_SIZE, INK, LINE, NOW, ROW, SOFT

HEIGHT = 220
COUNT_AXIS = (
    "abs(datum.value) < 1e4 ? format(datum.value, ',')"
    " : abs(datum.value) < 1e8 ? format(datum.value / 1e4, ',') + ' 万'"
    " : format(datum.value / 1e8, ',') + ' 亿'"
)


def build_vega_script() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script; it takes seconds to put together.

    It is the same for one version of vl-convert.
    """
    import vl_convert

    bundle: Callable[[], str] = vl_convert.javascript_bundle  # type: ignore[assignment]
    return bundle().replace("</script", "<\\/script")


def specify_line(title: str, months: Sequence[str]) -> dict[str, Any]:
    """Return a line over months; rows: month, value, label. Its axis need not begin at zero."""
    alt = _import_altair()
    value = alt.Y("value:Q", axis=_value_axis(alt, title), scale=alt.Scale(zero=False))
    base = _base(alt).encode(x=_months(alt, months), y=value, tooltip=_tooltip(alt, "month"))
    return _finish(alt.layer(base.mark_line(color=NOW, strokeWidth=2), _points(base)))


def specify_spread(title: str, months: Sequence[str]) -> dict[str, Any]:
    """Return a line between two dashed ones; rows: month, value, low, high, label."""
    alt = _import_altair()
    base = _base(alt).encode(x=_months(alt, months), tooltip=_tooltip(alt, "month"))
    value, low, high = (
        base.encode(y=alt.Y(f"{name}:Q", axis=_value_axis(alt, title)))
        for name in ("value", "low", "high")
    )
    ends = {"color": SOFT, "strokeDash": [5, 4]}
    return _finish(
        alt.layer(
            low.mark_line(**ends),
            high.mark_line(**ends),
            value.mark_line(color=NOW, strokeWidth=2),
            _points(value),
        )
    )


def specify_columns(title: str, months: Sequence[str]) -> dict[str, Any]:
    """Return a column per month; rows: month, value, label."""
    alt = _import_altair()
    bars = _base(alt).mark_bar(color=NOW, width={"band": 0.7})
    return _finish(
        bars.encode(
            x=_months(alt, months),
            y=alt.Y("value:Q", axis=_value_axis(alt, title)),
            tooltip=_tooltip(alt, "month"),
        )
    )


def specify_bars(title: str, rows: int) -> dict[str, Any]:
    """Return a horizontal bar per name with its label; rows: name, value, label."""
    alt = _import_altair()
    base = _base(alt).encode(
        y=alt.Y("name:N", sort=None, title=None, axis=alt.Axis(labelLimit=150, ticks=False)),
        x=alt.X("value:Q", title=title, axis=alt.Axis(tickCount=3, labelExpr=COUNT_AXIS)),
        tooltip=_tooltip(alt, "name"),
    )
    return _finish(base.mark_bar(color=NOW, height=BAR), rows * ROW)


def specify_circles(rows: int) -> dict[str, Any]:
    """Return a circle per cell of two traits, its area the people; rows: x, y, value, label."""
    alt = _import_altair()
    axis: dict[str, Any] = {"title": None, "sort": None}
    circles = _base(alt).mark_circle(color=NOW, opacity=1)
    return _finish(
        circles.encode(
            x=alt.X("x:N", **axis, axis=alt.Axis(labelAngle=-45, labelLimit=110, grid=True)),
            y=alt.Y("y:N", **axis, axis=alt.Axis(labelLimit=110, grid=True)),
            size=alt.Size("value:Q", legend=None, scale=alt.Scale(range=[0, 700], zero=True)),
            tooltip=[
                alt.Tooltip("y:N", title=" "),
                alt.Tooltip("x:N", title="　"),
                alt.Tooltip("label:N", title="人数"),
            ],
        ),
        rows * 34,
    )


def _import_altair() -> ModuleType:
    """Import it where a chart is specified: it takes a second."""
    import altair

    return altair


def _base(alt: ModuleType) -> Any:
    return alt.Chart(alt.NamedData(name="rows"))


def _points(line: Any) -> Any:
    return line.mark_point(color=NOW, filled=True, size=45, opacity=1)


def _months(alt: ModuleType, months: Sequence[str]) -> Any:
    """Return the axis of these months, whether or not there is a value of each."""
    axis = alt.Axis(labelAngle=-45, labelOverlap="parity")
    return alt.X("month:O", title=None, axis=axis, scale=alt.Scale(domain=list(months)))


def _value_axis(alt: ModuleType, title: str) -> Any:
    place = {"titleAngle": 0, "titleAlign": "left", "titleX": 4, "titleY": -8}
    return alt.Axis(title=title, tickCount=4, labelExpr=COUNT_AXIS, **place)


def _tooltip(alt: ModuleType, name: str) -> list[Any]:
    return [alt.Tooltip(f"{name}:N", title=" "), alt.Tooltip("label:N", title="　")]


def _finish(chart: Any, height: int = HEIGHT) -> dict[str, Any]:
    text: dict[str, object] = {"labelFont": FONT, "titleFont": FONT, "titleFontWeight": "normal"}
    text |= {"labelFontSize": FONT_SIZE, "titleFontSize": FONT_SIZE}
    colours = {"labelColor": INK, "titleColor": SOFT, "gridColor": LINE, "domainColor": INK}
    spec: dict[str, Any] = chart.to_dict()
    return spec | {
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "config": {
            "background": "transparent",
            "axis": {**text, **colours, "tickColor": INK},
            "view": {"stroke": None},
        },
    }
