"""Pages of figures: one HTML file each, nothing loaded from anywhere; readable narrow, printed, and without colours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

# Blue and vermilion are told apart by every kind of colour vision; what they say is always said in words or shape too.
STYLE = """
:root { --ink: #1d2430; --soft: #5a6472; --line: #cbd2da; --now: #0b5c96; --down: #b8480f; --pale: #f3f5f8 }
* { box-sizing: border-box }
body { font: 16px/1.6 system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; color: var(--ink) }
body { max-width: 66rem; margin: 0 auto; padding: 1rem 1.25rem 3rem; background: #fff }
h1 { font-size: 1.6rem; line-height: 1.3; margin: .6rem 0 } h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem }
h2 { border-bottom: 1px solid var(--line); padding-bottom: .2rem } h3 { font-size: 1rem; margin: 1.2rem 0 .3rem }
p, ul, ol { margin: .4rem 0 } li { margin: .25rem 0 } .soft, figcaption, footer { color: var(--soft); font-size: .875rem }
a { color: var(--now) } :focus-visible { outline: 3px solid var(--down); outline-offset: 2px }
.skip { position: absolute; left: -99rem } .skip:focus { position: static }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; padding: 0; list-style: none; font-size: .9rem }
.verdict { border: 2px solid var(--ink); border-left-width: .9rem; padding: .7rem 1rem; margin: 1rem 0 }
.verdict strong { font-size: 1.25rem } .verdict h3 { margin-bottom: .1rem } .published { border-color: var(--now) }
.held { border-style: double; border-width: 6px }
.held, .blocked { border-color: var(--down) } .wide { overflow-x: auto } figure { margin: .5rem 0 }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .92rem }
th, td { padding: .25rem .6rem; text-align: left; font-weight: normal; border-bottom: 1px solid var(--line); vertical-align: top }
thead th { color: var(--soft); font-size: .85rem; vertical-align: bottom } td { text-align: right; white-space: nowrap }
td.text { text-align: left; white-space: normal } thead th:not(:first-child) { text-align: right }
thead th.text:not(:first-child) { text-align: left } tbody tr:nth-child(even) { background: var(--pale) }
details { margin: .5rem 0 } summary { cursor: pointer; color: var(--now) }
.bars { display: grid; grid-template-columns: minmax(6rem, 15rem) 1fr minmax(9rem, auto); gap: .25rem .8rem; align-items: center }
.bars svg { width: 100%; height: 1.15rem; display: block } .bars .value { font-variant-numeric: tabular-nums; font-size: .9rem }
.small { display: grid; grid-template-columns: repeat(auto-fill, minmax(11.5rem, 1fr)); gap: .9rem 1.2rem }
.small svg { width: 100%; height: 4rem; display: block; border-bottom: 1px solid var(--ink) } .small p { margin: 0; font-size: .9rem }
.now { fill: var(--now) } .then { fill: #fff; stroke: var(--ink); vector-effect: non-scaling-stroke }
.more { fill: var(--now) } .fewer { fill: #fff; stroke: var(--down); stroke-width: 2; vector-effect: non-scaling-stroke }
.axis { stroke: var(--ink); vector-effect: non-scaling-stroke }
@media (max-width: 40rem) {
  .bars { grid-template-columns: 1fr; gap: 0 } .bars .value { margin-bottom: .55rem }
  h1 { font-size: 1.3rem } th, td { padding: .25rem .35rem }
}
@media print {
  nav, .skip { display: none } body { max-width: none; font-size: 10.5pt; padding: 0 }
  h2, h3 { break-after: avoid } tr, figure, .verdict { break-inside: avoid }
  details::details-content { content-visibility: visible; block-size: auto; display: block }
}
"""


def render_page(title: str, header: str, sections: Sequence[tuple[str, str]], footer: str) -> str:
    """A whole page: what must be seen at once, then titled sections with a list of links to them."""
    links = "".join(
        f'<li><a href="#s{place}">{escape(name)}</a></li>'
        for place, (name, _) in enumerate(sections)
    )
    body = "\n".join(
        f'<section aria-labelledby="s{place}"><h2 id="s{place}">{escape(name)}</h2>\n{content}</section>'
        for place, (name, content) in enumerate(sections)
    )
    return render_document(
        title,
        f"""<a class="skip" href="#main">跳到正文</a>
<header><h1>{escape(title)}</h1>{header}</header>
<nav aria-label="本页内容"><ul>{links}</ul></nav>
<main id="main">
{body}
</main>
<footer>{footer}</footer>""",
    )


def render_document(title: str, body: str, style: str = "") -> str:
    """A body in the shared hand; `style`: what this kind of page adds to it."""
    return f"""<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><link rel="icon" href="data:,"><style>{STYLE}{style}</style></head><body>
{body}
</body></html>
"""


def render_table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, words: Sequence[int] = ()
) -> str:
    """Rows of a name and its figures (plain text), under a head; `words`: columns that are text. No rows: says so."""
    listed = list(rows)
    if not listed:
        return "<p>没有。</p>"

    def cell(place: int, text: str, tag: str) -> str:
        scope = (
            ' scope="row"' if tag == "td" and not place else ' scope="col"' if tag == "th" else ""
        )
        kind = ' class="text"' if place in words else ""
        name = "th" if not place else tag
        return f"<{name}{scope}{kind}>{escape(text)}</{name}>"

    titles = "".join(cell(place, text, "th") for place, text in enumerate(head))
    lines = ("".join(cell(place, text, "td") for place, text in enumerate(row)) for row in listed)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return wrap_scrollable(f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>")


def wrap_scrollable(content: str) -> str:
    """Content that scrolls by itself where the page is too narrow for it."""
    return f'<div class="wide" role="region" aria-label="表" tabindex="0">{content}</div>'


def render_details(summary: str, content: str) -> str:
    """Content that opens on demand, and in print."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def render_list(lines: Sequence[str]) -> str:
    """Sentences as a list."""
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def render_paragraph(text: str, kind: str = "") -> str:
    """A sentence or two; `kind`: `soft` for what is said aside."""
    return f"<p{f' class={chr(34)}{kind}{chr(34)}' if kind else ''}>{escape(text)}</p>"
