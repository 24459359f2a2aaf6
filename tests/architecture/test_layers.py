"""Which package may import which other, and which library."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from expectations.source_loader import load_sources
from tests.support.imports import PROJECT, TOP_FOLDERS, find_imports, list_modules, module_name

# lowest first: a package, or a module named here, imports only itself and those before it
LAYERS = (
    "expectations",
    "transforms.engine",
    "transforms.templates",
    "transforms.clean",
    "transforms.expressions",
    "transforms.scalars",
    "transforms.versions",
    "transforms.outputs",
    "transforms.facts",
    "transforms.objections",
    "transforms.points",
    "transforms.reminders.models",
    "transforms.services",
    "transforms.reminders",
    "transforms.comparison",
    "transforms.open_layer",
    "transforms.renewed_pseudonyms",
    "reports.titles",
    "reports.numbers",
    "reports.disclosure",
    "reports.publishable",
    "reports.templating",
    "reports.html",
    "reports.findings",
    "reports.published_rules",
    "reports.statements",
    "reports.explain",
    "reports.catalogue",
    "reports.packages",
    "reports.run_report",
    "reports.overview",
    "reports.diff",
    "reports.simulation",
    "data",
    "flows.city_time",
    "flows.address_settings",
    "flows.access_settings",
    "flows.settings",
    "flows.project",
    "flows.storage",
    "flows.connections",
    "flows.extract",
    "flows.destinations",
    "flows.pipeline",
    "flows.orchestration",
    "flows.commands",
    "flows.cli",
)
# within the dependencies, the packages or modules that may import a library
LIBRARIES = {
    "altair": {"reports.html"},
    "adbc_driver_postgresql": {"flows.connections"},
    "defusedxml": {"transforms.clean"},
    "duckdb": {"transforms.engine"},
    "duckdb_engine": {"expectations.gx_adapter"},
    "fsspec": {"flows.connections"},
    "great_expectations": {"expectations.gx_adapter", "expectations.suite"},
    "jinja2": {"reports.templating"},
    "numpy": {"transforms.clean.csv_reader"},  # looks at the neighbours of every quote
    "pandas": set(),
    "polars": set(),
    "prefect": {"flows.orchestration"},
    "pyrage": {"reports.packages"},
    "python_calamine": {"transforms.clean"},
    "ruamel": {"expectations.yaml_document"},
    "s3fs": {"flows.connections"},
    "sqlalchemy": {"expectations.gx_adapter"},
    "sshfs": {"flows.connections"},
    "typer": {"flows.cli"},
    "uvicorn": {"flows.orchestration"},
    "vl_convert": {"reports.html"},
    "xlsxwriter": set(),
}


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def layer_of(module: str) -> int:
    """Return the place in LAYERS of a module, or of its package."""
    return max(
        (n for n, layer in enumerate(LAYERS) if is_in(module, layer)),
        key=lambda n: len(LAYERS[n]),
    )


def project_imports() -> set[tuple[str, str]]:
    return {
        (module_name(file), name)
        for file in list_modules()
        for name in find_imports(file)
        if name.split(".")[0] in TOP_FOLDERS
    }


def test_every_module_belongs_to_a_layer() -> None:
    unplaced = {
        name
        for name in map(module_name, list_modules())
        if name not in TOP_FOLDERS and not any(is_in(name, layer) for layer in LAYERS)
    }
    assert unplaced == set(), "add its package to LAYERS"


@pytest.mark.promise("outputs-62", "A package imports only packages of the layers below it")
def test_no_import_goes_up() -> None:
    upward = {pair for pair in project_imports() if layer_of(pair[0]) < layer_of(pair[1])}
    assert upward == set()


def test_only_commands_and_the_entry_point_import_orchestration() -> None:
    users = {
        importer
        for importer, name in project_imports()
        if is_in(name, "flows.orchestration") and not is_in(importer, "flows.orchestration")
    }
    assert {name for name in users if not is_in(name, "flows.commands")} <= {"flows.cli.app"}


@pytest.mark.promise(
    "outputs-55", "Only `flows/` knows Prefect, only `expectations/` Great Expectations"
)
@pytest.mark.proves("outputs-57")
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_is_imported_by_its_package_only(library: str) -> None:
    users = {
        module_name(file)
        for file in list_modules()
        if any(name.split(".")[0] == library for name in find_imports(file))
    }
    outside = {
        user for user in users if not any(is_in(user, package) for package in LIBRARIES[library])
    }
    assert outside == set()


@pytest.mark.proves("outputs-57")
def test_no_step_passes_data_frames() -> None:
    """SQL is the engine's language; what passes between steps are paths and counts."""
    fetching = {
        module_name(file)
        for file in list_modules("flows", "reports", "transforms", "expectations", "data")
        if re.search(r"\.(df|fetchdf|pl)\(", file.read_text("utf-8"))
    }
    assert fetching == set()


TAGS = "html|body|section|div|p|span|a|ul|ol|li|h[1-6]|table|t[rdh]|svg"
HTML_TAG = re.compile(rf"</({TAGS})>|<(div|span|li|t[rdh]|svg) ")


def find_html(file: Path) -> set[str]:
    """Return the texts of a module that hold an HTML tag."""
    texts = {
        node.value
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {text for text in texts if HTML_TAG.search(text)}


def test_html_is_written_in_templates_only() -> None:
    """A value is escaped by the templates; nothing is escaped by hand."""
    assert {module_name(file): found for file in list_modules() if (found := find_html(file))} == {}
    importing = {module_name(f) for f in list_modules() if "html" in find_imports(f)}
    assert importing == set()


def test_a_tag_in_a_module_is_found(tmp_path: Path) -> None:
    module = tmp_path / "page.py"
    module.write_text('x = 1\npage = f"<td class=\'a\'>{x}</td>"\nwhere = "a < b and c > d"\n')
    assert find_html(module) == {"<td class='a'>", "</td>"}


@pytest.mark.promise("outputs-56", "One module opens DuckDB")
def test_one_module_opens_duckdb() -> None:
    opening = {
        module_name(file)
        for file in list_modules()
        if re.search(r"duckdb\.(connect|sql|query)\b", file.read_text("utf-8"))
    }
    assert opening == {"transforms.engine.session"}


@pytest.mark.slow
@pytest.mark.promise("sources-2", "no source is special in code")
def test_no_source_is_special_in_code() -> None:
    named = {
        (module_name(file), name)
        for file in list_modules("flows", "reports", "transforms", "expectations")
        for name in load_sources().keys()
        - {"children", "corrections"}  # these are words of other things, too
        if f'"{name}"' in file.read_text("utf-8")
    }
    assert named == set()


@pytest.mark.promise(
    "sources-139", "plain Python, one resident at a time, nothing shared but the models"
)
def test_the_reference_shares_only_declaration_models_with_the_sql() -> None:
    models = {
        "expectations.fact_model",
        "expectations.month",
        "expectations.source_model",
        "expectations.window_model",
        "transforms.points.rules",
        "transforms.points.models",
    }
    models |= {"transforms.expressions.fact_values", "transforms.services.models"}
    models |= {"transforms.reminders.models"}
    used = {
        (module_name(file), name)
        for file in list_modules("tests/parity/reference")
        for name in find_imports(file)
        if name.split(".")[0] in TOP_FOLDERS and name not in models
    }
    # a drawn policy that does not load is not drawn: order is asked of the program itself
    used -= {("tests.parity.reference.policies", "transforms.points.structure")}
    assert used == set()
    assert len(list(list_modules("tests/parity/reference"))) > 5


def test_modules_stay_short_enough_to_read() -> None:
    """Split by subject, never by size: 400 lines are an alarm."""
    long = {
        module_name(file): lines
        for file in list_modules()
        if (lines := len(file.read_text("utf-8").splitlines())) > 400
    }
    assert long == {}


def is_shared(name: str) -> bool:
    return is_in(name, "tests.support") or is_in(name, "tests.parity.reference")


def find_foreign_imports(file: Path) -> set[str]:
    """Return what a module of tests/ imports of tests/ beside its own folder and what is shared."""
    folder = module_name(file).split(".")[:2]
    return {
        name
        for name in find_imports(file)
        if is_in(name, "tests")
        and not is_shared(name)
        and (name.split(".")[:2] != folder or name.rpartition(".")[2].startswith("test_"))
    }


@pytest.mark.parametrize("file", list(list_modules("tests")), ids=module_name)
def test_tests_share_code_by_support_only(file: Path) -> None:
    assert find_foreign_imports(file) == set()


def test_every_test_lies_in_the_folder_of_its_kind() -> None:
    folders = {file.relative_to(PROJECT / "tests").parts[0] for file in list_modules("tests")}
    assert folders - {"__init__.py", "conftest.py"} == {
        "acceptance", "architecture", "benchmarks", "cli", "engines",
        "faults", "integrations", "parity",
        "pipeline", "spec", "support", "unit",
    }  # fmt: skip
