from counterpoise.venues.bybit.book_sync import BookSequence, Verdict

SNAPSHOT, DELTA, GAP, WAITING = Verdict.SNAPSHOT, Verdict.DELTA, Verdict.GAP, Verdict.WAITING


def verdicts(*messages):
    sequence = BookSequence()
    return [sequence.hear(*message) for message in messages]


def test_deltas_follow_the_snapshot_one_by_one():
    found = verdicts(("snapshot", 70, 500), ("delta", 71, 503), ("delta", 72, 503))
    assert found == [SNAPSHOT, DELTA, DELTA]


def test_a_number_left_out_is_a_gap():
    assert verdicts(("snapshot", 70, 500), ("delta", 72, 503)) == [SNAPSHOT, GAP]


def test_a_number_said_twice_or_going_back_is_a_gap():
    assert verdicts(("snapshot", 70, 500), ("delta", 70, 500)) == [SNAPSHOT, GAP]
    assert verdicts(("snapshot", 70, 500), ("delta", 69, 499)) == [SNAPSHOT, GAP]


def test_the_number_of_all_depths_never_goes_back():
    assert verdicts(("snapshot", 70, 500), ("delta", 71, 499)) == [SNAPSHOT, GAP]


def test_number_one_is_a_whole_book_after_a_restart_whatever_it_calls_itself():
    found = verdicts(("snapshot", 70, 500), ("delta", 71, 501), ("delta", 1, 3), ("delta", 2, 4))
    assert found == [SNAPSHOT, DELTA, SNAPSHOT, DELTA]
    assert verdicts(("snapshot", 70, 500), ("snapshot", 1, 3)) == [SNAPSHOT, SNAPSHOT]


def test_level_one_says_its_snapshot_again():
    found = verdicts(("snapshot", 5, 9), ("snapshot", 5, 9), ("snapshot", 6, 12))
    assert found == [SNAPSHOT, SNAPSHOT, SNAPSHOT]


def test_nothing_is_applied_before_a_snapshot():
    sequence = BookSequence()
    assert sequence.hear("delta", 8, 1) is WAITING
    assert sequence.hear("snapshot", 9, 2) is SNAPSHOT
    sequence.reset()
    assert sequence.hear("delta", 10, 3) is WAITING
