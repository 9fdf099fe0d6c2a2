-- The statements of backups and restores; see queries.sql. The rows themselves go by COPY, whose tables and
-- columns are those of the catalogue.

-- name: copied_tables
-- The ordinary tables of our schema, hypertables among them, with the columns that are written, in order.
SELECT c.relname AS name, array_agg(a.attname::text ORDER BY a.attnum) AS columns
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
WHERE c.relnamespace = to_regnamespace('whatsapp_gateway') AND c.relkind IN ('r', 'p')
GROUP BY c.relname
ORDER BY c.relname COLLATE "C";

-- name: copied_counters
-- The identity columns, with the last number that each gave out; null where it gave out none, or the role
-- may not know.
SELECT t.relname AS table, a.attname AS column, s.last_value AS last
FROM pg_class AS q
JOIN pg_namespace AS n ON n.oid = q.relnamespace
JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = q.oid AND d.deptype = 'i'
JOIN pg_class AS t ON t.oid = d.refobjid
JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
JOIN pg_sequences AS s ON (s.schemaname, s.sequencename) = (n.nspname, q.relname)
WHERE q.relkind = 'S' AND t.relnamespace = 'whatsapp_gateway'::regnamespace
ORDER BY t.relname COLLATE "C";

-- name: copied_source
-- Which server this is, and with which extension.
SELECT current_setting('server_version') AS server,
    (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb') AS timescale;

-- name: copied_schema
-- The migrations that were applied.
SELECT version, name, checksum FROM whatsapp_gateway.schema_migrations ORDER BY version;

-- name: copied_objects
-- The attached files that are stored, by hash.
SELECT sha256, size_bytes, mimetype, has_thumbnail
FROM whatsapp_gateway.media_objects
ORDER BY sha256;

-- name: forget_uptimes
-- What a gateway said that ran on the empty archive: to say less is safe.
DELETE FROM whatsapp_gateway.uptimes;

-- name: search_restored
-- Search vectors of the current texts, as this server folds words; see save_words.
INSERT INTO whatsapp_gateway.message_search (session_id, chat_id, stanza_id, author, words)
SELECT m.session_id, m.chat_id, m.stanza_id, m.author,
    to_tsvector('whatsapp_gateway.message_text', left(m.text, 50000))
FROM whatsapp_gateway.current_messages AS m
WHERE m.text <> ''
ON CONFLICT ON CONSTRAINT message_search_pkey DO NOTHING;

-- name: claim_backup
-- Takes the regular backup where it is due; none is returned where it is not.
INSERT INTO whatsapp_gateway.upkeep AS t (task, due_at)
VALUES ('backup', %(until)s)
ON CONFLICT ON CONSTRAINT upkeep_pkey DO UPDATE SET due_at = excluded.due_at WHERE t.due_at <= %(now)s
RETURNING task;

-- name: put_off_backup
-- Lets the regular backup be due at another time.
UPDATE whatsapp_gateway.upkeep SET due_at = %(until)s WHERE task = 'backup';

-- name: schema_there
-- Whether our schema is there.
SELECT to_regnamespace('whatsapp_gateway') IS NOT NULL AS there;
