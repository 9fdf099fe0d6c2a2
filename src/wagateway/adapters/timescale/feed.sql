-- The statements of the feed; see queries.sql. A place is (xid, change_id, items read of that row); a line
-- tells one server's transactions from another's, and one table from one that was restored in its place.

-- name: add_changes
-- What a transaction changed in an archive.
INSERT INTO whatsapp_gateway.changes (session_id, items) VALUES (%(session_id)s::int, %(rows)s::jsonb);

-- name: feed_position
-- The present: the line, and the oldest transaction that may still be open.
SELECT
    left(md5(concat_ws(
        ' ', c.system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8),
        'whatsapp_gateway.changes'::regclass::oid
    )), 8) AS line,
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS open
FROM pg_control_system() AS c;

-- name: feed_page
-- The present, the last row that was removed, and as JSON the rows after a place; all as one snapshot sees
-- them, so that rows of a transaction that is open in it, and all behind, are left to a later page.
SELECT
    left(md5(concat_ws(
        ' ', c.system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8),
        'whatsapp_gateway.changes'::regclass::oid
    )), 8) AS line,
    pg_snapshot_xmin(s.snapshot)::text::bigint AS open,
    g.xid::text::bigint AS removed_xid,
    g.change_id AS removed_change,
    (
        SELECT json_agg(r) FROM (
            SELECT
                t.xid::text::bigint AS transaction, t.change_id AS change, t.at AT TIME ZONE 'UTC' AS at,
                a.session, a.account, t.items
            FROM whatsapp_gateway.changes AS t
            JOIN whatsapp_gateway.sessions AS a USING (session_id)
            WHERE t.xid < pg_snapshot_xmin(s.snapshot)
              AND (t.xid, t.change_id) >= (%(xid)s::text::xid8, %(change)s::bigint)
              AND NOT (
                  t.xid = %(xid)s::text::xid8 AND t.change_id = %(change)s::bigint
                  AND jsonb_array_length(t.items) <= %(item)s::int
              )
            ORDER BY t.xid, t.change_id
            LIMIT %(limit)s::int
        ) AS r
    )::text AS rows
FROM pg_control_system() AS c
CROSS JOIN (SELECT pg_current_snapshot() AS snapshot) AS s
CROSS JOIN whatsapp_gateway.changes_removed AS g;

-- name: held_since
-- When the oldest row was written that is behind a transaction that is still open.
SELECT min(at) AS at FROM whatsapp_gateway.changes WHERE xid >= pg_snapshot_xmin(pg_current_snapshot());

-- name: forget_changes
-- Removes the oldest rows, and remembers the last of them; returns how many.
WITH oldest AS (
    SELECT xid, change_id, at
    FROM whatsapp_gateway.changes
    ORDER BY xid, change_id
    LIMIT %(limit)s::int
), gone AS (
    DELETE FROM whatsapp_gateway.changes AS t
    USING oldest AS o
    WHERE (t.xid, t.change_id) = (o.xid, o.change_id)
      AND o.at < clock_timestamp() - %(older_than)s::interval
      AND o.xid < pg_snapshot_xmax(pg_current_snapshot())
    RETURNING t.xid, t.change_id
), remembered AS (
    UPDATE whatsapp_gateway.changes_removed AS r
    SET xid = g.xid, change_id = g.change_id
    FROM (SELECT xid, change_id FROM gone ORDER BY xid DESC, change_id DESC LIMIT 1) AS g
    WHERE (r.xid, r.change_id) < (g.xid, g.change_id)
)
SELECT count(*) AS removed FROM gone;

-- name: forget_foreign_changes
-- Removes rows of transactions that are yet to come here: a dump of another server brought them.
DELETE FROM whatsapp_gateway.changes WHERE xid >= pg_snapshot_xmax(pg_current_snapshot());
