"""The queries of docs/sql.md, as they stand there."""

import re
from pathlib import Path

_PAGE = Path(__file__).resolve().parents[1] / "docs" / "sql.md"
_QUESTION = re.compile(r"^### (\d+)\. (.+?)\n\n```sql\n(.+?)```", re.DOTALL | re.MULTILINE)


def questions(now: str) -> dict[int, tuple[str, str]]:
    """Return number -> (question, query); `now()` becomes the moment `now`, ISO 8601."""
    found = _QUESTION.findall(_PAGE.read_text(encoding="utf-8"))
    moment = f"timestamptz '{now}'"
    return {int(n): (words, query.replace("now()", moment)) for n, words, query in found}
