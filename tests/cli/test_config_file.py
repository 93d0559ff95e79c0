"""The configuration file: found upward, overruled by variables, never taken from strangers."""

from __future__ import annotations

from pathlib import Path

import pytest

from provenance.errors import ConfigError
from provenance.settings import (
    CONFIG_NAME,
    Settings,
    config_folder,
    find_config,
    is_config_of,
    user_config,
    write_config,
)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    # The folder of kept results is in no file: it is compared in tests/core/artifacts.
    return {"HOME": str(tmp_path / "user"), "PROVENANCE_MEMO": "off"}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    (folder / "deep" / "er").mkdir(parents=True)
    return folder


def settings_of(folder: Path) -> Settings:
    """Settings whose every entry of the file differs from its default."""
    return Settings(
        home=folder / "home",
        cache=folder / "cache",
        trust=folder / "trust.yaml",
        password_file=folder / "password",
        rpc_url="http://127.0.0.1:1",
        read_urls=("http://127.0.0.1:2", "https://node.example/key"),
    )


def test_what_is_written_is_loaded_from_a_sub_folder(work: Path, env: dict[str, str]) -> None:
    wanted = settings_of(work)
    write_config(work / CONFIG_NAME, wanted, env)
    assert Settings.load(env, work / "deep" / "er") == wanted
    assert is_config_of(work / CONFIG_NAME, wanted, env)


def test_the_nearest_file_counts(work: Path, env: dict[str, str]) -> None:
    write_config(work / CONFIG_NAME, settings_of(work), env)
    near = settings_of(work / "deep")
    write_config(work / "deep" / CONFIG_NAME, near, env)
    assert Settings.load(env, work / "deep" / "er") == near


def test_the_users_file_counts_where_no_folder_has_one(work: Path, env: dict[str, str]) -> None:
    wanted = settings_of(work)
    write_config(user_config(env), wanted, env)
    assert Settings.load(env, work) == wanted
    other = settings_of(work / "deep")
    write_config(work / CONFIG_NAME, other, env)
    assert Settings.load(env, work) == other


def test_environment_variables_overrule_the_file(work: Path, env: dict[str, str]) -> None:
    write_config(work / CONFIG_NAME, settings_of(work), env)
    loaded = Settings.load({**env, "PROVENANCE_TRUST": "/elsewhere/trust.yaml"}, work)
    assert loaded.trust == Path("/elsewhere/trust.yaml")
    assert loaded.home == work / "home"


def test_another_home_is_another_installation(work: Path, env: dict[str, str]) -> None:
    write_config(work / CONFIG_NAME, settings_of(work), env)
    loaded = Settings.load({**env, "PROVENANCE_HOME": "/elsewhere"}, work)
    assert loaded.home == Path("/elsewhere")
    assert (loaded.password_file, loaded.trust, loaded.rpc_url) == (None, None, None)


def test_a_file_that_came_with_a_download_is_refused(work: Path, env: dict[str, str]) -> None:
    """The attack: a model's folder brings a configuration that names the attacker's trust file."""
    attacker = {"HOME": str(work / "attacker")}
    write_config(work / CONFIG_NAME, settings_of(work), attacker)
    with pytest.raises(ConfigError, match="not written by your"):
        Settings.load(env, work / "deep")


def test_a_known_file_that_was_changed_is_refused(work: Path, env: dict[str, str]) -> None:
    path = work / CONFIG_NAME
    write_config(path, settings_of(work), env)
    path.write_text(path.read_text().replace("trust.yaml", "evil.yaml"))
    with pytest.raises(ConfigError, match="not written by your"):
        Settings.load(env, work)


def test_a_known_file_that_was_moved_is_refused(work: Path, env: dict[str, str]) -> None:
    write_config(work / CONFIG_NAME, settings_of(work), env)
    (work / CONFIG_NAME).rename(work / "deep" / CONFIG_NAME)
    with pytest.raises(ConfigError, match="not written by your"):
        Settings.load(env, work / "deep")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "home: /x",
        "format: provenance-config/2\nhome: /x",
        "format: provenance-config/1\nhom: /x",
        "format: provenance-config/1\nhome: 5",
        "format: provenance-config/1\nhome: [/x]",
    ],
)
def test_a_malformed_file_is_named(tmp_path: Path, env: dict[str, str], text: str) -> None:
    config_folder(env).mkdir(parents=True)
    user_config(env).write_text(text)
    with pytest.raises(ConfigError) as caught:
        Settings.load(env, tmp_path)
    assert str(user_config(env)) in str(caught.value)


def test_no_file_is_no_error(tmp_path: Path, env: dict[str, str]) -> None:
    assert find_config(env, tmp_path) is None
