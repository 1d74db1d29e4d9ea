"""Where configuration and state lie: in a checkout, or where the installation says."""

import os
import tomllib
from pathlib import Path
from typing import Any, Final

from counterpoise.app.settings import PREFIX
from counterpoise.domain.errors import SettingsError

#: Variable that names the directory of the profiles.
CONFIG_DIR_VARIABLE: Final = PREFIX + "CONFIG_DIR"
#: Profile of a start that names none: play money on this machine.
PROFILE_DEFAULT: Final = "demo"

_PACKAGE: Final = Path(__file__).resolve().parents[1]


def checkout() -> Path | None:
    """Return the root of the source tree this code runs from; None = it is installed."""
    root = _PACKAGE.parents[1]
    return root if (root / "pyproject.toml").is_file() and (root / "config").is_dir() else None


def config_dir() -> Path:
    """Return the directory of the profiles. Raises SettingsError naming the variable."""
    named = os.environ.get(CONFIG_DIR_VARIABLE)
    if named:
        directory = Path(named).expanduser().absolute()
        if not directory.is_dir():
            raise SettingsError(f"{CONFIG_DIR_VARIABLE}={named}: allowed is an existing directory")
        return directory
    root = checkout()
    if root is not None:
        return root / "config"
    if (_PACKAGE / "config").is_dir():
        return _PACKAGE / "config"
    raise SettingsError(
        f"{CONFIG_DIR_VARIABLE} is not set: allowed is the directory with demo.toml and the others"
    )


def state_dir_default() -> Path:
    """Return `var` of a checkout, else the user's state directory."""
    root = checkout()
    if root is not None:
        return root / "var"
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "counterpoise"


def profile_path(profile: str) -> Path:
    """Return a profile's file. Raises SettingsError listing the profiles there are."""
    directory = config_dir()
    path = directory / f"{profile}.toml"
    if not profile.isidentifier() or not path.is_file():
        there = ", ".join(sorted(found.stem for found in directory.glob("*.toml")))
        raise SettingsError(f"{PREFIX}PROFILE={profile}: allowed is one of {there} ({directory})")
    return path


def daemon_place(profile: str | None) -> tuple[Path, str]:
    """Return the state directory and the host on which the daemon of a profile says how it is.

    Nothing else is looked at: a health check needs neither keys nor limits that fit. Raises
    SettingsError for a profile that is not there or cannot be read.
    """
    chosen = profile or os.environ.get(PREFIX + "PROFILE") or PROFILE_DEFAULT
    found = read_profile(profile_path(chosen))
    named = os.environ.get(PREFIX + "STATE_DIR") or found.get("state_dir")
    host = os.environ.get(PREFIX + "STATUS_HOST") or found.get("status_host") or "127.0.0.1"
    state_dir = Path(named).expanduser().absolute() if named else state_dir_default()
    return state_dir, str(host)


def read_profile(path: Path) -> dict[str, Any]:
    """Return a profile's keys; numbers with a point stay text, so that no digit is lost."""
    try:
        with path.open("rb") as handle:
            return tomllib.load(handle, parse_float=str)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
