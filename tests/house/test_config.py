"""Settings: where they come from, which wins, and what is refused."""

from pathlib import Path

import pytest

from hanmaru.config import ConfigError, Settings, load, shown


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_command_line_wins_over_the_environment_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hanmaru.toml").write_text('port = 1\nhost = "::1"\ncity = "a"\n[limits]\nbody_bytes = 7\nstop_s = 3\n')
    monkeypatch.setenv("HANMARU_HOST", "localhost")
    monkeypatch.setenv("HANMARU_CITY", "b")
    monkeypatch.setenv("HANMARU_LIMITS__BODY_BYTES", "8")
    settings = load(city="c", port=None)
    assert (settings.port, settings.host, settings.city) == (1, "localhost", "c")
    assert (settings.limits.body_bytes, settings.limits.stop_s) == (8, 3)


def test_defaults_are_small(tmp_path: Path) -> None:
    settings = load()
    assert (settings.host, settings.port, settings.auth) == ("127.0.0.1", 8000, "on")
    assert settings.store_url == f"sqlite:///{tmp_path / 'data' / 'hub.db'}"
    assert settings.services is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("prot = 1", r"unknown setting 'prot' in hanmaru.toml; did you mean 'port'\?"),
        ("[limits]\nbody_byte = 1", r"did you mean 'limits.body_bytes'\?"),
        ("port = 70000", r"port: .* less than or equal to 65535 \(got 70000\)"),
        ("port", r"hanmaru.toml is not TOML: .*"),
        ('store = "mysql://x"', r"store: give 'sqlite', .*postgresql://"),
        (
            '[egress]\nallow = ["publik"]',
            r"egress.allow: give loopback, private, public or networks such as 10.0.0.0/8",
        ),
        ('[oidc]\nissuer = "http://id.city.example"', r"oidc.issuer: give an https:// address"),
        ('[oidc]\nissuer = "https://id.city.example?x"', r"oidc.issuer: give an address without"),
        ('[oidc]\nissuer = "https://id.city.example"', r"oidc.client_id: an issuer needs the client_id"),
        ('[oidc]\nscope = "profile"', r"oidc.scope: the word openid has to be in it"),
        ('auth = "off"\nhost = "0.0.0.0"', r"auth may be off on a loopback host only"),
    ],
)
def test_a_bad_file_is_refused_in_one_readable_line(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "hanmaru.toml").write_text(text)
    with pytest.raises(ConfigError, match=reason) as refusal:
        load()
    assert "\n" not in str(refusal.value)


def test_an_unknown_name_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANMARU_LOG__FORMT", "json")
    with pytest.raises(
        ConfigError, match=r"unknown setting 'log.formt' in the environment; did you mean 'log.format'\?"
    ):
        load()


def test_a_named_file_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANMARU_CONFIG", "elsewhere.toml")
    with pytest.raises(ConfigError, match=r"elsewhere\.toml, which is not a file"):
        load()


def test_lists_are_comma_separated_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANMARU_SERVICES", "centre, ride")
    assert load().services == ("centre", "ride")


def test_settings_travel_to_workers_whole(tmp_path: Path) -> None:
    (tmp_path / "hanmaru.toml").write_text('[[connectors]]\nkind = "mqtt"\ntopics = ["a/#"]\n')
    settings = load(port=0, demo=True)
    assert Settings.model_validate_json(settings.model_dump_json()) == settings
    assert settings.connectors[0]["topics"] == ["a/#"]


def test_secrets_are_masked_where_settings_are_shown(tmp_path: Path) -> None:
    (tmp_path / "hanmaru.toml").write_text(
        'store = "postgresql://hub:geheim@db/hub"\n[[connectors]]\nkind = "mqtt"\npassword = "geheim"\n'
    )
    told = shown(load())
    assert told["store"] == "postgresql://hub:***@db/hub"
    assert told["connectors"] == [{"kind": "mqtt", "password": "***"}]


def test_roles_of_groups_are_the_users_own_words_and_the_clients_secret_is_shown_to_nobody(tmp_path: Path) -> None:
    (tmp_path / "hanmaru.toml").write_text(
        '[oidc]\nissuer = "https://id.city.example"\nclient_id = "hub"\nclient_secret = "hidden"\n'
        '[oidc.roles]\n"/hub/admins" = "admin"\ncity-it = "reader"\n'
    )
    settings = load()
    assert settings.oidc.roles == {"/hub/admins": "admin", "city-it": "reader"}
    assert shown(settings)["oidc"]["client_secret"] == "***"
    (tmp_path / "hanmaru.toml").write_text('[oidc]\nissuer = "http://id.city.example"\nclient_secret = "hidden"\n')
    with pytest.raises(ConfigError) as refusal:
        load()
    assert "hidden" not in str(refusal.value)
