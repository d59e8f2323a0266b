"""`/audit`: the audit log, filtered, and as CSV."""

from collections.abc import Iterator
from typing import Any

from flask import Response, request

from hub.core.auth import audit_views
from hub.core.auth.redaction import Redactor
from hub.core.auth.roles import Permission
from hub.core.ports import Store
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.csv_export import csv_line
from hub.web.dashboard.masking import redactor, sees_personal
from hub.web.dashboard.params import id_param
from hub.web.dashboard.permissions import hub, requires
from hub.web.dashboard.rendering import page
from hub.web.database import db

ROWS = 50
MOST_FILTER = 300
_COLUMNS = ("at", "actor", "action", "subject", "reason", "detail")


@dashboard.get("/audit")
@requires(Permission.ADMINISTER)
def audit_page() -> Response:
    filters = _filters()
    before = id_param("before")
    connection = db.session.connection()
    rows = audit_views.list_entries(connection, filters=filters, limit=ROWS + 1, before=before)
    older = rows[ROWS - 1]["id"] if len(rows) > ROWS else None
    return page(
        "audit.html",
        rows=rows[:ROWS],
        filters=filters,
        older=older,
        before=before,
        audited_from=audit_views.audited_from(connection),
    )


@dashboard.get("/audit.csv")
@requires(Permission.ADMINISTER)
def audit_csv() -> Response:
    masked_by = None if sees_personal() else redactor()
    lines = _lines(hub().store, _filters(), masked_by)
    answer = Response(lines, content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = "attachment; filename=audit.csv"
    return answer


def _lines(store: Store, filters: dict[str, str], masked_by: Redactor | None) -> Iterator[str]:
    """Yield the newest entries as CSV lines, read page by page, so that few are in memory.

    They are sent after the request has ended, and its session with it.
    """
    yield csv_line(_COLUMNS)
    before, left = None, audit_views.MOST_EXPORTED
    while left > 0:
        with store.read() as connection:
            rows = audit_views.list_entries(
                connection, filters=filters, limit=min(left, audit_views.MOST_ROWS), before=before
            )
        yield from (csv_line(_cells(row, masked_by)) for row in rows)
        if len(rows) < audit_views.MOST_ROWS:
            return
        before, left = rows[-1]["id"], left - len(rows)


def _cells(row: dict[str, Any], masked_by: Redactor | None) -> list[Any]:
    """Return the cells of an entry; what people wrote is masked by `masked_by`, if there is one."""
    if masked_by is not None:
        row = row | {"reason": masked_by.text(row["reason"] or "")}
        row["detail"] = masked_by.tree(row["detail"])
    return [row[column] for column in _COLUMNS]


def _filters() -> dict[str, str]:
    given = {
        name: request.args.get(name, "").replace("\0", "").strip() for name in audit_views.FILTERS
    }
    return {name: text[:MOST_FILTER] for name, text in given.items() if text}
