"""What the operator may set. One flat model; `app.configuration` reads it from where it is kept.

Every field is the variable COUNTERPOISE_<FIELD> and a key of `config/<profile>.toml`. A secret can
also come from a file named by COUNTERPOISE_<FIELD>_FILE.
"""

import ipaddress
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    Field,
    PrivateAttr,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from counterpoise.app.settings_rules import RuleSettings, contradiction, not_above_zero
from counterpoise.app.venue_table import PAPER, VENUES
from counterpoise.domain.units import SECONDS_PER_DAY

PREFIX: Final = "COUNTERPOISE_"
#: Between two decisions lie at least this many seconds.
CYCLE_SECONDS_MIN: Final = 5
#: The shortest time of a dead man's switch that a venue takes (OKX), seconds.
DEAD_MAN_SECONDS_MIN: Final = 10


def variable(field: str) -> str:
    """Return the environment variable of a field."""
    return PREFIX + field.upper()


class Settings(RuleSettings):
    """Everything configurable; frozen. Raises pydantic's ValidationError, which `load` rewords."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    # -- what runs ---------------------------------------------------------------------------
    #: Name of the TOML file the rest comes from.
    profile: str = "demo"
    #: "simulator" = the built-in venue on this machine; else the venue's name.
    venue: Literal["simulator", "okx", "binance", "bybit"] = "simulator"
    #: "demo" and "testnet" = play money. "production" = real money, once it is armed. "paper" =
    #: the venue's public data, and orders go to a model account in this process.
    environment: Literal["demo", "testnet", "production", "paper"] = "demo"
    #: Arms trading with real money: the account's id as the venue names it (OKX: uid).
    live_trading: str | None = None
    #: Orders and positions that are not the daemon's: "refuse" the start and only reduce while
    #: they are there, "adopt" them into the book, or "ignore" them. They count in the ceiling.
    foreign: Literal["refuse", "adopt", "ignore"] = "refuse"
    #: "observe" decides and records and never sends.
    mode: Literal["trade", "observe"] = "trade"
    #: True = a twin decides beside the daemon on the same market data, on a paper account of its own.
    shadow: bool = False
    #: True = the built-in venue or the paper account starts from nothing; the old is set aside.
    fresh: bool = False

    # -- what is held ------------------------------------------------------------------------
    #: Instrument of the core, "BTCUSDT".
    core_instrument: str = Field(default="BTCUSDT", pattern=r"^[A-Z0-9]{2,30}$")
    #: Side of the core.
    core_side: Literal["long", "short"] = "long"
    #: Instruments a hedge may be held in, separated by commas in a variable.
    hedge_candidates: Annotated[tuple[str, ...], NoDecode] = ()
    #: How it is decided what to hold: "counterpoise", or a baseline of `strategy.policies`.
    policy: str = "counterpoise"
    #: Rules of the strategy that are switched off, separated by commas in a variable.
    rules_off: Annotated[tuple[str, ...], NoDecode] = ()

    # -- when --------------------------------------------------------------------------------
    #: Seconds from one decision to the next; divides a day.
    cycle_seconds: int = Field(default=900, ge=CYCLE_SECONDS_MIN, le=SECONDS_PER_DAY)
    #: What SIGTERM does with the book: "hold" keeps the hedged position, "flatten" closes it.
    stop_policy: Literal["hold", "flatten"] = "hold"

    #: Seconds between two measurements of the venue's clock.
    clock_seconds: int = Field(default=60, ge=5, le=240)

    # -- who notices when it dies --------------------------------------------------------------
    #: URL called while the risk loop is healthy; None = none. May hold a secret.
    heartbeat_url: SecretStr | None = None
    #: Seconds between two calls of it.
    heartbeat_seconds: int = Field(default=30, ge=1, le=3_600)
    #: "on" = one stop per held leg rests at the venue, where it can hold orders back.
    protective_stops: Literal["on", "off"] = "on"
    #: The venue cancels resting orders this long after the daemon died; 0 = it is not asked to.
    dead_man_seconds: int = Field(default=60, ge=0, le=120)

    # -- where the record is -----------------------------------------------------------------
    #: Postgres address; None = the embedded server under `state_dir`.
    database_url: SecretStr | None = None
    #: Where the daemon keeps its files.
    state_dir: Path
    #: Directory of the schema's migrations; None = beside the code.
    migrations: Path | None = None
    #: File the record's heads are appended to, best on another machine; None = the log only.
    checkpoints: Path | None = None
    #: Ed25519 private key (PEM) that signs them; None = they are not signed.
    checkpoint_key: Path | None = None

    # -- the venue's key and addresses -------------------------------------------------------
    #: The key's public name.
    api_key: SecretStr | None = None
    #: Signs requests.
    api_secret: SecretStr | None = None
    #: Chosen by the key's owner.
    api_passphrase: SecretStr | None = None
    #: OKX's REST base; None = the one of the environment. Another region's host goes here.
    okx_rest_url: str | None = None
    #: OKX's public streams; None = those of the environment.
    okx_public_url: str | None = None
    #: OKX's private streams; None = those of the environment.
    okx_private_url: str | None = None
    #: Binance's REST base; None = the one of the environment.
    binance_rest_url: str | None = None
    #: Binance's streams, without /public, /market and /private; None = those of the environment.
    binance_stream_url: str | None = None
    #: Bybit's REST base; None = the one of the environment. Another region's host goes here.
    bybit_rest_url: str | None = None
    #: Bybit's public streams of linear contracts; None = those of the environment.
    bybit_public_url: str | None = None
    #: Bybit's private streams; None = those of the environment.
    bybit_private_url: str | None = None
    #: Whose protocol and rules the built-in venue has.
    simulator_venue: Literal["okx", "binance", "bybit"] = "okx"
    #: Decides every price path of the built-in venue.
    simulator_seed: int = Field(default=7, ge=0, lt=2**63)
    #: What a new account of the built-in venue holds, quote.
    simulator_wallet: Decimal = Field(default=Decimal(10_000), gt=0, le=10**12)

    # -- the paper account -------------------------------------------------------------------
    #: Cash of a new paper account, quote; one that exists keeps its own.
    paper_equity: Decimal = Field(default=Decimal(10_000), gt=0, le=10**12)
    #: An order of a paper account takes this long to the book, and so does each answer back, ms.
    paper_latency_ms: int = Field(default=50, ge=0, le=10_000)
    #: What a paper account pays for orders that rested, bps; None = the venue's lowest level.
    paper_maker_fee_bps: Decimal | None = Field(default=None, ge=-10, le=100)
    #: What it pays for orders that took, bps; None = the venue's lowest level.
    paper_taker_fee_bps: Decimal | None = Field(default=None, ge=-10, le=100)

    # -- what people see ---------------------------------------------------------------------
    #: Address of /livez and /readyz: loopback, or "0.0.0.0" or "::" inside a container.
    status_host: str = "127.0.0.1"
    #: Port of it; 0 = any free one, written to `daemon.json`.
    status_port: int = Field(default=0, ge=0, le=65_535)
    #: "auto" = words on a terminal, JSON elsewhere.
    log_format: Literal["auto", "json", "plain"] = "auto"
    #: The least that is logged.
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    def note_origins(self, origins: dict[str, str]) -> None:
        """Keep where each value came from; said once, by `app.configuration.load`."""
        self._origins.update(origins)

    def origin(self, field: str) -> str:
        """Return where a field's value came from; "default" = nobody set it."""
        return self._origins.get(field, "default")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings' signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take nothing but what `app.configuration` read, so that each value has one source."""
        return (init_settings,)

    @field_validator("hedge_candidates", "rules_off", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("state_dir", "migrations", "checkpoints", "checkpoint_key")
    @classmethod
    def _whole_path(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @field_validator("cycle_seconds")
    @classmethod
    def _divides_a_day(cls, value: int) -> int:
        if SECONDS_PER_DAY % value != 0:
            raise ValueError(f"allowed are divisors of {SECONDS_PER_DAY}, such as 30, 300 and 900")
        return value

    @field_validator("status_host")
    @classmethod
    def _stays_here(cls, value: str) -> str:
        try:
            address = ipaddress.ip_address("127.0.0.1" if value == "localhost" else value)
        except ValueError:
            address = None
        if address is None or not (address.is_loopback or address.is_unspecified):
            raise ValueError(
                "allowed is a loopback address, or 0.0.0.0 or :: inside a container; the page has "
                "no password"
            )
        return value

    @field_validator("heartbeat_url")
    @classmethod
    def _is_http(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("https://", "http://")):
            raise ValueError("allowed is an address that begins with https:// or http://")
        return value

    @field_validator(
        *("okx_rest_url", "okx_public_url", "okx_private_url", "binance_rest_url"),
        *("binance_stream_url", "bybit_rest_url", "bybit_public_url", "bybit_private_url"),
    )
    @classmethod
    def _is_an_address(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        allowed = ("https", "http") if "rest" in str(info.field_name) else ("wss", "ws")
        try:
            parts = urlsplit(value)
            good = parts.scheme in allowed and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good:
            raise ValueError(f"allowed is an address such as {allowed[0]}://host:port")
        return value

    @field_validator("dead_man_seconds")
    @classmethod
    def _is_a_time_venues_take(cls, value: int) -> int:
        if 0 < value < DEAD_MAN_SECONDS_MIN:
            raise ValueError(f"allowed is 0 (off) or {DEAD_MAN_SECONDS_MIN} to 120")
        return value

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        if not value.get_secret_value().startswith(
            ("postgresql://", "postgres://", "postgresql+psycopg://")
        ):
            raise ValueError("allowed is postgresql://user:password@host:port/database")
        # Lazily imported: with the built-in server nobody waits for a database's library here.
        from counterpoise.ledger import connections

        connections.check(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for words in (_held_words(self), _venue_words(self), _limit_words(self)):
            if words is not None:
                raise ValueError(words)
        return self


def _refusal(field: str, value: object, allowed: str) -> str:
    return f"{variable(field)}={value}: allowed is {allowed}"


def _held_words(settings: Settings) -> str | None:
    candidates = settings.hedge_candidates
    if settings.core_instrument in candidates:
        return _refusal("hedge_candidates", ",".join(candidates), "a list without the core's own")
    if len(set(candidates)) != len(candidates):
        return _refusal("hedge_candidates", ",".join(candidates), "each instrument once")
    return None


def _venue_words(settings: Settings) -> str | None:
    row = VENUES.get(settings.venue)
    allowed_here = (*(("demo",) if row is None else row.environments), PAPER)
    if settings.environment not in allowed_here:
        words = " or ".join(allowed_here)
        return _refusal(
            "environment",
            settings.environment,
            f"{words} with {variable('venue')}={settings.venue}",
        )
    if settings.environment == "production" and settings.live_trading is None:
        return (
            f"{variable('live_trading')} is not set: real money is traded only when it is the "
            "account's id as the venue names it (OKX: uid)"
        )
    if settings.environment != "production" and settings.live_trading is not None:
        allowed = f"unset unless {variable('environment')}=production"
        return _refusal("live_trading", settings.live_trading, allowed)
    paper = settings.environment == PAPER
    if settings.fresh and settings.venue != "simulator" and not paper:
        allowed = f"false unless the venue is the built-in one or {variable('environment')}={PAPER}"
        return _refusal("fresh", "true", allowed)
    for field in () if row is None or paper else row.key_settings:
        if row is not None and getattr(settings, field) is None:
            play = (
                "" if settings.environment == "production" else f" {settings.environment}-trading"
            )
            return f"{variable(field)} is not set: {row.label} needs a{play} key"
    return None


def _limit_words(settings: Settings) -> str | None:
    zero = not_above_zero(settings)
    if zero is not None:
        allowed = "more than 0 and at most 1" if zero == "entry_scale" else "more than 0"
        return _refusal(zero, getattr(settings, zero), allowed)
    order = contradiction(settings)
    if order is None:
        return None
    relation = "at most" if order.equal else "less than"
    allowed = f"{relation} {variable(order.higher)}={getattr(settings, order.higher)}"
    words = f"{allowed}, or raise that; {order.why}" if order.why else allowed
    return _refusal(order.lower, getattr(settings, order.lower), words)
