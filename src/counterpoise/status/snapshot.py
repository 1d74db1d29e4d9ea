"""What the daemon says of itself at one moment."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusSnapshot:
    """Made by the daemon whenever somebody asks."""

    #: Seconds since the risk loop last ran; None = it has not run yet.
    tick_age_seconds: float | None
    #: Why the daemon does not trade both ways, as codes ("database", "operator"); empty = it does.
    holding_back: tuple[str, ...] = ()
    #: Further figures for people, by name; never a secret.
    facts: dict[str, str | int | float | bool | None] = field(default_factory=dict)
