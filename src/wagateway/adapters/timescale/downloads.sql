-- The statements of downloads; see queries.sql. Records are merged in Python while their rows are locked,
-- so saving one writes its final state.

-- name: lock_downloads
-- The file records with the given keys, which nobody else changes until the transaction ends.
SELECT d.*
FROM json_to_recordset(%(rows)s::json) AS k (chat text, stanza text, author text)
CROSS JOIN LATERAL (
    SELECT t.chat_id AS chat, t.stanza_id AS stanza, t.author, t.kind, t.from_me, t.sent_at, t.waha_id,
        t.facts, t.heard_at, t.lease, t.download_status AS status, t.offer, t.again, t.due_at, t.attempts,
        t.problem, t.sha256, t.preview
    FROM whatsapp_gateway.media_downloads AS t
    WHERE t.session_id = %(session_id)s::int AND t.chat_id = k.chat AND t.stanza_id = k.stanza
      AND t.author = k.author
    OFFSET 0
    FOR UPDATE
) AS d;

-- name: add_downloads
-- The files of new messages.
INSERT INTO whatsapp_gateway.media_downloads (
    session_id, session, chat_id, stanza_id, author, kind, from_me, sent_at, waha_id, facts, heard_at,
    download_status, offer, kept_since, again, due_at, preview
)
SELECT %(session_id)s::int, %(session)s::text, r.*
FROM json_to_recordset(%(rows)s::json) AS r (
    chat text, stanza text, author text, kind text, from_me boolean, sent_at timestamptz, waha_id text,
    facts jsonb, heard_at timestamptz, status text, offer jsonb, kept_since timestamptz, again boolean,
    due_at timestamptz, preview bytea
)
ON CONFLICT DO NOTHING;

-- name: save_downloads
-- File records in their final state.
INSERT INTO whatsapp_gateway.media_downloads AS t (
    session_id, session, chat_id, stanza_id, author, kind, from_me, sent_at, waha_id, facts, heard_at,
    download_status, offer, kept_since, again, due_at, attempts, problem, sha256, lease, preview
)
SELECT %(session_id)s::int, %(session)s::text, r.*
FROM json_to_recordset(%(rows)s::json) AS r (
    chat text, stanza text, author text, kind text, from_me boolean, sent_at timestamptz, waha_id text,
    facts jsonb, heard_at timestamptz, status text, offer jsonb, kept_since timestamptz, again boolean,
    due_at timestamptz, attempts int, problem text, sha256 text, lease text, preview bytea
)
ON CONFLICT ON CONSTRAINT media_downloads_pkey DO UPDATE
SET kind = excluded.kind, from_me = excluded.from_me, sent_at = excluded.sent_at, waha_id = excluded.waha_id,
    facts = excluded.facts, heard_at = excluded.heard_at, download_status = excluded.download_status,
    offer = excluded.offer, kept_since = excluded.kept_since, again = excluded.again, due_at = excluded.due_at,
    attempts = excluded.attempts, problem = excluded.problem, sha256 = excluded.sha256, lease = excluded.lease,
    preview = excluded.preview;

-- name: remove_downloads
-- File records whose messages are at these keys no longer.
DELETE FROM whatsapp_gateway.media_downloads AS t
USING json_to_recordset(%(rows)s::json) AS r (chat text, stanza text, author text)
WHERE t.session_id = %(session_id)s::int
  AND t.chat_id = r.chat AND t.stanza_id = r.stanza AND t.author = r.author;

-- name: unlink_objects
-- Stored files lose uses, one for each time that they are named.
UPDATE whatsapp_gateway.media_objects AS t
SET uses = t.uses - r.times
FROM (
    SELECT sha256, count(*) AS times FROM json_array_elements_text(%(rows)s::json) AS l (sha256) GROUP BY sha256
) AS r
WHERE t.sha256 = r.sha256;

-- name: limit_work
-- Nobody waits for ever, and instants are told in UTC, where the last ones still fit.
SELECT
    set_config('lock_timeout', '10s', true),
    set_config('statement_timeout', '60s', true),
    set_config('TimeZone', 'UTC', true);

-- name: age_downloads
-- What is due and was offered too long ago must be got again.
UPDATE whatsapp_gateway.media_downloads AS t
SET again = true
FROM (
    SELECT session_id, chat_id, stanza_id, author
    FROM whatsapp_gateway.media_downloads
    WHERE due_at <= %(now)s::timestamptz AND NOT again AND kept_since <= %(gone)s::timestamptz
    FOR UPDATE SKIP LOCKED
) AS d
WHERE (t.session_id, t.chat_id, t.stanza_id, t.author) = (d.session_id, d.chat_id, d.stanza_id, d.author);

-- name: claim_downloads
-- Takes due downloads in the order of turn() in wagateway.domain.media, each by one caller: each part of it
-- walks an index, and the last limit tells the planner that rows are few. What was offered up to the given
-- instant has aged before.
WITH fresh AS (
    SELECT session_id, chat_id, stanza_id, author
    FROM whatsapp_gateway.media_downloads
    WHERE due_at <= %(now)s::timestamptz AND NOT again AND NOT %(for_ever)s::boolean
      AND kept_since > %(gone)s::timestamptz
    ORDER BY kept_since, sent_at DESC, session_id, chat_id, stanza_id, author
    LIMIT %(limit)s::int
    FOR UPDATE SKIP LOCKED
), lasting AS (
    SELECT session_id, chat_id, stanza_id, author
    FROM whatsapp_gateway.media_downloads
    WHERE due_at <= %(now)s::timestamptz AND NOT again AND (%(for_ever)s::boolean OR kept_since IS NULL)
    ORDER BY again, sent_at DESC, session_id, chat_id, stanza_id, author
    LIMIT %(limit)s::int - (SELECT count(*) FROM fresh)
    FOR UPDATE SKIP LOCKED
), gone AS (
    SELECT session_id, chat_id, stanza_id, author
    FROM whatsapp_gateway.media_downloads
    WHERE due_at <= %(now)s::timestamptz AND again
    ORDER BY again, sent_at DESC, session_id, chat_id, stanza_id, author
    LIMIT least(
        %(limit)s::int - (SELECT count(*) FROM fresh) - (SELECT count(*) FROM lasting), %(again)s::int
    )
    FOR UPDATE SKIP LOCKED
), due AS (
    SELECT * FROM (SELECT * FROM fresh UNION ALL SELECT * FROM lasting UNION ALL SELECT * FROM gone) AS d
    LIMIT %(limit)s::int
)
UPDATE whatsapp_gateway.media_downloads AS t
SET download_status = 'downloading', due_at = %(until)s::timestamptz, lease = gen_random_uuid()::text
FROM due, whatsapp_gateway.sessions AS a
WHERE (t.session_id, t.chat_id, t.stanza_id, t.author) = (due.session_id, due.chat_id, due.stanza_id, due.author)
  AND a.session_id = t.session_id
RETURNING
    t.session_id, t.session, a.account, t.chat_id AS chat, t.stanza_id AS stanza, t.author, t.kind, t.from_me,
    t.sent_at, t.waha_id, t.facts, t.heard_at, t.lease, t.download_status AS status, t.offer, t.again, t.due_at,
    t.attempts, t.problem, t.sha256;

-- name: hold_download
-- Moves the end of a lease; none is returned where it was lost.
UPDATE whatsapp_gateway.media_downloads
SET due_at = %(until)s::timestamptz
WHERE lease = %(lease)s::text
RETURNING lease;

-- name: lock_leased
-- What a lease's holder may have missed: the offer may be a better one by now. None where it was lost.
SELECT offer, sha256
FROM whatsapp_gateway.media_downloads
WHERE lease = %(lease)s::text
FOR UPDATE;

-- name: save_download
-- Writes a download's state and gives it back; what is stored needs the message's own preview no longer.
UPDATE whatsapp_gateway.media_downloads
SET download_status = %(status)s::text, again = %(again)s::boolean, due_at = %(due_at)s::timestamptz,
    offer = %(offer)s::jsonb, kept_since = %(kept_since)s::timestamptz, attempts = %(attempts)s::int, problem = %(problem)s::text, sha256 = %(sha256)s::text, lease = NULL,
    preview = CASE WHEN %(status)s::text <> 'completed' THEN preview END
WHERE lease = %(lease)s::text;

-- name: link_object
-- One use more of a stored file; tells whether the file is new to us.
INSERT INTO whatsapp_gateway.media_objects AS t
    (sha256, size_bytes, mimetype, stored_at, inspect_at, uses)
VALUES (
    %(sha256)s::text, %(size_bytes)s::bigint, %(mimetype)s::text, %(now)s::timestamptz, %(now)s::timestamptz, 1
)
ON CONFLICT ON CONSTRAINT media_objects_pkey DO UPDATE SET uses = t.uses + 1
RETURNING (xmax = 0) AS is_new;

-- name: retry_downloads
-- Makes downloads due that are neither stored nor held; returns how many.
WITH chosen AS (
    SELECT session_id, chat_id, stanza_id, author
    FROM whatsapp_gateway.media_downloads
    WHERE download_status = ANY (%(statuses)s::text[]) AND download_status NOT IN ('completed', 'downloading')
      AND (%(session_id)s::int IS NULL OR session_id = %(session_id)s::int)
      AND (%(chat)s::text IS NULL OR chat_id = %(chat)s::text)
      AND (%(stanza)s::text IS NULL OR stanza_id = %(stanza)s::text)
    ORDER BY session_id, chat_id, stanza_id, author
    FOR UPDATE
), changed AS (
    UPDATE whatsapp_gateway.media_downloads AS t
    SET download_status = 'pending', due_at = %(now)s::timestamptz, attempts = 0, problem = NULL
    FROM chosen AS c
    WHERE (t.session_id, t.chat_id, t.stanza_id, t.author) = (c.session_id, c.chat_id, c.stanza_id, c.author)
    RETURNING t.author
)
SELECT count(*) AS changed FROM changed;

-- name: forget_downloads
-- Takes the files and previews from the given message, whoever holds its download; returns from how many.
WITH chosen AS (
    SELECT session_id, chat_id, stanza_id, author, sha256
    FROM whatsapp_gateway.media_downloads
    WHERE session_id = %(session_id)s::int AND chat_id = %(chat)s::text AND stanza_id = %(stanza)s::text
    ORDER BY author
    FOR UPDATE
), unlinked AS (
    UPDATE whatsapp_gateway.media_objects AS o
    SET uses = o.uses - c.times
    FROM (SELECT sha256, count(*) AS times FROM chosen WHERE sha256 IS NOT NULL GROUP BY sha256) AS c
    WHERE o.sha256 = c.sha256
), changed AS (
    UPDATE whatsapp_gateway.media_downloads AS t
    SET download_status = 'skipped', due_at = NULL, problem = %(problem)s::text, sha256 = NULL, lease = NULL,
        preview = NULL
    FROM chosen AS c
    WHERE (t.session_id, t.chat_id, t.stanza_id, t.author) = (c.session_id, c.chat_id, c.stanza_id, c.author)
    RETURNING t.author
)
SELECT count(*) AS changed FROM changed;

-- name: lock_users
-- The downloads that have the given file, which nobody else changes until the transaction ends.
SELECT author
FROM whatsapp_gateway.media_downloads
WHERE sha256 = %(sha256)s::text
ORDER BY session_id, chat_id, stanza_id, author
FOR UPDATE;

-- name: lock_object
-- The given file, which nobody can link until the transaction ends.
SELECT uses FROM whatsapp_gateway.media_objects WHERE sha256 = %(sha256)s::text FOR UPDATE;

-- name: fetch_again
-- As lost() in wagateway.domain.media: makes the downloads that have the given file due; returns how many.
WITH changed AS (
    UPDATE whatsapp_gateway.media_downloads
    SET download_status = 'pending', due_at = %(now)s::timestamptz, attempts = 0, problem = %(problem)s::text,
        sha256 = NULL,
        again = coalesce(offer ->> 'url', '') = '' AND coalesce(offer ->> 's3_key', '') = ''
    WHERE sha256 = %(sha256)s::text
    RETURNING author
)
SELECT count(*) AS changed FROM changed;

-- name: remove_object
-- The row of the given file.
DELETE FROM whatsapp_gateway.media_objects WHERE sha256 = %(sha256)s::text;

-- name: reserve_object
-- A row for a file that is unknown, until it is removed; none is returned where the file is known.
INSERT INTO whatsapp_gateway.media_objects (sha256, size_bytes, mimetype, stored_at, uses)
VALUES (%(sha256)s::text, 0, 'application/octet-stream', now(), 0)
ON CONFLICT ON CONSTRAINT media_objects_pkey DO NOTHING
RETURNING sha256;

-- name: inspect_again
-- Lets a stored file be looked into as if it were new.
UPDATE whatsapp_gateway.media_objects
SET inspect_at = %(now)s::timestamptz, inspections = 0
WHERE sha256 = %(sha256)s::text;

-- name: lock_unused
-- Stored files that no message has, which nobody can link until the transaction ends.
SELECT sha256
FROM whatsapp_gateway.media_objects
WHERE uses = 0
ORDER BY sha256
LIMIT %(limit)s::int
FOR UPDATE SKIP LOCKED;

-- name: remove_unused
-- Their rows.
DELETE FROM whatsapp_gateway.media_objects WHERE uses = 0 AND sha256 = ANY (%(sha256s)s::text[]);

-- name: claim_inspections
-- Takes stored files that are to be looked into, the oldest first, each by one caller.
WITH due AS (
    SELECT sha256
    FROM whatsapp_gateway.media_objects
    WHERE inspect_at <= %(now)s::timestamptz
    ORDER BY inspect_at, sha256
    LIMIT %(limit)s::int
    FOR UPDATE SKIP LOCKED
)
UPDATE whatsapp_gateway.media_objects AS t
SET inspect_at = %(until)s::timestamptz, inspections = t.inspections + 1
FROM due
WHERE t.sha256 = due.sha256
RETURNING
    t.sha256, t.size_bytes, t.mimetype, t.width, t.height, t.duration_s, t.pages, t.placeholder,
    t.has_thumbnail, t.problem, t.stored_at, t.inspected_at, t.inspections, t.uses;

-- name: save_inspection
-- What a look into a stored file found.
UPDATE whatsapp_gateway.media_objects
SET mimetype = %(mimetype)s::text, width = %(width)s::bigint, height = %(height)s::bigint,
    duration_s = %(duration_s)s::float8, pages = %(pages)s::bigint, placeholder = %(placeholder)s::bytea,
    has_thumbnail = %(has_thumbnail)s::boolean, problem = %(problem)s::text,
    inspected_at = %(now)s::timestamptz, inspect_at = NULL
WHERE sha256 = %(sha256)s::text;

-- name: stored_objects
-- Stored files in the order of their hashes.
SELECT sha256, size_bytes, mimetype, width, height, duration_s, pages, placeholder, has_thumbnail, problem,
    stored_at, inspected_at, inspections, uses
FROM whatsapp_gateway.media_objects
WHERE sha256 > %(after)s::text
ORDER BY sha256
LIMIT %(limit)s::int;

-- name: download_counts
-- How many downloads have each status.
SELECT download_status AS status, count(*) AS downloads
FROM whatsapp_gateway.media_downloads
GROUP BY download_status;

-- name: session_counts
-- How many downloads of an archive, and of the given kinds, have each status.
SELECT download_status AS status, count(*) AS downloads
FROM whatsapp_gateway.media_downloads
WHERE session_id = %(session_id)s::int AND kind = ANY (%(kinds)s::text[])
GROUP BY download_status;

-- name: download_times
-- The earliest offer that is waited with, since when the first one is due, and how many files wait for a look.
SELECT
    (
        SELECT min(kept_since) FROM whatsapp_gateway.media_downloads
        WHERE due_at IS NOT NULL AND NOT again
    ) AS kept_since,
    (
        SELECT min(due_at) FROM whatsapp_gateway.media_downloads
        WHERE download_status = 'pending'
    ) AS due_at,
    (SELECT count(*) FROM whatsapp_gateway.media_objects WHERE inspect_at IS NOT NULL) AS uninspected;

-- name: page_files
-- The files of the messages that claim the given ids.
SELECT session, chat_id AS chat, stanza_id AS stanza, author, kind, from_me, sent_at, waha_id, facts, heard_at,
    lease, download_status AS status, offer, again, due_at, attempts, problem, sha256, preview IS NOT NULL AS has_preview
FROM whatsapp_gateway.media_downloads
WHERE session_id = %(session_id)s::int AND chat_id = %(chat)s::text AND stanza_id = ANY (%(stanzas)s::text[])
ORDER BY stanza_id, author;

-- name: first_preview
-- The preview that came inside the first of the messages that claim the given id and have one.
SELECT preview
FROM whatsapp_gateway.media_downloads
WHERE session_id = %(session_id)s::int AND chat_id = %(chat)s::text AND stanza_id = %(stanza)s::text
  AND preview IS NOT NULL
ORDER BY author
LIMIT 1;

-- name: objects_named
-- The stored files with the given hashes.
SELECT sha256, size_bytes, mimetype, width, height, duration_s, pages, placeholder, has_thumbnail, problem,
    stored_at, inspected_at, inspections, uses
FROM whatsapp_gateway.media_objects
WHERE sha256 = ANY (%(sha256s)s::text[]);

-- name: gallery_page
-- The files of an archive before a position, newest first; each kind walks the index by itself.
SELECT d.*
FROM unnest(%(kinds)s::text[]) AS k (kind)
CROSS JOIN LATERAL (
    SELECT t.session, t.chat_id AS chat, t.stanza_id AS stanza, t.author, t.kind, t.from_me, t.sent_at, t.waha_id,
        t.facts, t.heard_at, t.lease, t.download_status AS status, t.offer, t.again, t.due_at, t.attempts, t.problem,
        t.sha256, t.preview IS NOT NULL AS has_preview
    FROM whatsapp_gateway.media_downloads AS t
    WHERE t.session_id = %(session_id)s::int AND t.kind = k.kind
      AND (%(status)s::text IS NULL OR t.download_status = %(status)s::text)
      AND (t.sent_at, t.stanza_id, t.chat_id, t.author)
        < (%(sent_at)s::timestamptz, %(stanza)s::text, %(chat)s::text, %(author)s::text)
    ORDER BY t.sent_at DESC, t.stanza_id DESC, t.chat_id DESC, t.author DESC
    LIMIT %(limit)s::int
) AS d
ORDER BY d.sent_at DESC, d.stanza DESC, d.chat DESC, d.author DESC
LIMIT %(limit)s::int;

-- name: unfinished_page
-- The same of one status other than completed, of which there may be few among very many files.
SELECT session, chat_id AS chat, stanza_id AS stanza, author, kind, from_me, sent_at, waha_id, facts, heard_at,
    lease, download_status AS status, offer, again, due_at, attempts, problem, sha256, preview IS NOT NULL AS has_preview
FROM whatsapp_gateway.media_downloads
WHERE session_id = %(session_id)s::int AND kind = ANY (%(kinds)s::text[])
  AND download_status = %(status)s::text AND download_status <> 'completed'
  AND (sent_at, stanza_id, chat_id, author)
    < (%(sent_at)s::timestamptz, %(stanza)s::text, %(chat)s::text, %(author)s::text)
ORDER BY sent_at DESC, stanza_id DESC, chat_id DESC, author DESC
LIMIT %(limit)s::int;
