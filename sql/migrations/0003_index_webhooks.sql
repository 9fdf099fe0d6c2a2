-- The latest webhook of a session, found at once however much sync has logged since.
--
-- Why so: sync asks for it at each look at a session, and an index over all rows would be read back
-- through everything that a back-fill logged. Partial, so that rows of sync cost nothing more.
-- Locks: writes to event_log wait while it is built, about a second per million rows; deliveries are
-- repeated by WAHA meanwhile. Runs on PostgreSQL 15 to 18 and on TimescaleDB.

SET LOCAL lock_timeout = '5s';

CREATE INDEX event_log_webhooks_idx ON whatsapp_gateway.event_log (session, received_at)
    WHERE source = 'webhook';
