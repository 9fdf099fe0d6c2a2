-- The feed tells purges: what a change may hold, for those who read it by SQL.
--
-- Why so: only the description changes. A process of an older version does not know the kind and ends its
-- streams where it meets one: stop those before the first purge.
-- Locks: none that matter. Runs on PostgreSQL 15 to 18 and on TimescaleDB.

SET LOCAL lock_timeout = '5s';

COMMENT ON COLUMN whatsapp_gateway.changes.items IS
    'In order, each an object: kind, and where it applies chat, stanza, author, by, ack, status, was, before.';
