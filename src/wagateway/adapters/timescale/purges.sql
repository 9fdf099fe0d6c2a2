-- The statements of purging; see queries.sql. An empty chat_id stands for all chats of an archive.

-- name: purged_before
-- Before when messages of an archive are purged, by chat under its canonical address; an empty one is all.
SELECT coalesce(i.phone, p.chat_id) AS chat, max(p.before) AS before
FROM whatsapp_gateway.purges AS p
LEFT JOIN LATERAL (
    SELECT l.phone
    FROM whatsapp_gateway.identities AS l
    WHERE l.session_id = p.session_id AND l.lid = p.chat_id AND l.rejected_at IS NULL
    ORDER BY l.confirmed_at DESC NULLS LAST, l.first_seen_at DESC, l.phone DESC
    LIMIT 1
) AS i ON true
WHERE p.session_id = %(session_id)s::int
GROUP BY 1;

-- name: purges_of
-- What was purged of an archive, by chat as it was addressed then.
SELECT p.chat_id AS chat, max(p.before) AS before
FROM whatsapp_gateway.purges AS p
WHERE p.session_id = %(session_id)s::int
GROUP BY p.chat_id;

-- name: is_purged
-- Whether all that is known under a stanza id was purged.
SELECT coalesce(bool_and(t.facts_key IS NULL), false) AS is_purged
FROM whatsapp_gateway.message_state AS t
WHERE t.session_id = %(session_id)s::int AND t.chat_id = %(chat)s::text AND t.stanza_id = %(stanza)s::text
  AND t.sent_at IS NOT NULL;

-- name: all_archives
-- Every archive, in the order in which they began.
SELECT session_id AS archive, session, account
FROM whatsapp_gateway.sessions
ORDER BY session_id;

-- name: save_purge
-- Remembers a purge; of one target by the same, the one with the later instant counts.
INSERT INTO whatsapp_gateway.purges AS t
    (session_id, chat_id, purged_by, before, purged_at, reason, with_log)
VALUES (
    %(session_id)s, %(chat)s, %(purged_by)s, %(before)s, %(purged_at)s, %(reason)s, %(with_log)s
)
ON CONFLICT ON CONSTRAINT purges_pkey DO UPDATE
SET before = excluded.before, purged_at = excluded.purged_at, reason = excluded.reason,
    with_log = excluded.with_log,
    finished_at = CASE WHEN excluded.before > t.before OR excluded.with_log AND NOT t.with_log
        THEN NULL ELSE t.finished_at END
WHERE (excluded.before, excluded.with_log, excluded.purged_at, coalesce(excluded.reason, ''))
    > (t.before, t.with_log, t.purged_at, coalesce(t.reason, ''))
RETURNING before;

-- name: finish_purge
-- Remembers that nothing is left to do of a purge, unless it was made later again.
UPDATE whatsapp_gateway.purges
SET finished_at = now()
WHERE session_id = %(session_id)s AND chat_id = %(chat)s AND purged_by = %(purged_by)s
  AND before <= %(before)s AND finished_at IS NULL;

-- name: unfinished_purges
-- Purges of which something may be left to do, with the chat's present address.
SELECT p.session_id AS archive, a.session, a.account, coalesce(i.phone, p.chat_id) AS now_chat,
    p.chat_id AS chat, p.before, p.purged_at, p.purged_by, p.reason, p.with_log
FROM whatsapp_gateway.purges AS p
JOIN whatsapp_gateway.sessions AS a USING (session_id)
LEFT JOIN LATERAL (
    SELECT l.phone
    FROM whatsapp_gateway.identities AS l
    WHERE l.session_id = p.session_id AND l.lid = p.chat_id AND l.rejected_at IS NULL
    ORDER BY l.confirmed_at DESC NULLS LAST, l.first_seen_at DESC, l.phone DESC
    LIMIT 1
) AS i ON true
WHERE p.finished_at IS NULL
ORDER BY p.purged_at, p.session_id, p.chat_id, p.purged_by;

-- name: messages_to_purge
-- Some messages of a chat, or of all, that were sent before an instant: their rows of the ledger. Each chat
-- is looked up in the index by itself; OFFSET 0 keeps it so.
SELECT s.*
FROM whatsapp_gateway.chats AS c
CROSS JOIN LATERAL (
    SELECT m.session_id, m.chat_id, m.stanza_id, m.author
    FROM whatsapp_gateway.messages AS m
    WHERE m.session_id = c.session_id AND m.chat_id = c.chat_id AND m.sent_at < %(before)s::timestamptz
    ORDER BY m.sent_at
    LIMIT %(limit)s::int
) AS m
CROSS JOIN LATERAL (
    SELECT t.chat_id AS chat, t.stanza_id AS stanza, t.author, t.facts_key, t.sent_at, t.ack, t.text,
        t.edited_at, t.said, t.lids, t.by_phone, t.media_offer AS offer
    FROM whatsapp_gateway.message_state AS t
    WHERE (t.session_id, t.chat_id, t.stanza_id, t.author) = (m.session_id, m.chat_id, m.stanza_id, m.author)
    OFFSET 0
) AS s
WHERE c.session_id = %(session_id)s::int AND (%(chat)s::text IS NULL OR c.chat_id = %(chat)s::text)
LIMIT %(limit)s::int;

-- name: count_purge
-- How much there is to purge, by kind. What is about a message that stays, by its author or, where that does
-- not tell, by its stanza id, stays too; see Ledger.
WITH old AS MATERIALIZED (
    SELECT m.chat_id, m.stanza_id, m.author
    FROM whatsapp_gateway.messages AS m
    WHERE m.session_id = %(session_id)s::int AND m.sent_at < %(before)s::timestamptz
      AND (%(chat)s::text IS NULL OR m.chat_id = %(chat)s::text)
), touched AS MATERIALIZED (
    SELECT DISTINCT o.chat_id, o.stanza_id FROM old AS o
), gone AS MATERIALIZED (
    SELECT o.chat_id, o.stanza_id
    FROM touched AS o
    WHERE NOT EXISTS (
        SELECT FROM whatsapp_gateway.message_state AS t
        WHERE t.session_id = %(session_id)s::int AND t.chat_id = o.chat_id AND t.stanza_id = o.stanza_id
          AND t.sent_at >= %(before)s::timestamptz AND t.facts_key IS NOT NULL
    )
)
SELECT
    (SELECT count(*) FROM old) AS messages,
    (
        SELECT count(*) FROM touched JOIN whatsapp_gateway.message_edits AS t USING (chat_id, stanza_id)
        CROSS JOIN LATERAL (
            SELECT coalesce(
                bool_and(k.facts_key IS NULL OR k.sent_at < %(before)s::timestamptz) FILTER (WHERE t.author = k.author OR t.author = ANY (k.lids)),
                bool_and(k.facts_key IS NULL OR k.sent_at < %(before)s::timestamptz)
            ) AS goes
            FROM whatsapp_gateway.message_state AS k
            WHERE k.session_id = t.session_id AND k.chat_id = t.chat_id AND k.stanza_id = t.stanza_id
              AND k.sent_at IS NOT NULL
        ) AS k
        WHERE t.session_id = %(session_id)s::int AND k.goes
    ) AS edits,
    (
        SELECT count(*) FROM touched JOIN whatsapp_gateway.message_revocations AS t USING (chat_id, stanza_id)
        CROSS JOIN LATERAL (
            SELECT coalesce(
                bool_and(k.facts_key IS NULL OR k.sent_at < %(before)s::timestamptz) FILTER (WHERE t.author IN ('', k.author)),
                bool_and(k.facts_key IS NULL OR k.sent_at < %(before)s::timestamptz)
            ) AS goes
            FROM whatsapp_gateway.message_state AS k
            WHERE k.session_id = t.session_id AND k.chat_id = t.chat_id AND k.stanza_id = t.stanza_id
              AND k.sent_at IS NOT NULL
        ) AS k
        WHERE t.session_id = %(session_id)s::int AND k.goes
    ) AS revocations,
    (
        SELECT count(*) FROM gone JOIN whatsapp_gateway.reactions AS t USING (chat_id, stanza_id)
        WHERE t.session_id = %(session_id)s::int
    ) AS reactions,
    (
        SELECT count(*) FROM gone JOIN whatsapp_gateway.receipts AS t USING (chat_id, stanza_id)
        WHERE t.session_id = %(session_id)s::int
    ) AS receipts,
    (
        SELECT count(*) FROM gone JOIN whatsapp_gateway.poll_votes AS t USING (chat_id, stanza_id)
        WHERE t.session_id = %(session_id)s::int
    ) AS votes,
    (
        SELECT count(*) FROM gone JOIN whatsapp_gateway.event_answers AS t USING (chat_id, stanza_id)
        WHERE t.session_id = %(session_id)s::int
    ) AS answers,
    (
        SELECT count(*) FROM old JOIN whatsapp_gateway.media_downloads AS t USING (chat_id, stanza_id, author)
        WHERE t.session_id = %(session_id)s::int
    ) AS files;

-- name: count_log
-- How many rows of the log of a session were received before an instant.
SELECT count(*) AS log_rows
FROM whatsapp_gateway.event_log
WHERE session = %(session)s AND received_at < %(before)s;

-- name: purge_log
-- Removes some rows of the log of a session, or of all, that were received before an instant, the oldest
-- first; returns how many. Sessions are found by skipping through the index, those without an archive too.
WITH RECURSIVE names AS (
    (SELECT e.session FROM whatsapp_gateway.event_log AS e ORDER BY e.session LIMIT 1)
    UNION ALL
    SELECT (
        SELECT e.session FROM whatsapp_gateway.event_log AS e
        WHERE e.session > n.session ORDER BY e.session LIMIT 1
    )
    FROM names AS n
    WHERE n.session IS NOT NULL
), old AS MATERIALIZED (
    SELECT e.event_id, e.received_at
    FROM (
        SELECT %(session)s::text AS session WHERE %(session)s::text IS NOT NULL
        UNION ALL
        SELECT n.session FROM names AS n WHERE %(session)s::text IS NULL AND n.session IS NOT NULL
    ) AS n
    CROSS JOIN LATERAL (
        SELECT e.event_id, e.received_at
        FROM whatsapp_gateway.event_log AS e
        WHERE e.session = n.session AND e.received_at < %(before)s::timestamptz
        ORDER BY e.received_at
        LIMIT %(limit)s::int
    ) AS e
    LIMIT %(limit)s::int
), gone AS (
    DELETE FROM whatsapp_gateway.event_log AS t
    USING old
    WHERE t.event_id = old.event_id AND t.received_at = old.received_at
      AND t.received_at < %(before)s::timestamptz
    RETURNING t.event_id
)
SELECT count(*) AS log_rows FROM gone;

-- name: remove_events
-- Rows of the log that tell of nothing but what was purged.
DELETE FROM whatsapp_gateway.event_log AS t
USING json_to_recordset(%(rows)s::json) AS r (event_id bigint)
WHERE t.event_id = r.event_id;

-- name: edits_of_stanzas
-- All rows of message_edits about the given stanza ids.
SELECT r.*
FROM json_to_recordset(%(rows)s::json) AS k (chat text, stanza text)
CROSS JOIN LATERAL (
    SELECT t.chat_id AS chat, t.stanza_id AS stanza, t.author, t.edit_id, t.edited_at, t.text
    FROM whatsapp_gateway.message_edits AS t
    WHERE t.session_id = %(session_id)s::int AND t.chat_id = k.chat AND t.stanza_id = k.stanza
    OFFSET 0
) AS r;

-- name: revocations_of_stanzas
-- All rows of message_revocations about the given stanza ids.
SELECT r.*
FROM json_to_recordset(%(rows)s::json) AS k (chat text, stanza text)
CROSS JOIN LATERAL (
    SELECT t.chat_id AS chat, t.stanza_id AS stanza, t.author, t.revoked_at, t.revoked_by
    FROM whatsapp_gateway.message_revocations AS t
    WHERE t.session_id = %(session_id)s::int AND t.chat_id = k.chat AND t.stanza_id = k.stanza
    OFFSET 0
) AS r;

-- name: reactions_of_stanzas
-- All rows of reactions about the given stanza ids.
SELECT r.*
FROM json_to_recordset(%(rows)s::json) AS k (chat text, stanza text)
CROSS JOIN LATERAL (
    SELECT t.chat_id AS chat, t.stanza_id AS stanza, t.author, t.emoji, t.at, t.seen_at, t.seen_as
    FROM whatsapp_gateway.reactions AS t
    WHERE t.session_id = %(session_id)s::int AND t.chat_id = k.chat AND t.stanza_id = k.stanza
    OFFSET 0
) AS r;

-- name: receipts_of_stanzas
-- All rows of receipts about the given stanza ids.
SELECT r.*
FROM json_to_recordset(%(rows)s::json) AS k (chat text, stanza text)
CROSS JOIN LATERAL (
    SELECT t.chat_id AS chat, t.stanza_id AS stanza, t.author, t.ack, t.delivered_at, t.read_at, t.played_at,
        t.seen_as
    FROM whatsapp_gateway.receipts AS t
    WHERE t.session_id = %(session_id)s::int AND t.chat_id = k.chat AND t.stanza_id = k.stanza
    OFFSET 0
) AS r;

-- name: votes_of_stanzas
-- All rows of poll_votes about the given stanza ids.
SELECT r.*
FROM json_to_recordset(%(rows)s::json) AS k (chat text, stanza text)
CROSS JOIN LATERAL (
    SELECT t.chat_id AS chat, t.stanza_id AS stanza, t.author, t.options, t.at, t.seen_at, t.seen_as
    FROM whatsapp_gateway.poll_votes AS t
    WHERE t.session_id = %(session_id)s::int AND t.chat_id = k.chat AND t.stanza_id = k.stanza
    OFFSET 0
) AS r;

-- name: answers_of_stanzas
-- All rows of event_answers about the given stanza ids.
SELECT r.*
FROM json_to_recordset(%(rows)s::json) AS k (chat text, stanza text)
CROSS JOIN LATERAL (
    SELECT t.chat_id AS chat, t.stanza_id AS stanza, t.author, t.response, t.extra_guests, t.at, t.seen_at,
        t.seen_as
    FROM whatsapp_gateway.event_answers AS t
    WHERE t.session_id = %(session_id)s::int AND t.chat_id = k.chat AND t.stanza_id = k.stanza
    OFFSET 0
) AS r;

-- name: claim_upkeep
-- Takes the upkeep where it is due; none is returned where it is not.
INSERT INTO whatsapp_gateway.upkeep AS t (task, due_at)
VALUES ('purge', %(until)s)
ON CONFLICT ON CONSTRAINT upkeep_pkey DO UPDATE SET due_at = excluded.due_at WHERE t.due_at <= %(now)s
RETURNING task;

-- name: put_off_upkeep
-- Lets the upkeep be due at another time.
UPDATE whatsapp_gateway.upkeep SET due_at = %(until)s WHERE task = 'purge';
