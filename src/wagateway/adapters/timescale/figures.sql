-- The statement of those who watch the archive; see queries.sql.

-- name: limit_figures
-- Who watches never waits long, and is told instants in UTC, also in JSON.
SELECT
    set_config('lock_timeout', '1s', true),
    set_config('statement_timeout', '4s', true),
    set_config('TimeZone', 'UTC', true);

-- name: archive_figures
-- How everything stands, as one row. Lists are JSON; what is counted is counted up to a limit, so that no table
-- is read from end to end, however large it is.
WITH named AS (
    SELECT DISTINCT ON (session COLLATE "C") session_id, session, last_event_at
    FROM whatsapp_gateway.sessions
    ORDER BY session COLLATE "C", last_event_at DESC, session_id DESC
), listed AS (
    SELECT * FROM named ORDER BY session COLLATE "C" LIMIT %(most_sessions)s::int
), wanted AS (
    SELECT tstzmultirange(tstzrange(%(since)s::timestamptz, %(now)s::timestamptz)) AS spans
), synced AS (
    SELECT status, due_at, chat_id
    FROM whatsapp_gateway.sync_state
    LIMIT %(most)s::int
), due_files AS (
    SELECT due_at
    FROM whatsapp_gateway.media_downloads
    WHERE due_at IS NOT NULL AND due_at <= %(now)s::timestamptz
    LIMIT %(most)s::int
)
SELECT
    (SELECT count(*) FROM named) AS session_count,
    (
        SELECT coalesce(json_agg(json_build_object(
            'session', l.session,
            'status', told.status,
            'last_event_at', l.last_event_at,
            'sync_status', w.status,
            'sync_problem', w.problem,
            'looked_at', w.caught_up_at,
            'chats', g.chats,
            'gap_s', g.gap_s,
            'incomplete_chats', g.incomplete_chats
        ) ORDER BY l.session COLLATE "C"), '[]')
        FROM listed AS l
        LEFT JOIN whatsapp_gateway.sync_state AS w ON w.session_id = l.session_id AND w.chat_id = ''
        LEFT JOIN LATERAL (
            SELECT t.status FROM whatsapp_gateway.session_statuses AS t
            WHERE t.session = l.session
            ORDER BY t.at DESC, t.status COLLATE "C" DESC
            LIMIT 1
        ) AS told ON true
        CROSS JOIN LATERAL (
            SELECT
                count(*) AS chats,
                coalesce(avg(lacking.gap_s), 0) AS gap_s,
                count(*) FILTER (WHERE lacking.gap_s > %(late_s)s::float8) AS incomplete_chats
            FROM (
                SELECT (
                    SELECT coalesce(sum(extract(epoch FROM upper(gap) - lower(gap)))::float8, 0)
                    FROM wanted, unnest(
                        wanted.spans - coalesce(own.spans, '{}'::tstzmultirange)
                            - coalesce(of_all.spans, '{}'::tstzmultirange)
                    ) AS gap
                ) AS gap_s
                FROM (
                    SELECT s.chat_id
                    FROM whatsapp_gateway.sync_state AS s
                    WHERE s.session_id = l.session_id AND s.chat_id <> ''
                    ORDER BY s.active_at DESC NULLS LAST, s.chat_id
                    LIMIT %(most_chats)s::int
                ) AS chat
                LEFT JOIN whatsapp_gateway.coverage AS own
                    ON own.session_id = l.session_id AND own.chat_id = chat.chat_id
                LEFT JOIN whatsapp_gateway.coverage AS of_all
                    ON of_all.session_id = l.session_id AND of_all.chat_id = ''
            ) AS lacking
        ) AS g
    )::text AS sessions,
    (
        SELECT coalesce(json_object_agg(s.status, s.chats), '{}')
        FROM (SELECT status, count(*) AS chats FROM synced WHERE chat_id <> '' GROUP BY status) AS s
    )::text AS sync_chats,
    (SELECT count(*) FROM synced WHERE due_at <= %(now)s::timestamptz) AS sync_due,
    (
        SELECT min(due_at) FROM synced
        WHERE due_at <= %(now)s::timestamptz AND due_at > 'epoch'::timestamptz
    ) AS sync_due_since,
    (
        SELECT json_object_agg(f.status, f.files)
        FROM (
            SELECT s.status, (
                SELECT count(*) FROM (
                    SELECT FROM whatsapp_gateway.media_downloads AS d
                    WHERE d.download_status = s.status AND d.download_status <> 'completed'
                    LIMIT %(most)s::int
                ) AS c
            ) AS files
            FROM unnest(%(statuses)s::text[]) AS s (status)
        ) AS f
    )::text AS files,
    (SELECT count(*) FROM due_files) AS files_due,
    (SELECT min(due_at) FROM due_files) AS files_due_since,
    (
        SELECT min(kept_since) FROM whatsapp_gateway.media_downloads
        WHERE due_at IS NOT NULL AND NOT again
    ) AS offered_since,
    (
        SELECT count(*) FROM (
            SELECT FROM whatsapp_gateway.media_objects WHERE inspect_at IS NOT NULL LIMIT %(most)s::int
        ) AS o
    ) AS uninspected,
    (
        SELECT count(*) FROM (
            SELECT FROM whatsapp_gateway.event_log WHERE outcome = 'failed' LIMIT %(most)s::int
        ) AS e
    ) AS failed_rows;
