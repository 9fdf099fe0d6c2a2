-- The statements of sync; see queries.sql. An empty chat_id stands for all chats of an archive.

-- name: current_archives
-- The current archive of each session, by name.
SELECT DISTINCT ON (session COLLATE "C") session_id AS id, session, account
FROM whatsapp_gateway.sessions
ORDER BY session COLLATE "C", last_event_at DESC, session_id DESC;

-- name: enrol_chats
-- Begins tasks for the rows that have none, and updates the activity of the rest; returns how many began.
WITH given AS (
    SELECT
        coalesce(i.phone, r.chat) AS chat_id,
        max(r.active_at) AS active_at
    FROM json_to_recordset(%(rows)s::json) AS r (chat text COLLATE "C", active_at timestamptz)
    LEFT JOIN LATERAL (
        SELECT l.phone
        FROM whatsapp_gateway.identities AS l
        WHERE l.session_id = %(session_id)s AND l.lid = r.chat AND l.rejected_at IS NULL
        ORDER BY l.confirmed_at DESC NULLS LAST, l.first_seen_at DESC, l.phone DESC
        LIMIT 1
    ) AS i ON true
    GROUP BY 1
), saved AS (
    INSERT INTO whatsapp_gateway.sync_state
        (session_id, session, chat_id, status, due_at, active_at, since, forward, backward)
    SELECT
        %(session_id)s, %(session)s, chat_id, %(status)s, %(due_at)s, active_at, %(since)s,
        %(forward)s::jsonb, %(backward)s::jsonb
    FROM given
    ORDER BY chat_id
    ON CONFLICT ON CONSTRAINT sync_state_pkey DO UPDATE
        SET active_at = greatest(sync_state.active_at, excluded.active_at)
        WHERE sync_state.active_at IS DISTINCT FROM greatest(sync_state.active_at, excluded.active_at)
    RETURNING (xmax = 0) AS is_new
)
SELECT count(*) FILTER (WHERE is_new) AS new FROM saved;

-- name: chats_without_sync
-- Chats of an archive for which no task is, the latest active ones first.
SELECT c.chat_id AS chat, c.last_message_at AS active_at
FROM whatsapp_gateway.chats AS c
WHERE c.session_id = %(session_id)s
  AND NOT EXISTS (
      SELECT FROM whatsapp_gateway.sync_state AS t
      WHERE t.session_id = c.session_id AND t.chat_id = c.chat_id
  )
ORDER BY c.last_message_at DESC NULLS LAST, c.chat_id
LIMIT %(limit)s;

-- name: claim_sync
-- Takes due tasks, sessions first, then the latest active chats, each by one caller.
WITH due AS (
    SELECT session_id, chat_id
    FROM whatsapp_gateway.sync_state
    WHERE due_at <= %(now)s
    ORDER BY (chat_id <> ''), turns, active_at DESC NULLS LAST, session_id, chat_id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE whatsapp_gateway.sync_state AS t
SET status = 'running', due_at = %(until)s, lease = %(lease)s, revision = t.revision + 1
FROM due, whatsapp_gateway.sessions AS a
WHERE (t.session_id, t.chat_id) = (due.session_id, due.chat_id) AND a.session_id = t.session_id
RETURNING
    t.session_id, t.session, a.account, t.chat_id, t.active_at, t.lease, t.revision,
    t.status, t.forward, t.backward, t.since, t.bottom, t.attempts, t.due_at, t.problem,
    t.caught_up_at, t.people_at, t.turns, t.reread_at, t.rereads;

-- name: sync_tasks
-- All tasks of an archive, in the order of their turn.
SELECT
    t.session_id, t.session, a.account, t.chat_id, t.active_at, t.lease, t.revision,
    t.status, t.forward, t.backward, t.since, t.bottom, t.attempts, t.due_at, t.problem,
    t.caught_up_at, t.people_at, t.turns, t.reread_at, t.rereads
FROM whatsapp_gateway.sync_state AS t
JOIN whatsapp_gateway.sessions AS a USING (session_id)
WHERE t.session_id = %(session_id)s
ORDER BY (t.chat_id <> ''), t.turns, t.active_at DESC NULLS LAST, t.chat_id;

-- name: save_sync
-- Writes a task's state under its lease; none is returned where the lease was lost.
UPDATE whatsapp_gateway.sync_state
SET status = %(status)s, due_at = %(due_at)s, attempts = %(attempts)s, problem = %(problem)s,
    since = %(since)s, bottom = %(bottom)s, caught_up_at = %(caught_up_at)s, people_at = %(people_at)s,
    turns = %(turns)s, reread_at = %(reread_at)s, rereads = %(rereads)s,
    forward = %(forward)s::jsonb, backward = %(backward)s::jsonb,
    lease = %(new_lease)s, revision = revision + 1
WHERE session_id = %(session_id)s AND chat_id = %(chat_id)s AND lease = %(lease)s
RETURNING chat_id;

-- name: change_sync
-- Writes a task's state whoever holds it, who thereby loses it; none is returned where it changed since it
-- was read.
UPDATE whatsapp_gateway.sync_state
SET status = %(status)s, due_at = %(due_at)s, attempts = %(attempts)s, problem = %(problem)s,
    since = %(since)s, bottom = %(bottom)s, caught_up_at = %(caught_up_at)s, people_at = %(people_at)s,
    turns = %(turns)s, reread_at = %(reread_at)s, rereads = %(rereads)s,
    forward = %(forward)s::jsonb, backward = %(backward)s::jsonb,
    lease = NULL, revision = revision + 1
WHERE session_id = %(session_id)s AND chat_id = %(chat_id)s
  AND revision = %(revision)s
RETURNING chat_id;

-- name: latest_sync
-- The latest instant at which sync of an archive is said to have done anything; work that is held, and the
-- look at all chats, is due within a time.
SELECT max(greatest(
    caught_up_at, (forward ->> 'began_at')::timestamptz, (backward ->> 'began_at')::timestamptz,
    CASE WHEN chat_id = '' OR status = 'running' THEN due_at - %(wait)s::interval END
)) AS latest
FROM whatsapp_gateway.sync_state
WHERE session_id = %(session_id)s;

-- name: take_back_coverage
-- Proves nothing of an archive any more since an instant.
UPDATE whatsapp_gateway.coverage
SET spans = spans * tstzmultirange(tstzrange(NULL, %(since)s))
WHERE session_id = %(session_id)s AND upper(spans) > %(since)s;

-- name: add_coverage
-- Adds spans to what is proven.
INSERT INTO whatsapp_gateway.coverage (session_id, chat_id, spans)
VALUES (%(session_id)s, %(chat_id)s, %(spans)s::tstzmultirange)
ON CONFLICT ON CONSTRAINT coverage_pkey DO UPDATE SET spans = coverage.spans + excluded.spans;

-- name: extend_quiet
-- Extends the coverage of chats in which nothing happened since it ended; returns how many. A span ends
-- before its end, so the instant before tells whether one reaches so far.
WITH extended AS (
    UPDATE whatsapp_gateway.coverage
    SET spans = spans + tstzmultirange(tstzrange(%(since)s, %(until)s))
    WHERE session_id = %(session_id)s AND chat_id <> '' AND chat_id <> ALL (%(active)s::text[])
      AND spans @> %(since)s::timestamptz - interval '1 microsecond'
      AND EXISTS (
          SELECT FROM whatsapp_gateway.sync_state AS t
          WHERE (t.session_id, t.chat_id) = (coverage.session_id, coverage.chat_id)
      )
    RETURNING chat_id
)
SELECT count(*) AS extended FROM extended;

-- name: put_off_sync
-- Lets the chats of an archive wait that would go on before; those that rest keep to themselves why.
WITH waiting AS (
    UPDATE whatsapp_gateway.sync_state
    SET due_at = %(until)s, problem = CASE WHEN status = 'pending' THEN %(problem)s ELSE problem END,
        revision = revision + 1
    WHERE session_id = %(session_id)s AND chat_id <> '' AND status IN ('pending', 'idle') AND due_at < %(until)s
    RETURNING chat_id
)
SELECT count(*) AS changed FROM waiting;

-- name: go_on_sync
-- Makes the pending chats due that wait for a problem which is over; returns how many.
WITH going AS (
    UPDATE whatsapp_gateway.sync_state
    SET due_at = %(now)s, problem = NULL, revision = revision + 1
    WHERE session_id = %(session_id)s AND chat_id <> '' AND status = 'pending' AND problem = %(problem)s
    RETURNING chat_id
)
SELECT count(*) AS changed FROM going;

-- name: proven_by_chat
-- What is proven of each chat by itself, spans as arrays.
SELECT
    c.chat_id,
    (
        SELECT coalesce(json_agg(json_build_array(lower(s.span), upper(s.span))), '[]')
        FROM (SELECT unnest(c.spans) AS span) AS s
    )::text AS spans
FROM whatsapp_gateway.coverage AS c
WHERE c.session_id = %(session_id)s AND c.chat_id <> ''
ORDER BY c.chat_id;

-- name: completeness
-- What bears on the completeness of a chat: proven spans as arrays, states, times up, first delivery.
SELECT
    (
        SELECT coalesce(json_agg(json_build_array(lower(s.span), upper(s.span))), '[]')
        FROM (
            SELECT unnest(range_agg(c.spans)) AS span
            FROM whatsapp_gateway.coverage AS c
            WHERE c.session_id = %(session_id)s AND c.chat_id IN ('', %(chat_id)s)
        ) AS s
    )::text AS proven,
    (
        SELECT coalesce(json_agg(json_build_array(h.at, h.status) ORDER BY h.at, h.status), '[]')
        FROM whatsapp_gateway.session_statuses AS h
        WHERE h.session = %(session)s
    )::text AS statuses,
    (
        SELECT coalesce(json_agg(json_build_array(lower(s.span), upper(s.span))), '[]')
        FROM (
            SELECT unnest(range_agg(tstzrange(u.since, u.until))) AS span
            FROM whatsapp_gateway.uptimes AS u
            WHERE u.since < u.until
        ) AS s
    )::text AS up,
    (
        SELECT e.received_at
        FROM whatsapp_gateway.event_log AS e
        WHERE e.session = %(session)s
        ORDER BY e.received_at
        LIMIT 1
    ) AS first_heard_at,
    (
        SELECT e.received_at
        FROM whatsapp_gateway.event_log AS e
        WHERE e.session = %(session)s AND e.source = 'webhook'
        ORDER BY e.received_at DESC
        LIMIT 1
    ) AS last_heard_at;

-- name: sync_task
-- One task of an archive.
SELECT
    t.session_id, t.session, a.account, t.chat_id, t.active_at, t.lease, t.revision,
    t.status, t.forward, t.backward, t.since, t.bottom, t.attempts, t.due_at, t.problem,
    t.caught_up_at, t.people_at, t.turns, t.reread_at, t.rereads
FROM whatsapp_gateway.sync_state AS t
JOIN whatsapp_gateway.sessions AS a USING (session_id)
WHERE t.session_id = %(session_id)s AND t.chat_id = %(chat_id)s;

-- name: other_digests
-- Which of the given things are unknown or have another digest.
SELECT r.about
FROM json_to_recordset(%(rows)s::json) AS r (about text COLLATE "C", digest text)
LEFT JOIN whatsapp_gateway.sync_digests AS d
    ON d.session_id = %(session_id)s AND d.kind = %(kind)s AND d.about = r.about
WHERE d.digest IS DISTINCT FROM decode(r.digest, 'hex');

-- name: save_digests
-- Remembers digests.
INSERT INTO whatsapp_gateway.sync_digests (session_id, kind, about, digest)
SELECT %(session_id)s, %(kind)s, r.about, decode(r.digest, 'hex')
FROM json_to_recordset(%(rows)s::json) AS r (about text COLLATE "C", digest text)
ORDER BY r.about
ON CONFLICT ON CONSTRAINT sync_digests_pkey DO UPDATE SET digest = excluded.digest;

-- name: other_roles
-- Whose latest role in a group is none or another than the given one; a hidden id counts as its phone.
SELECT r.member
FROM json_to_recordset(%(rows)s::json) AS r (member text COLLATE "C", role text)
LEFT JOIN LATERAL (
    SELECT l.phone
    FROM whatsapp_gateway.identities AS l
    WHERE l.session_id = %(session_id)s AND l.lid = r.member AND l.rejected_at IS NULL
    ORDER BY l.confirmed_at DESC NULLS LAST, l.first_seen_at DESC, l.phone DESC
    LIMIT 1
) AS i ON true
LEFT JOIN LATERAL (
    SELECT m.role
    FROM whatsapp_gateway.group_members AS m
    WHERE m.session_id = %(session_id)s AND m.group_id = %(group_id)s
      AND m.member_id = coalesce(i.phone, r.member)
    ORDER BY m.at DESC
    LIMIT 1
) AS known ON true
WHERE known.role IS DISTINCT FROM r.role;

-- name: beat
-- Extends a process's time up.
INSERT INTO whatsapp_gateway.uptimes (process, since, until)
VALUES (%(process)s, %(since)s, %(until)s)
ON CONFLICT ON CONSTRAINT uptimes_pkey DO UPDATE SET until = greatest(uptimes.until, excluded.until);

-- name: merge_sync
-- A hidden id turned out to be a phone: their chats are one now, complete only where both were, and read again.
WITH gone AS (
    DELETE FROM whatsapp_gateway.sync_state
    WHERE session_id = %(session_id)s AND chat_id = %(old)s
    RETURNING session_id, session, active_at, since, status
), uncovered AS (
    DELETE FROM whatsapp_gateway.coverage
    WHERE session_id = %(session_id)s AND chat_id = %(old)s
    RETURNING session_id, spans
), less AS (
    UPDATE whatsapp_gateway.coverage AS c
    SET spans = c.spans * coalesce((SELECT spans FROM uncovered), '{}'::tstzmultirange)
    FROM gone
    WHERE c.session_id = %(session_id)s AND c.chat_id = %(new)s
    RETURNING c.chat_id
)
INSERT INTO whatsapp_gateway.sync_state
    (session_id, session, chat_id, status, due_at, active_at, since, backward)
SELECT session_id, session, %(new)s, CASE WHEN status = 'paused' THEN 'paused' ELSE 'pending' END,
    CASE WHEN status <> 'paused' THEN 'epoch'::timestamptz END, active_at, since,
    json_build_object('until', since)::jsonb
FROM gone
ON CONFLICT ON CONSTRAINT sync_state_pkey DO UPDATE
SET status = CASE WHEN sync_state.status = 'paused' THEN 'paused' ELSE excluded.status END,
    due_at = CASE WHEN sync_state.status <> 'paused' THEN excluded.due_at END,
    active_at = greatest(sync_state.active_at, excluded.active_at),
    forward = NULL, backward = json_build_object('until', sync_state.since)::jsonb, lease = NULL,
    revision = sync_state.revision + 1;
