"""Measure how legible Python code is: sizes, parameters, names, line lengths, nested f-strings.

    python -m tests.architecture.measure_legibility [NAME=]PATH ... [--offenders]

The result is a Markdown table with one column per folder (or file); without any, this project is
measured. A folder that holds a `pyproject.toml` stands for the packages in it. Folders named
`tests` and hidden folders are left out.

What is counted, and how:

- *Functions* are all of them: module-level, methods, nested. Their length runs from `def` to the
  last line.
- *Parameters* do not include `self`, `cls`, `*args` and `**kwargs`.
- *Public names* are the module-level functions without a leading underscore.
- A name *starts with a verb* if its first word is in `VERBS`, in the base form: `find_rows` does,
  `found_rows` does not. A word that is a noun as often (record, score, state, name, schedule) is
  not in the list. `is_`, `has_`, `may_`, `can_` and `should_` count as verbs: they name
  predicates. So do `to_` and `from_`, which name conversions; other prepositions (`with_`, `as_`,
  `in_`) do not.
- A *line's length* is its number of characters; a Chinese character is one (ruff counts it as two).
- An f-string is *nested* if it stands inside an expression of another one; format specifications
  are not counted.
"""

from __future__ import annotations

import argparse
import ast
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

PROJECT = Path(__file__).parents[2]
MAX_LINE = 100
MAX_PARAMETERS = 6
_VERBS = """
is has may can should from to
abort accept access acquire activate add adjust advance aggregate align allow analyse analyze
annotate anonymise append apply approve archive arrange ask assemble assert assign assure attach
audit await
backfill bind blend bound broadcast browse build bump bundle
calculate call cancel cast catch categorize change check choose chunk claim classify clean clear
clip clone close coalesce coerce collect combine commit compact compare compile complete compose
compress compute concat concatenate configure confirm connect construct consume convert copy count
cover create crop cross
deactivate debug decode decompress decrypt dedupe deduplicate deepcopy defer define delete deploy
deprecate deregister derive describe deserialize destroy detach detect determine diff disable
discard discover dispatch display divide download drop dump
emit enable encode encrypt enforce enqueue enrich ensure enter enumerate erase escape estimate
eval evaluate evolve examine exclude exec execute exit expand expect explain explode export expose
extend extract
fail fetch fill filter finalise finalize find finish fix flag flatten flush follow force forget
format forward freeze
gather generate get give glob grant guard guess
handle harden hash hide hold humanize
identify ignore implement import include increase increment indent infer inherit init initialise
initialize inject insert inspect install instantiate interpolate interpret intersect invalidate
invoke isolate issue iter iterate
join
keep kill
launch limit link lint list listen load locate lock log lookup
make map mark mask match materialise materialize maximise measure merge migrate minimise modify
monitor mount move multiply
negate normalise normalize note notify nullify
obfuscate obtain omit open optimise optimize order override overwrite
pack pad paginate parameterize parse partition pass patch perform permit pick pin pipe pivot plan
plant plug poll pop populate predict prefer preload prepare prepend present preserve prevent
preview print process produce profile promote prompt propagate prove provide prune publish pull
purge push put
query quote
raise read rebuild recall receive recognise recompute reconcile recover recreate redact redirect
reduce refer refresh refuse register reindex reject release reload remember remind remove rename
render renew reorder repair repeat replace report require resample rescale reserve reset resolve
respond restore restrict retain retrieve retry return reuse reveal reverse revert review revoke
rewrite roll rollback rotate round route run
sample sanitise sanitize save scale scan seal search select send serialise serialize serve set
setup shift shorten show shuffle shutdown sign simplify simulate skip sleep solve sort specialize
specify spill split stage start stop store stream stringify strip submit subscribe substitute
subtract suggest summarise summarize supply suppress swap switch sync synthesise synthesize
tag take terminate test throw toggle tokenize touch track transcode transform translate transpose
traverse trigger trim truncate try tune
unbind unescape uninstall unite unlink unlock unpack unregister unwrap update upgrade upload
upsert use
validate verify view visit
wait wake walk warn watch wrap write
yield
zip
"""
VERBS = frozenset(_VERBS.split())


@dataclass
class Place:
    """One finding: where it is and what it is."""

    path: Path
    line: int
    text: str


@dataclass
class Measures:
    """Everything counted in one body of code."""

    modules: list[int] = field(default_factory=list)  # lines of each module
    functions: list[int] = field(default_factory=list)  # lines of each function
    names: int = 0
    without_verb: list[Place] = field(default_factory=list)
    one_word: list[Place] = field(default_factory=list)
    long_lines: list[Place] = field(default_factory=list)
    many_parameters: list[Place] = field(default_factory=list)
    nested_fstrings: list[Place] = field(default_factory=list)
    unparsed: list[Path] = field(default_factory=list)  # newer syntax than this interpreter's

    @property
    def lines(self) -> int:
        """Return the lines of all modules."""
        return sum(self.modules)

    @property
    def verb_share(self) -> float:
        """Return the share of public names that start with a verb."""
        return 1 - len(self.without_verb) / max(self.names, 1)

    @property
    def one_word_share(self) -> float:
        """Return the share of public names of one word."""
        return len(self.one_word) / max(self.names, 1)

    @property
    def long_line_share(self) -> float:
        """Return the share of lines over `MAX_LINE` characters."""
        return len(self.long_lines) / max(self.lines, 1)

    @property
    def many_parameters_share(self) -> float:
        """Return the share of functions with more than `MAX_PARAMETERS` parameters."""
        return len(self.many_parameters) / max(len(self.functions), 1)


def find_modules(folder: Path) -> Iterator[Path]:
    """Yield the Python files of a package, or of a project's packages, sorted by path."""
    if folder.is_file():
        yield folder
    is_project = (folder / "pyproject.toml").is_file()
    for path in sorted(folder.rglob("*.py")):
        folders = path.relative_to(folder).parts[:-1]
        is_left_out = any(part.startswith(".") or part == "tests" for part in folders)
        if not is_left_out and (folders or not is_project):
            yield path


def measure_folder(folder: Path) -> Measures:
    """Count all measures over the Python files under a folder, or over one file."""
    measures = Measures()
    for path in find_modules(folder):
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        measures.modules.append(len(lines))
        measures.long_lines += [
            Place(path, number, f"{len(line)} characters")
            for number, line in enumerate(lines, start=1)
            if len(line) > MAX_LINE
        ]
        try:
            tree = ast.parse(text)
        except SyntaxError:
            measures.unparsed.append(path)
            continue
        _measure_functions(path, tree, measures)
        _measure_names(path, tree, measures)
        for node in find_nested_fstrings(tree):
            measures.nested_fstrings.append(Place(path, node.lineno, "nested f-string"))
    return measures


def _measure_functions(path: Path, tree: ast.Module, measures: Measures) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            measures.functions.append((node.end_lineno or node.lineno) - node.lineno + 1)
            if (parameters := count_parameters(node)) > MAX_PARAMETERS:
                text = f"{node.name}: {parameters} parameters"
                measures.many_parameters.append(Place(path, node.lineno, text))


def _measure_names(path: Path, tree: ast.Module, measures: Measures) -> None:
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.startswith("_"):
            continue
        measures.names += 1
        if not starts_with_verb(node.name):
            measures.without_verb.append(Place(path, node.lineno, node.name))
        if "_" not in node.name.strip("_"):
            measures.one_word.append(Place(path, node.lineno, node.name))


def count_parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the number of named parameters, without `self` and `cls`."""
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return sum(argument.arg not in ("self", "cls") for argument in arguments)


def starts_with_verb(name: str) -> bool:
    """Return True if the first word of a function's name is a verb in the base form."""
    return name.lower().partition("_")[0] in VERBS


def find_nested_fstrings(tree: ast.AST) -> Iterator[ast.JoinedStr]:
    """Yield the f-strings that stand inside an expression of another f-string."""

    def visit(node: ast.AST, is_inside: bool) -> Iterator[ast.JoinedStr]:
        if isinstance(node, ast.JoinedStr) and is_inside:
            yield node
        for child in ast.iter_child_nodes(node):
            if isinstance(node, ast.FormattedValue) and child is node.format_spec:
                # A format specification is an f-string in the tree, but not in the source.
                for part in ast.iter_child_nodes(child):
                    yield from visit(part, False)
            else:
                yield from visit(child, is_inside or isinstance(node, ast.FormattedValue))

    yield from visit(tree, False)


def build_table(columns: dict[str, Measures]) -> str:
    """Return a Markdown table with one row per body of code."""
    header = [
        "",
        "modules, median / max lines",
        "functions, median / p90 / max lines",
        f">= {MAX_PARAMETERS + 1} parameters",
        "public functions",
        "that start with a verb",
        "of one word",
        f"lines over {MAX_LINE} characters",
        "f-strings nested in f-strings",
    ]
    lines = [_table_row(header), _table_row(["---"] * len(header))]
    for name, measures in columns.items():
        modules, functions = measures.modules or [0], measures.functions or [0]
        p90 = quantiles(functions, n=10)[8] if len(functions) > 1 else functions[0]
        cells = [
            name,
            f"{len(measures.modules)}, {median(modules):.0f} / {max(modules):,}",
            f"{len(measures.functions):,}, {median(functions):.0f} / {p90:.0f} / {max(functions)}",
            f"{len(measures.many_parameters)} ({measures.many_parameters_share:.1%})",
            f"{measures.names:,}",
            f"{measures.verb_share:.0%}",
            f"{measures.one_word_share:.0%}",
            f"{measures.long_line_share:.1%}",
            f"{len(measures.nested_fstrings)} in {measures.lines / 1000:.0f}k",
        ]
        lines.append(_table_row(cells))
    lines += [
        f"\n{name}: {len(measures.unparsed)} module(s) in newer syntax: only lines counted"
        for name, measures in columns.items()
        if measures.unparsed
    ]
    return "\n".join(lines)


def _table_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def build_offenders(measures: Measures) -> str:
    """Return the findings of each measure, one per line as `path:line: what`."""
    kinds = {
        "public names without a verb in front": measures.without_verb,
        "public names of one word": measures.one_word,
        f"functions with {MAX_PARAMETERS + 1} or more parameters": measures.many_parameters,
        "f-strings inside f-strings": measures.nested_fstrings,
        f"lines over {MAX_LINE} characters": measures.long_lines,
    }
    lines = []
    for title, places in kinds.items():
        lines += ["", f"## {title}: {len(places)}"]
        lines += [f"{os.path.relpath(place.path)}:{place.line}: {place.text}" for place in places]
    return "\n".join(lines)


def main() -> None:
    """Print the measures of the folders named on the command line."""
    parser = argparse.ArgumentParser(description="Measure how legible Python code is.")
    parser.add_argument("folders", nargs="*", metavar="[NAME=]PATH", default=[str(PROJECT)])
    parser.add_argument("--offenders", action="store_true", help="list every finding")
    options = parser.parse_args()
    folders = {}
    for given in options.folders:
        name, _, folder = given.rpartition("=")
        path = Path(folder).resolve()
        if not path.exists():
            parser.error(f"{folder} does not exist")
        folders[name or path.name] = path
    columns = {name: measure_folder(folder) for name, folder in folders.items()}
    print(build_table(columns))
    if options.offenders:
        for name, measures in columns.items():
            print(f"\n# {name}\n{build_offenders(measures)}")


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # the list may be cut short by `head`
    main()
