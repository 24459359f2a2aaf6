"""Colours of the pages: contrast as WCAG 2.1 AA asks (4.5:1 for text, 3:1 for graphics), on screen and in print, in all
six pages; and what a colour says is said without it too, to a colour-blind reader and by a black-and-white printer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations, product

import pytest

from reports.html.charts import Move, draw_moves
from reports.html.environment import TEMPLATES

PAGE, SUMMARY, SIMULATION, OVERVIEW = (
    (TEMPLATES / f"{name}.css").read_text("utf-8")
    for name in ("page", "summary", "simulation", "overview")
)
STYLES = {
    "run report": PAGE,
    "summary": PAGE + SUMMARY,
    "simulation": PAGE + SUMMARY + SIMULATION,
    "overview": PAGE + OVERVIEW,
}
TEXT, GRAPHICS = 4.5, 3.0
DECORATION = (
    "line"  # hairlines between rows and under headings: what they part is parted by space as well
)
# Linear RGB as seen without red or green cones (Viénot, Brettel and Mollon 1999).
SIGHT = {
    "protanopia": ((0.11238, 0.88762, 0.0), (0.11238, 0.88762, 0.0), (0.00401, -0.00401, 1.0)),
    "deuteranopia": ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0)),
}
Colour = tuple[float, float, float]


def colour(text: str) -> Colour:
    """`#rgb` or `#rrggbb` as linear light, 0 to 1."""
    digits = text.removeprefix("#")
    whole = "".join(letter * 2 for letter in digits) if len(digits) == 3 else digits
    parts = (int(whole[place : place + 2], 16) / 255 for place in (0, 2, 4))
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return red, green, blue


def luminance(light: Colour) -> float:
    return 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2]


def contrast(one: str, two: str) -> float:
    brighter, darker = sorted((luminance(colour(one)), luminance(colour(two))), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def palette(style: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z]+): (#[0-9a-f]+)", style))


def declared(style: str) -> Iterator[tuple[str, str, str]]:
    """(selector, property, colour) of every colour that a style sheet sets."""
    names = palette(style)
    for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", style):
        for prop, value in re.findall(r"([a-z-]+): ([^;}]+)", body):
            for name, plain in re.findall(r"var\(--([a-z]+)\)|(#[0-9a-f]{3,6})\b", value):
                if not prop.startswith("--") and ":root" not in selector:
                    yield selector.strip(), prop.lstrip("-"), names.get(name, plain)


@pytest.mark.parametrize(
    ("one", "two", "ratio"),
    [("#000", "#fff", 21.0), ("#777777", "#fff", 4.48), ("#fff", "#fff", 1.0)],
)
def test_contrast_is_computed_as_wcag_says(one: str, two: str, ratio: float) -> None:
    assert contrast(one, two) == pytest.approx(ratio, abs=0.01)


@pytest.mark.parametrize("name", STYLES)
def test_every_text_stands_out_from_every_background(name: str) -> None:
    style = STYLES[name]
    found = list(declared(style))
    inks = {value for _, prop, value in found if prop == "color"}
    papers = {
        value for selector, prop, value in found if prop == "background" and selector != ".bar i"
    }
    assert len(inks) >= 3 and papers == {"#fff", palette(style)["pale"]}
    weak = [(ink, paper) for ink, paper in product(inks, papers) if contrast(ink, paper) < TEXT]
    assert not weak


@pytest.mark.parametrize("name", STYLES)
def test_every_mark_stands_out_from_every_background(name: str) -> None:
    """Bars, strokes, frames, the ring around what has the focus; white fills are seen by their strokes."""
    style = STYLES[name]
    line = palette(style)[DECORATION]
    kinds = ("fill", "stroke", "outline", "border", "border-color", "background")
    papers = ("#fff", palette(style)["pale"])
    marks = {
        (s, value)
        for s, prop, value in declared(style)
        if prop in kinds and value not in (*papers, line)
    }
    assert len({value for _, value in marks}) >= 3
    assert not [
        (mark, paper)
        for mark, paper in product(marks, papers)
        if contrast(mark[1], paper) < GRAPHICS
    ]


def seen(text: str, kind: str) -> str:
    """The colour as someone without these cones sees it."""
    light = colour(text)
    parts = [sum(a * b for a, b in zip(row, light, strict=True)) for row in SIGHT[kind]]
    written = (
        12.92 * p if p <= 0.0031308 else 1.055 * p ** (1 / 2.4) - 0.055
        for p in (min(max(p, 0), 1) for p in parts)
    )
    return "#" + "".join(f"{round(255 * part):02x}" for part in written)


def lab(text: str) -> Colour:
    """CIE L*a*b* under D65."""
    r, g, b = colour(text)
    x = (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505
    y, z = luminance((r, g, b)), (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089
    fx, fy, fz = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def difference(one: str, two: str) -> float:
    return float(sum((a - b) ** 2 for a, b in zip(lab(one), lab(two), strict=True)) ** 0.5)


@pytest.mark.parametrize("kind", SIGHT)
def test_up_down_and_ink_differ_for_a_colour_blind_reader(kind: str) -> None:
    colours = palette(PAGE)
    for one, two in combinations(("now", "down", "ink"), 2):
        assert difference(seen(colours[one], kind), seen(colours[two], kind)) > 20, (one, two)


def test_the_simulated_sight_does_confuse_red_and_green() -> None:
    assert difference("#b03030", "#407020") > 60
    assert difference(seen("#b03030", "deuteranopia"), seen("#407020", "deuteranopia")) < 25


def rule(style: str, selector: str) -> str:
    """What a selector says, wherever it stands in the sheet."""
    rules = re.findall(r"([^{}]+)\{([^{}]*)\}", style)
    return " ".join(
        body for names, body in rules if selector in [name.strip() for name in names.split(",")]
    )


def test_marks_of_one_chart_differ_in_shape_not_in_colour_alone() -> None:
    """In grey the two colours are nearly equal: one mark is solid, the other hollow."""
    colours = palette(PAGE)
    assert contrast(colours["now"], colours["down"]) < GRAPHICS
    assert "fill: var(--now)" in rule(PAGE, ".now") and "stroke" not in rule(PAGE, ".now")
    assert "fill: #fff" in rule(PAGE, ".then") and "stroke: var(" in rule(PAGE, ".then")
    chart = draw_moves([Move("总分", 2, 3)])
    bars = re.findall(r'<path aria-label[^>]*role="graphics-symbol"[^>]*>', chart)
    (solid, hollow) = ([bar for bar in bars if mark in bar] for mark in ("--now", "--down"))
    assert len(solid) == len(hollow) == 1
    assert 'fill="var(--now)"' in solid[0] and "stroke=" not in solid[0]
    assert 'stroke="var(--down)"' in hollow[0] and "fill=" not in hollow[0]


def test_bars_of_the_simulation_differ_in_shape_too_and_all_bars_are_printed() -> None:
    style = STYLES["simulation"]
    assert "background: #fff" in rule(
        style, ".bar i.down"
    ) and "border: 2px solid var(--down)" in rule(style, ".bar i.down")
    assert "background: var(--now)" in rule(
        style, ".bar i"
    ) and "print-color-adjust: exact" in rule(style, ".bar i")


def test_a_verdict_is_shown_by_its_frame_and_in_words() -> None:
    """Of held and blocked one frame is double; test_run_report checks the words in a browser."""
    assert "border-style: double" in rule(PAGE, ".held") and "double" not in rule(PAGE, ".blocked")
