"""Half-open spans of time: which were asked for already and which are still missing."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """From `since_ms` to just before `until_ms`, UTC."""

    since_ms: int
    until_ms: int


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return the same moments as few spans, in order."""
    found: list[Span] = []
    for span in sorted(each for each in spans if each.since_ms < each.until_ms):
        if found and span.since_ms <= found[-1].until_ms:
            found[-1] = Span(found[-1].since_ms, max(found[-1].until_ms, span.until_ms))
        else:
            found.append(span)
    return found


def missing(wanted: Span, covered: Iterable[Span]) -> list[Span]:
    """Return what of `wanted` lies in none of `covered`, in order."""
    left: list[Span] = []
    at_ms = wanted.since_ms
    for span in merged(covered):
        left.append(Span(at_ms, min(span.since_ms, wanted.until_ms)))
        at_ms = max(at_ms, span.until_ms)
    left.append(Span(at_ms, wanted.until_ms))
    return [each for each in left if each.since_ms < each.until_ms]


def pages(spans: Sequence[Span], page_ms: int) -> list[Span]:
    """Return the spans cut into pages of at most `page_ms`."""
    return [
        Span(at_ms, min(at_ms + page_ms, span.until_ms))
        for span in spans
        for at_ms in range(span.since_ms, span.until_ms, page_ms)
    ]
