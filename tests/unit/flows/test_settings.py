from __future__ import annotations

from pathlib import Path

import pytest

from expectations.errors import ExitCode, JifenError
from flows.settings import load_settings
from transforms.engine.session import EngineSettings


@pytest.fixture(autouse=True)
def no_root_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JIFEN_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)


def written(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "jifen.toml").write_text(text, encoding="utf-8")
    return folder / "jifen.toml"


def refused(folder: Path, text: str) -> str:
    with pytest.raises(JifenError) as caught:
        load_settings(written(folder, text))
    assert caught.value.code == ExitCode.DECLARATIONS
    return str(caught.value)


@pytest.mark.promise("outputs-146", "Every key optional, with the defaults written")
def test_without_a_file_there_are_the_defaults_of_the_manual(tmp_path: Path) -> None:
    settings = load_settings(None)
    assert settings.paths.root == tmp_path / "var"
    assert settings.paths.inbox == tmp_path / "var" / "inbox"
    assert settings.paths.policy == Path(__file__).parents[3] / "data"
    assert settings.paths.reference == settings.paths.policy / "reference"
    assert settings.engine_settings == EngineSettings("2.5GB", 2)
    assert not settings.policy.allow_illustrative and not settings.exports.require_encryption
    assert settings.gate.quarantine_limit == 0.02
    assert settings.drift.model_dump() == {
        **{"residents": 0.05, "rows": 0.30, "mean_points": 0.05, "eligible": 0.20},
        **{"residents_min": 20, "rows_min": 20, "mean_points_min": 0.5, "eligible_min": 20},
        "standard_errors": 3.0,
    }


@pytest.mark.promise(
    "outputs-145", "Found in the working directory or by `--config`; every key known"
)
def test_settings_of_the_working_directory_with_documented_keys_are_read(tmp_path: Path) -> None:
    written(
        tmp_path,
        """
        [paths]
        root = "r"
        inbox = "in"
        policy = "p"
        reference = "/ref"
        analysts_group = "analysts"
        [engine]
        memory = "600MB"
        threads = 4
        [policy]
        allow_illustrative = true
        [gate]
        quarantine_limit = 0.1
        [drift]
        residents = 0.1
        rows = 1
        mean_points = 0.1
        eligible = 0.1
        residents_min = 1
        rows_min = 2
        mean_points_min = 3
        eligible_min = 4
        [exports]
        require_encryption = true
        [sources.credit]
        origin = "sftp://host/out/{month}/credit.csv"
        encoding = "gb18030"
        aliases.kind.honour = ["荣誉"]
        [sources.social_security]
        origin = "postgresql://reader@host/platform"
        table = "ss_{month}"
        [sources.housing]
        origin = "drop/{month}/*.csv"
        """,
    )
    settings = load_settings(None)
    assert (settings.paths.root, settings.paths.inbox) == (tmp_path / "r", tmp_path / "in")
    assert (settings.paths.policy, settings.paths.reference) == (tmp_path / "p", Path("/ref"))
    assert settings.engine_settings == EngineSettings("600MB", 4)
    assert settings.sources["credit"].aliases == {"kind": {"honour": ["荣誉"]}}
    assert settings.sources["housing"].origin == str(tmp_path / "drop/{month}/*.csv")
    assert settings.sources["social_security"].table == "ss_{month}"


@pytest.mark.promise("outputs-149", "Relative paths are relative to the file")
def test_paths_are_relative_to_the_settings_file(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path / "etc", '[paths]\nroot = "../data"'))
    assert settings.paths.root == tmp_path / "data"
    assert settings.paths.inbox == tmp_path / "data" / "inbox"


@pytest.mark.promise("outputs-65", "`--root`, then `JIFEN_ROOT`, then `jifen.toml`")
@pytest.mark.promise("outputs-148", "`JIFEN_ROOT` and options win")
@pytest.mark.promise("outputs-161", "`--inbox`")
def test_option_wins_over_environment_wins_over_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, '[paths]\nroot = "from-file"')
    monkeypatch.setenv("JIFEN_ROOT", str(tmp_path / "from-environment"))
    assert load_settings(file).paths.root == tmp_path / "from-environment"
    settings = load_settings(file, root=Path("from-option"), inbox=Path("drop"))
    assert (settings.paths.root, settings.paths.inbox) == (
        tmp_path / "from-option",
        tmp_path / "drop",
    )
    assert load_settings(file, root=Path("o")).paths.inbox == tmp_path / "o" / "inbox"


@pytest.mark.promise("outputs-147", "Unknown keys refused")
def test_an_unknown_key_is_refused_with_place_and_suggestion(tmp_path: Path) -> None:
    message = refused(tmp_path, "[engine]\n\nthread = 2\n")
    assert f"{tmp_path / 'jifen.toml'}:3: engine.thread" in message
    assert "是否应为 threads" in message
    assert "engin" in refused(tmp_path, "[engin]\nthreads = 2\n")
    assert "sources.credit.host" in refused(tmp_path, '[sources.credit]\nhost = "x"\n')


@pytest.mark.proves("sources-136")
def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    message = refused(
        tmp_path,
        '[engine]\nthreads = "two"\nmemory = "lots"\n[gate]\nquarantine_limit = 2\n'
        "[drift]\nrows = nan\nresidents_min = 0.5\n"
        '[policy]\nallow_illustrative = "yes"\n[paths]\nroot = 7\n[exports]\nextra = 1\n',
    )
    keys = (
        "engine.threads",
        "engine.memory",
        "gate.quarantine_limit",
        "drift.rows",
        "drift.residents_min",
        "policy.allow_illustrative",
        "paths.root",
        "exports.extra",
    )
    for key in keys:
        assert f"{key}：" in message
    assert "Input" not in message


@pytest.mark.parametrize("memory", ["0GB", "0.0GB", "00MiB"])
def test_a_memory_limit_of_zero_is_refused(tmp_path: Path, memory: str) -> None:
    message = refused(tmp_path, f'[engine]\nmemory = "{memory}"\n')
    assert f"engine.memory：'{memory}'；" in message and "写法如 2.5GB" in message
    load_settings(written(tmp_path, '[engine]\nmemory = "0.5GB"\n'))


@pytest.mark.parametrize(
    ("table", "line"),
    [
        *(
            ("paths", f'{name} = ""')
            for name in ("root", "inbox", "policy", "reference", "analysts_group")
        ),
        ("paths", 'root = " "'),
        ("notify", 'webhook = ""'),
        ("notify", 'command = [""]'),
        ("sources.credit", 'origin = ""'),
    ],
)
def test_an_empty_text_is_refused(tmp_path: Path, table: str, line: str) -> None:
    message = refused(tmp_path, f"[{table}]\n{line}\n")
    key = f"{table}.{line.partition(' ')[0]}"
    assert message.count("jifen.toml:") == 1 and f":2: {key}" in message and "；不可为空" in message


@pytest.mark.parametrize(
    "text",
    ["[engine\n", "[engine]\nthreads = 1\nthreads = 2\n", 'paths = "var"\n', "sources = 3\n"],
)
def test_an_invalid_settings_file_is_refused_with_its_place(tmp_path: Path, text: str) -> None:
    assert "jifen.toml:" in refused(tmp_path, text)


@pytest.mark.promise("sources-24", "never from `jifen.toml`")
@pytest.mark.promise("sources-164", "secrets only from the environment or files")
@pytest.mark.promise("outputs-155", "Secrets from environment or key file, never in the settings")
@pytest.mark.parametrize(
    "lines",
    [
        'origin = "sftp://me:hunter2@host/{month}.csv"',
        'origin = "postgresql://host/db?user=me&password=hunter2"\ntable = "a_{month}"',
        'origin = "https://host/{month}.csv?token=hunter2"',
        'origin = "s3://me@bucket/{month}.csv"\nendpoint = "https://me:hunter2@host"',
    ],
)
def test_a_password_in_an_address_is_refused_and_not_repeated(tmp_path: Path, lines: str) -> None:
    message = refused(tmp_path, f"[sources.credit]\n{lines}\n")
    assert "密码" in message and "hunter2" not in message


def test_the_examples_of_the_manual_are_accepted(tmp_path: Path) -> None:
    manual = (
        Path(__file__).parents[3] / "docs" / "guides" / "operators" / "extracts.md"
    ).read_text(encoding="utf-8")
    sources = load_settings(written(tmp_path, manual.split("```toml\n")[1].split("```")[0])).sources
    assert {"housing", "credit", "volunteer", "social_security", "patents"} <= sources.keys()


@pytest.mark.parametrize(
    "lines",
    [
        'origin = "/mnt/share/credit.csv"',
        'origin = "postgresql://host/db"',
        'origin = "postgresql://host/db"\ntable = "a_{month}"\nquery = "b"',
        'table = "a_{month}"',
        'origin = "/mnt/{month}.csv"\ntable = "a"',
        'origin = "/mnt/{month}.csv"\nendpoint = "https://host"',
    ],
    ids=[
        "same place every month",
        "no table",
        "table and query",
        "no origin",
        "table of a file",
        "endpoint of a file",
    ],
)
def test_an_invalid_origin_is_refused(tmp_path: Path, lines: str) -> None:
    assert "sources.credit" in refused(tmp_path, f"[sources.credit]\n{lines}\n")


def test_a_source_that_nobody_declared_is_refused(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, '[sources.credti]\nencoding = "gb18030"'))
    settings.refuse_unknown_sources(["credti", "housing"])
    with pytest.raises(JifenError, match="没有声明过") as caught:
        settings.refuse_unknown_sources(["credit", "housing"])
    assert caught.value.code == ExitCode.DECLARATIONS
    assert "credti" in str(caught.value)


def test_a_missing_named_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(JifenError) as caught:
        load_settings(tmp_path / "other.toml")
    assert caught.value.code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('address = "/out"', "{month}"),
        ('address = "sftp://jifen:hunter2@host/{month}"', "密码"),
        ('address = "postgresql://jifen@host/app"', "table"),
        ('address = "/out/{month}"\ntable = "statements"', "table"),
        ('address = "/out/{month}"\nendpoint = "https://s3"', "endpoint"),
        ('address = "postgresql://h/app"\ntable = "t"\nrecipient = ["age1"]', "recipient"),
        ('address = "/out/{month}"\nrecipient = []', "recipient"),
        ('address = "/out/{month}"\nkey = "age1"', "不认识的键"),
        ('address = "/out/{month}"\n[deliver.330212]\naddress = "/out/{month}/"', "相同"),
        ('address = "/out/{month}"\n[deliver.330212]\naddress = "/out/{month}/a"', "之中"),
    ],
)
def test_a_destination_that_cannot_be_meant_is_refused(
    tmp_path: Path, text: str, expected: str
) -> None:
    message = refused(tmp_path, f"[deliver.portal]\n{text}\n")
    assert expected in message and "hunter2" not in message


def test_a_relative_folder_of_a_destination_is_relative_to_the_file(tmp_path: Path) -> None:
    written(tmp_path, '[deliver.portal]\naddress = "out/{month}"\n')
    assert load_settings(None).deliver["portal"].address == str(tmp_path / "out" / "{month}")
