"""Reads the settings: command line over environment over files over the profile over defaults."""

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr, ValidationError
from pydantic_settings import EnvSettingsSource

from counterpoise.app import parameters, profiles, refusals
from counterpoise.app.settings import PREFIX, Settings, variable
from counterpoise.domain.errors import SettingsError

#: Suffix of a variable that names the file a secret is in.
FILE_SUFFIX: Final = "_FILE"

#: Limits by the sign of the change that loosens them.
LOOSER: Final[Mapping[str, int]] = {
    "account_ms_max": 1,
    "book_ms_max": 1,
    "clock_offset_ms_max": 1,
    "core_allocation": 1,
    "core_leverage": 1,
    "core_unhedged_max": 1,
    "correlation_close": 1,
    "correlation_cut": 1,
    "correlation_cut_multiplier": 1,
    "depth_share_max": 1,
    "distance_target": -1,
    "distance_trigger": -1,
    "drawdown_limit": 1,
    "drawdown_scale_min": 1,
    "entry_scale": 1,
    "hedge_credit_max": 1,
    "hedge_ratio": 1,
    "latency_ms_max": 1,
    "leverage_ceiling": 1,
    "leverage_soft": 1,
    "leverage_target": 1,
    "leverage_trigger": 1,
    "limit_slack": 1,
    "liquidation_distance_min": -1,
    "liquidation_sigmas_min": -1,
    "mark_ms_max": 1,
    "naked_leg_seconds": 1,
    "net_beta_target": 1,
    "net_beta_trigger": 1,
    "offset_max": 1,
    "scale_step": 1,
    "scale_step_minutes": -1,
    "slippage_bps_cascade": 1,
    "slippage_bps_elevated": 1,
    "slippage_bps_increase": 1,
    "slippage_bps_max": 1,
    "slippage_bps_reduction": 1,
    "slippage_bps_stressed": 1,
    "stress_ratio_start": 1,
    "stress_scale_min": 1,
    "volatility_fast_weight": -1,
    "volatility_target": 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the record is and where the daemon says how it is: all that a request needs."""

    #: Postgres address; None = the embedded server under `state_dir`.
    database_url: SecretStr | None
    #: Where the daemon keeps its files.
    state_dir: Path
    #: Address of the daemon's status page.
    status_host: str


_PLACE: Final = tuple(field.name for field in fields(Place))


def load(profile: str | None = None, **given: object) -> Settings:
    """Read everything and check it; `given` is what the command line says.

    Raises SettingsError naming every wrong variable, its value and what is allowed.
    """
    chosen, path = _profile(profile)
    found = profiles.read_profile(path)
    _refuse_unknown(found, Settings.model_fields, path.name)
    _refuse_secrets(found, path)
    _refuse_unknown(_variables(), _known_variables(), "environment")
    layers = (
        (f"profile {path.name}", found),
        ("file", _from_files(_secrets())),
        ("env", _from_environment()),
        ("command line", {name: value for name, value in given.items() if value is not None}),
    )
    values, sources = _merged(layers)
    values["profile"] = chosen
    sources["profile"] = "command line" if profile else sources.get("profile", "default")
    return _checked(values, sources)


def place(profile: str | None = None) -> Place:
    """Read where the record is and check that; whatever else is set may be wrong.

    An operator closes the book also with settings that no start would take. Raises SettingsError as
    `load` does, also for an unknown name that is probably meant for one of these: the request
    would be left where no daemon reads it.
    """
    _, path = _profile(profile)
    found = profiles.read_profile(path)
    _refuse_unknown(_like_place(found, Settings.model_fields), Settings.model_fields, path.name)
    _refuse_secrets(_of_place(found), path)
    given, known = _variables(), _known_variables()
    _refuse_unknown(_like_place(given, known), known, "environment")
    layers = (
        (f"profile {path.name}", _of_place(found)),
        ("file", _from_files(name for name in _secrets() if name in _PLACE)),
        ("env", _of_place(_from_environment())),
    )
    settings = _checked(*_merged(layers))
    return Place(
        database_url=settings.database_url,
        state_dir=settings.state_dir,
        status_host=settings.status_host,
    )


def sources(settings: Settings) -> dict[str, str]:
    """Return where each field's value came from.

    "env", "file" (named by a *_FILE variable), "profile demo.toml", "command line" or "default".
    """
    return {name: settings.origin(name) for name in Settings.model_fields}


def reload(current: Settings) -> tuple[Settings, tuple[str, ...]]:
    """Read again and return the new settings and the names of what changed.

    Raises SettingsError, and nothing changes, when a value is wrong, a limit got looser or a
    setting changed that only a restart can change.
    """
    new = load(current.profile, **{n: getattr(current, n) for n in _typed(current)})
    changed = tuple(
        name for name in Settings.model_fields if getattr(current, name) != getattr(new, name)
    )
    words = [
        f"{variable(name)}={refusals.mask(getattr(new, name))} is looser than "
        f"{refusals.mask(getattr(current, name))} and needs a restart"
        for name in looser_than(current, new)
    ]
    words += [
        f"{variable(name)} changed and needs a restart"
        for name in changed
        if name not in parameters.CHANGEABLE
    ]
    if words:
        raise SettingsError("\n".join(words))
    return new, changed


def looser_than(old: Settings, new: Settings) -> tuple[str, ...]:
    """Return the limits that allow more in `new` than in `old`, in alphabetical order."""
    return tuple(
        name
        for name, sign in sorted(LOOSER.items())
        if sign * (getattr(new, name) - getattr(old, name)) > 0
    )


def shown(settings: Settings) -> dict[str, str]:
    """Return every field as text, secrets masked; for the record and for people."""
    return {name: refusals.mask(getattr(settings, name)) for name in Settings.model_fields}


def _checked(values: dict[str, Any], origins: dict[str, str]) -> Settings:
    try:
        settings = Settings(**values)
    except ValidationError as error:
        words = refusals.validation_words(error, values, origins)
        raise SettingsError("\n".join(words)) from None
    settings.note_origins(origins)
    try:
        parameters.check(settings)
    except ValueError as error:
        raise SettingsError(refusals.rule_words(error)) from None
    return settings


def _typed(settings: Settings) -> list[str]:
    # What the command line said at the start goes on being said at a reload.
    return [
        name
        for name, source in sources(settings).items()
        if source == "command line" and name != "profile"
    ]


def _profile(named: str | None) -> tuple[str, Path]:
    # Its name and its file.
    chosen = named or os.environ.get(variable("profile")) or profiles.PROFILE_DEFAULT
    return chosen, profiles.profile_path(chosen)


def _merged(
    layers: Iterable[tuple[str, Mapping[str, Any]]],
) -> tuple[dict[str, Any], dict[str, str]]:
    # The values, later layers over earlier ones, and where each came from.
    values: dict[str, Any] = {"state_dir": profiles.state_dir_default()}
    sources: dict[str, str] = {}
    for source, layer in layers:
        values.update(layer)
        sources.update(dict.fromkeys(layer, source))
    return values, sources


def _of_place(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name in _PLACE}


def _like_place(names: Iterable[str], known: Collection[str]) -> list[str]:
    # The unknown ones whose nearest known name says where the record is.
    meant = {*_PLACE, *(variable(name) for name in _PLACE)}
    meant |= {variable(name) + FILE_SUFFIX for name in _PLACE}
    return [name for name in set(names) - set(known) if refusals.nearest(name, known) in meant]


def _refuse_unknown(names: Iterable[str], known: Iterable[str], where: str) -> None:
    unknown = set(names) - set(known)
    if unknown:
        raise SettingsError("\n".join(refusals.unknown_words(unknown, known, where)))


def _refuse_secrets(found: Mapping[str, Any], path: Path) -> None:
    secret = sorted(name for name in found if refusals.is_secret(name))
    if secret:
        raise SettingsError(
            f"{secret[0]} ({path.name}) is a secret: use {variable(secret[0])}_FILE"
        )


def _variables() -> set[str]:
    return {name for name in os.environ if name.upper().startswith(PREFIX)}


def _known_variables() -> set[str]:
    known = {variable(name) for name in Settings.model_fields}
    known |= {variable(name) + FILE_SUFFIX for name in _secrets()}
    return known | {profiles.CONFIG_DIR_VARIABLE}


def _from_environment() -> dict[str, Any]:
    return dict(EnvSettingsSource(Settings)())


def _from_files(names: Iterable[str]) -> dict[str, Any]:
    found = {}
    for name in names:
        named = os.environ.get(variable(name) + FILE_SUFFIX)
        if not named:
            continue
        if os.environ.get(variable(name)):
            both = f"{variable(name)} and {variable(name)}{FILE_SUFFIX}"
            raise SettingsError(f"{both} are both set: allowed is one of them")
        try:
            found[name] = Path(named).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"{variable(name)}{FILE_SUFFIX}={named}: allowed is a readable file ({error})"
            ) from None
    return found


def _secrets() -> list[str]:
    return [name for name in Settings.model_fields if refusals.is_secret(name)]
