"""What a health check asks for, in a container whose other settings it does not have."""

import sys
from pathlib import Path

import pytest

from counterpoise.app import configuration, profiles
from counterpoise.app.cli import main
from counterpoise.domain.errors import SettingsError


def test_the_daemons_place_is_read_as_the_settings_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "demo.toml").write_text('status_host = "::1"\n')
    (tmp_path / "paper.toml").write_text(f'state_dir = "{tmp_path}/paper"\n')
    monkeypatch.setenv("COUNTERPOISE_CONFIG_DIR", str(tmp_path))

    def place(profile: str | None = None) -> tuple[Path, str]:
        found = profiles.daemon_place(profile)
        settings = configuration.load(profile)
        assert found == (settings.state_dir, settings.status_host)
        return found

    assert place() == (profiles.state_dir_default(), "::1")
    assert place("paper") == (tmp_path / "paper", "127.0.0.1")
    monkeypatch.setenv("COUNTERPOISE_PROFILE", "paper")
    assert place() == (tmp_path / "paper", "127.0.0.1")
    monkeypatch.setenv("COUNTERPOISE_STATE_DIR", str(tmp_path / "here"))
    monkeypatch.setenv("COUNTERPOISE_STATUS_HOST", "0.0.0.0")
    assert place() == (tmp_path / "here", "0.0.0.0")


def test_a_profile_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERPOISE_PROFILE", "dmeo")
    with pytest.raises(SettingsError, match="COUNTERPOISE_PROFILE=dmeo"):
        profiles.daemon_place(None)


@pytest.mark.parametrize("profile", ["demo", "testnet", "live"])
def test_status_needs_no_keys_and_no_consent(
    profile: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COUNTERPOISE_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("COUNTERPOISE_PROFILE", profile)
    monkeypatch.setenv("COUNTERPOISE_API_KEY_FILE", str(tmp_path / "unreadable"))
    if profile == "demo":
        monkeypatch.setenv("COUNTERPOISE_LIVE_TRADING", "123456")
    monkeypatch.setattr(sys, "argv", ["counterpoise", "status"])
    with pytest.raises(SystemExit) as ended:
        main.main()
    out, err = capsys.readouterr()
    assert (ended.value.code, err) == (1, "")
    assert "no daemon has started" in out
