-- Sync: lists are read again, since they may have been filling, and a state is only written over the one
-- that was read.
--
-- Why so: after a phone was paired, an engine's list of a chat grows for a while, so an end that was seen
-- then is none. What people ask for must not be undone by a worker that read the row before.
-- Locks: sync_state for a moment, one row for each chat; webhooks do not touch it. Runs on PostgreSQL 15
-- to 18 and on TimescaleDB.

SET LOCAL lock_timeout = '5s';

ALTER TABLE whatsapp_gateway.sync_state
    ADD COLUMN reread_at timestamptz,
    ADD COLUMN rereads integer NOT NULL DEFAULT 0,
    ADD COLUMN revision bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN whatsapp_gateway.sync_state.reread_at IS
    'When the chat''s list is read again from the newest on, in case that it was still filling; null before its end was seen.';
COMMENT ON COLUMN whatsapp_gateway.sync_state.rereads IS 'Readings in a row that found nothing older than the one before.';
COMMENT ON COLUMN whatsapp_gateway.sync_state.revision IS 'Grows with each change of the row.';

-- Where the end of a list was seen already, or did not hold together, it is read again within a day, not all
-- at once.
UPDATE whatsapp_gateway.sync_state
SET reread_at = now() + random() * interval '1 day'
WHERE chat_id <> '' AND (bottom IS NOT NULL OR (since IS NULL AND backward IS NULL));
UPDATE whatsapp_gateway.sync_state
SET due_at = reread_at
WHERE status = 'idle' AND due_at IS NULL AND forward IS NULL AND backward IS NULL;

COMMENT ON COLUMN whatsapp_gateway.sessions.last_event_at IS
    'Of the latest webhook, to within a minute; before the first, when sync found the session.';
