-- The statements of the storage layout; see storage.py. Those that call TimescaleDB find its functions by
-- the search path that find_timescale sets for the transaction.

-- name: timescale_here
-- Whether the server has TimescaleDB, whether this database does, in which version and edition. What is
-- preloaded shows in settings of its own; the list of libraries itself is not for every role to read.
SELECT
    (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb') AS installed,
    EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb') AS available,
    EXISTS (SELECT FROM pg_settings WHERE name LIKE 'timescaledb.%') AS preloaded,
    current_setting('timescaledb.license', true) AS license;

-- name: plain_tables
-- Our tables that can be hypertables, with the estimate of their rows; those that do not exist are not told.
SELECT c.relname AS name, greatest(c.reltuples, 0)::bigint AS rows
FROM pg_class AS c
WHERE c.oid IN (to_regclass('whatsapp_gateway.messages'), to_regclass('whatsapp_gateway.event_log'))
ORDER BY c.relname DESC;

-- name: hypertables
-- Which of them are hypertables: chunks, whether they may be compressed by chat, how many are, and after
-- which time they are.
SELECT
    h.hypertable_name AS name, h.num_chunks::int AS chunks, d.time_interval AS chunk,
    h.compression_enabled AND EXISTS (
        SELECT FROM timescaledb_information.compression_settings AS s
        WHERE (s.hypertable_schema, s.hypertable_name) = (h.hypertable_schema, h.hypertable_name)
          AND s.attname = 'chat_id' AND s.segmentby_column_index IS NOT NULL
    ) AS compressible,
    (
        SELECT count(*)::int FROM timescaledb_information.chunks AS c
        WHERE (c.hypertable_schema, c.hypertable_name) = (h.hypertable_schema, h.hypertable_name) AND c.is_compressed
    ) AS compressed,
    (
        SELECT min((j.config ->> 'compress_after')::interval) FROM timescaledb_information.jobs AS j
        WHERE (j.hypertable_schema, j.hypertable_name) = (h.hypertable_schema, h.hypertable_name)
    ) AS compress_after
FROM timescaledb_information.hypertables AS h
JOIN timescaledb_information.dimensions AS d USING (hypertable_schema, hypertable_name)
WHERE h.hypertable_schema = 'whatsapp_gateway' AND h.hypertable_name IN ('messages', 'event_log')
  AND d.dimension_number = 1;

-- name: statistics_aggregate
-- Whether the statistics are a continuous aggregate.
SELECT EXISTS (
    SELECT FROM timescaledb_information.continuous_aggregates
    WHERE view_schema = 'whatsapp_gateway' AND view_name = 'messages_hourly_stats'
) AS aggregate;

-- name: create_timescale
-- TimescaleDB in this database; the extension is a trusted one, so its owner may do that.
CREATE EXTENSION IF NOT EXISTS timescaledb;

-- name: find_timescale
-- Where TimescaleDB's functions are found until the transaction ends; PostgreSQL's own come first.
SELECT set_config('search_path', quote_ident(n.nspname), true)
FROM pg_extension AS e
JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'timescaledb';

-- name: count_messages
-- How many rows there are, counted up to a limit.
SELECT count(*) AS rows FROM (SELECT FROM whatsapp_gateway.messages LIMIT %(limit)s::bigint) AS t;

-- name: count_event_log
-- The same of the log.
SELECT count(*) AS rows FROM (SELECT FROM whatsapp_gateway.event_log LIMIT %(limit)s::bigint) AS t;

-- name: make_messages_hypertable
-- Moves the rows into chunks. The index that serves every query is there: no other is needed.
SELECT create_hypertable(
    'whatsapp_gateway.messages', by_range('sent_at', %(chunk)s::interval),
    create_default_indexes => false, migrate_data => true
);

-- name: make_event_log_hypertable
-- The same of the log.
SELECT create_hypertable(
    'whatsapp_gateway.event_log', by_range('received_at', %(chunk)s::interval),
    create_default_indexes => false, migrate_data => true
);

-- name: analyze_messages
-- The planner knows nothing of the new chunks.
ANALYZE whatsapp_gateway.messages;

-- name: analyze_event_log
-- The same of the log.
ANALYZE whatsapp_gateway.event_log;

-- name: set_chunk
-- How much time the chunks cover that are made from now on.
SELECT set_chunk_time_interval(%(table)s::regclass, %(chunk)s::interval);

-- name: allow_compression
-- How messages are packed: those of one chat together, in the order in which they are read.
ALTER TABLE whatsapp_gateway.messages SET (
    timescaledb.compress,
    timescaledb.compress_segmentby = 'session_id, chat_id',
    timescaledb.compress_orderby = 'sent_at DESC, stanza_id DESC, author DESC'
);

-- name: drop_compression_policy
-- Packs no more chunks; those that are packed stay so.
SELECT remove_compression_policy('whatsapp_gateway.messages', if_exists => true);

-- name: add_compression_policy
-- Packs the chunks that are older.
SELECT add_compression_policy('whatsapp_gateway.messages', compress_after => %(after)s::interval);

-- name: statistics_readers
-- Who else may read the statistics, as a role's name, or an empty one for everybody.
SELECT coalesce(r.rolname, '') AS reader
FROM pg_class AS c
CROSS JOIN LATERAL aclexplode(c.relacl) AS a
LEFT JOIN pg_roles AS r ON r.oid = a.grantee
WHERE c.oid = 'whatsapp_gateway.messages_hourly_stats'::regclass
  AND a.privilege_type = 'SELECT' AND a.grantee <> c.relowner;

-- name: drop_statistics
-- The ordinary view, which the aggregate replaces; refused where something of the operator's depends on it.
DROP VIEW whatsapp_gateway.messages_hourly_stats;

-- name: create_statistics
-- The same columns as the view of the migrations, kept up to date by a policy; what is newer than the last
-- refresh is counted at once.
CREATE MATERIALIZED VIEW whatsapp_gateway.messages_hourly_stats
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT
    time_bucket(INTERVAL '1 hour', m.sent_at) AS hour, m.session_id, m.session, m.chat_id, m.kind, m.from_me,
    count(*) AS messages,
    count(*) FILTER (WHERE m.text <> '') AS with_text,
    count(*) FILTER (WHERE m.media IS NOT NULL) AS with_media
FROM whatsapp_gateway.messages AS m
GROUP BY 1, 2, 3, 4, 5, 6
WITH NO DATA;

-- name: refresh_statistics
-- Counts again what changed, however old: sync writes into the past.
SELECT add_continuous_aggregate_policy(
    'whatsapp_gateway.messages_hourly_stats', start_offset => NULL::interval, end_offset => INTERVAL '1 hour',
    schedule_interval => INTERVAL '30 minutes'
);

-- name: chunks_known
-- Whether there may be chunks at all.
SELECT to_regclass('timescaledb_information.chunks') IS NOT NULL AS known;

-- name: chunks_before
-- The chunks of a table that end before an instant, the oldest first. The file of one that VACUUM found empty
-- has no page: no row is left that any snapshot could see. Rows that are compressed are in another file.
SELECT
    c.hypertable_name AS table, c.chunk_schema AS schema, c.chunk_name AS name,
    c.range_start, c.range_end,
    coalesce(
        NOT c.is_compressed
            AND pg_relation_size(to_regclass(format('%%I.%%I', c.chunk_schema, c.chunk_name)), 'main') = 0,
        false
    ) AS is_void
FROM timescaledb_information.chunks AS c
WHERE c.hypertable_schema = 'whatsapp_gateway' AND c.hypertable_name = %(table)s::text
  AND c.range_end <= %(before)s::timestamptz
ORDER BY c.range_start;

-- name: count_log_between
-- How many rows of the log there are in a span of time; told through the table, which knows what is compressed.
SELECT count(*) AS rows
FROM whatsapp_gateway.event_log
WHERE received_at >= %(start)s::timestamptz AND received_at < %(end)s::timestamptz;

-- name: hurry
-- Whoever waits for what we wait for waits for an instant only.
SELECT set_config('lock_timeout', '200ms', true), set_config('statement_timeout', '60s', true);

-- name: drop_chunk
-- Drops the chunk that covers just that time.
SELECT drop_chunks(
    %(table)s::regclass, older_than => %(end)s::timestamptz, newer_than => %(start)s::timestamptz
) AS chunk;
