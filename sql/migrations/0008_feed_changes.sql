-- The feed: what changed in an archive, in an order in which it can be told again from any place.
--
-- Why so: a row per transaction and archive, written with what it tells of, so that neither is there without
-- the other. It names messages and holds no text. A sequence number is not the order of commits, so a place
-- is the transaction's id first, and readers stay before the oldest transaction that is still open: nothing
-- can turn up behind them.
-- Locks: none that matter, everything is new. What processes of an older version write meanwhile is not told.
-- Runs on PostgreSQL 15 to 18 and on TimescaleDB.

SET LOCAL lock_timeout = '5s';

CREATE TABLE whatsapp_gateway.changes (
    change_id  bigint GENERATED ALWAYS AS IDENTITY,
    xid        xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    session_id integer NOT NULL,
    items      jsonb NOT NULL,
    CONSTRAINT changes_pkey PRIMARY KEY (xid, change_id)
);
COMMENT ON TABLE whatsapp_gateway.changes IS
    'What changed, by transaction and archive, without contents; kept for some days. Read only rows whose xid is '
    'below pg_snapshot_xmin(pg_current_snapshot()), by xid, then change_id.';
COMMENT ON COLUMN whatsapp_gateway.changes.xid IS 'The transaction; a dumped and restored row has that of another server.';
COMMENT ON COLUMN whatsapp_gateway.changes.items IS
    'In order, each an object: kind, and where it applies chat, stanza, author, by, ack, status, was.';

CREATE TABLE whatsapp_gateway.changes_removed (
    only_row  boolean NOT NULL DEFAULT true
        CONSTRAINT changes_removed_only_row_check CHECK (only_row),
    xid       xid8 NOT NULL,
    change_id bigint NOT NULL,
    CONSTRAINT changes_removed_pkey PRIMARY KEY (only_row)
);
INSERT INTO whatsapp_gateway.changes_removed (xid, change_id) VALUES ('0', 0);
COMMENT ON TABLE whatsapp_gateway.changes_removed IS
    'One row: the last change that was removed for its age. Who read less than that has missed something.';
