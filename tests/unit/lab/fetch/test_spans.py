from hypothesis import given
from hypothesis import strategies as st

from counterpoise.lab.fetch.spans import Span, merged, missing, pages

BOUNDS = st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda pair: Span(*pair))


def moments(spans):
    return {at for span in spans for at in range(span.since_ms, span.until_ms)}


@given(BOUNDS, st.lists(BOUNDS, max_size=6))
def test_what_is_missing_is_wanted_and_not_covered(wanted, covered):
    left = missing(wanted, covered)
    assert moments(left) == moments([wanted]) - moments(covered)
    assert left == merged(left)


@given(st.lists(BOUNDS, max_size=6), st.integers(1, 9))
def test_pages_are_the_same_moments_in_short_pieces(spans, length):
    cut = pages(merged(spans), length)
    assert moments(cut) == moments(spans)
    assert sum(span.until_ms - span.since_ms for span in cut) == len(moments(spans))
    assert all(0 < span.until_ms - span.since_ms <= length for span in cut)


def test_spans_that_touch_become_one():
    assert merged([Span(5, 9), Span(1, 5), Span(20, 20), Span(12, 14)]) == [
        Span(1, 9),
        Span(12, 14),
    ]
