-- The statements of the PostgreSQL adapter. Each has a name, a line on what it returns and why so,
-- and named values. Records are merged in Python under the session's lock, so saving one is an upsert
-- of its final state. Those that take %(rows)s may also be sent together, see _queries.py; what loads
-- records returns them in JSON's words for that.
--
-- A load looks up each key by itself: OFFSET 0 keeps the planner from reading all of an archive instead,
-- which it finds cheaper as long as it knows a table as small.

-- name: begin_writing
-- Serialises writers of the same sessions until the transaction ends; keys come sorted, so that two
-- processes never wait for each other in a circle. Nobody waits for ever, neither for the lock nor
-- for a statement, and the commit is on disk when it returns, whatever the server's default is. What
-- is read as JSON has its times in UTC. A message that moves may lie in a compressed chunk of TimescaleDB,
-- which refuses to unpack more than 100,000 rows in a transaction unless told otherwise.
WITH limits AS MATERIALIZED (
    SELECT
        set_config('lock_timeout', '5s', true),
        set_config('statement_timeout', '120s', true),
        set_config('TimeZone', 'UTC', true),
        set_config(
            'synchronous_commit',
            CASE WHEN current_setting('synchronous_commit') IN ('off', 'local') THEN 'on'
                ELSE current_setting('synchronous_commit') END,
            true
        ),
        CASE WHEN current_setting('timescaledb.max_tuples_decompressed_per_dml_transaction', true) IS NOT NULL
            THEN set_config('timescaledb.max_tuples_decompressed_per_dml_transaction', '0', true) END
)
SELECT pg_advisory_xact_lock(%(space)s::int, k.key)
FROM limits, unnest(%(keys)s::int[]) AS k (key);

-- name: session_entries
-- The archives of the named sessions.
SELECT session_id AS id, session, account, last_event_at, account_lid, push_name, engine
FROM whatsapp_gateway.sessions
WHERE session = ANY (%(sessions)s::text[]);

-- name: session_names
-- The first sessions by name, to be named where another one was asked for.
SELECT DISTINCT session COLLATE "C" AS session
FROM whatsapp_gateway.sessions
ORDER BY session COLLATE "C"
LIMIT %(limit)s::int;

-- name: add_session
-- A new archive; returns its id.
INSERT INTO whatsapp_gateway.sessions (session, account, account_lid, push_name, engine, last_event_at)
VALUES (%(session)s, %(account)s, %(account_lid)s, %(push_name)s, %(engine)s, %(last_event_at)s)
RETURNING session_id AS id;

-- name: touch_sessions
-- What the latest deliveries say of archives and their accounts.
UPDATE whatsapp_gateway.sessions AS t
SET account = r.account, account_lid = r.account_lid, push_name = r.push_name, engine = r.engine,
    last_event_at = r.last_event_at
FROM json_to_recordset(%(rows)s::json)
    AS r (id int, account text, account_lid text, push_name text, engine text, last_event_at timestamptz)
WHERE t.session_id = r.id;

-- name: known_before
-- What a batch of the named sessions begins with, as JSON: their archives, the links of the given LIDs and
-- of those that were purged, rejected ones too, what was purged, and which of the given states are known.
SELECT
    (
        SELECT json_agg(e) FROM (
            SELECT session_id AS id, session, account, last_event_at, account_lid, push_name, engine
            FROM whatsapp_gateway.sessions
            WHERE session IN (SELECT json_array_elements_text(%(sessions)s::json))
        ) AS e
    )::text AS entries,
    (
        SELECT json_agg(l) FROM (
            SELECT i.*
            FROM whatsapp_gateway.sessions AS s
            CROSS JOIN LATERAL (
                SELECT json_array_elements_text(%(lids)s::json)
                UNION
                SELECT p.chat_id FROM whatsapp_gateway.purges AS p
                WHERE p.session_id = s.session_id AND p.chat_id LIKE '%%@lid'
            ) AS k (lid)
            CROSS JOIN LATERAL (
                SELECT i.session_id, i.lid, i.phone, i.evidence, i.first_seen_at, i.confirmed_at, i.rejected_at
                FROM whatsapp_gateway.identities AS i
                WHERE i.session_id = s.session_id AND i.lid = k.lid
                OFFSET 0
            ) AS i
            WHERE s.session IN (SELECT json_array_elements_text(%(sessions)s::json))
        ) AS l
    )::text AS links,
    (
        SELECT json_agg(p) FROM (
            SELECT p.session_id, p.chat_id AS chat, max(p.before) AS before
            FROM whatsapp_gateway.sessions AS s
            JOIN whatsapp_gateway.purges AS p USING (session_id)
            WHERE s.session IN (SELECT json_array_elements_text(%(sessions)s::json))
            GROUP BY p.session_id, p.chat_id
        ) AS p
    )::text AS purges,
    (
        SELECT json_agg(t) FROM (
            SELECT t.session, t.at, t.status
            FROM json_to_recordset(%(statuses)s::json) AS r (session text, at timestamptz, status text)
            CROSS JOIN LATERAL (
                SELECT t.session, t.at, t.status
                FROM whatsapp_gateway.session_statuses AS t
                WHERE t.session = r.session AND t.at = r.at AND t.status = r.status
                OFFSET 0
            ) AS t
        ) AS t
    )::text AS statuses;

-- name: save_statuses
-- States of sessions; the same state twice is one.
INSERT INTO whatsapp_gateway.session_statuses (session, at, status)
SELECT r.session, r.at, r.status
FROM json_to_recordset(%(rows)s::json) AS r (session text, at timestamptz, status text)
ON CONFLICT ON CONSTRAINT session_statuses_pkey DO NOTHING;

-- name: links_of_lids
-- All links of the given LIDs, rejected ones too.
SELECT lid, phone, evidence, first_seen_at, confirmed_at, rejected_at
FROM whatsapp_gateway.identities
WHERE session_id = %(session_id)s::int AND lid = ANY (%(lids)s::text[]);

-- name: all_links
-- All links of an archive.
SELECT lid, phone, evidence, first_seen_at, confirmed_at, rejected_at
FROM whatsapp_gateway.identities
WHERE session_id = %(session_id)s::int
ORDER BY lid, phone;

-- name: links_of_phones
-- The LIDs that may stand for the given phones.
SELECT lid, phone, evidence, first_seen_at, confirmed_at, rejected_at
FROM whatsapp_gateway.identities
WHERE session_id = %(session_id)s::int
  AND lid IN (
      SELECT i.lid FROM whatsapp_gateway.identities AS i
      WHERE i.session_id = %(session_id)s::int AND i.phone = ANY (%(phones)s::text[])
  );

-- name: save_links
-- Links in their final state.
INSERT INTO whatsapp_gateway.identities
    (session_id, lid, phone, evidence, first_seen_at, confirmed_at, rejected_at)
SELECT %(session_id)s::int, r.*
FROM json_to_recordset(%(rows)s::json) AS r (
    lid text, phone text, evidence text, first_seen_at timestamptz, confirmed_at timestamptz,
    rejected_at timestamptz
)
ON CONFLICT ON CONSTRAINT identities_pkey DO UPDATE
SET evidence = excluded.evidence,
    first_seen_at = excluded.first_seen_at,
    confirmed_at = excluded.confirmed_at,
    rejected_at = excluded.rejected_at;

-- name: load_messages
-- The ledger's rows of the given stanza ids, whoever their author is: siblings decide about twins.
SELECT r.*
FROM json_to_recordset(%(rows)s::json) AS k (chat text, stanza text)
CROSS JOIN LATERAL (
    SELECT t.chat_id AS chat, t.stanza_id AS stanza, t.author, encode(t.facts_key, 'base64') AS facts_key,
        t.sent_at, t.ack, t.text, t.edited_at, coalesce(t.said, '{}') AS said, coalesce(t.lids, '{}') AS lids,
        t.by_phone, t.media_offer AS offer
    FROM whatsapp_gateway.message_state AS t
    WHERE t.session_id = %(session_id)s::int AND t.chat_id = k.chat AND t.stanza_id = k.stanza
    OFFSET 0
) AS r;

-- name: copy_messages
-- New rows of the ledger.
COPY whatsapp_gateway.message_state (
    session_id, chat_id, stanza_id, author, sent_at, facts_key, ack, text, edited_at, said, lids, by_phone,
    media_offer
) FROM STDIN (FORMAT BINARY);

-- name: save_messages
-- Rows of the ledger in their final state.
INSERT INTO whatsapp_gateway.message_state (
    session_id, chat_id, stanza_id, author, sent_at, facts_key, ack, text, edited_at, said, lids, by_phone,
    media_offer
)
SELECT %(session_id)s::int, r.*
FROM json_to_recordset(%(rows)s::json) AS r (
    chat text, stanza text, author text, sent_at timestamptz, facts_key bytea, ack whatsapp_gateway.ack,
    text text, edited_at timestamptz, said text[], lids text[], by_phone boolean, offer jsonb
)
ON CONFLICT ON CONSTRAINT message_state_pkey DO UPDATE
SET sent_at = excluded.sent_at,
    facts_key = excluded.facts_key,
    ack = excluded.ack,
    text = excluded.text,
    edited_at = excluded.edited_at,
    said = excluded.said,
    lids = excluded.lids,
    by_phone = excluded.by_phone,
    media_offer = excluded.media_offer;

-- name: remove_messages
-- Rows of the ledger.
DELETE FROM whatsapp_gateway.message_state AS t
USING json_to_recordset(%(rows)s::json) AS r (chat text, stanza text, author text)
WHERE t.session_id = %(session_id)s::int
  AND t.chat_id = r.chat AND t.stanza_id = r.stanza AND t.author = r.author;

-- name: copy_facts
-- The facts of new messages.
COPY whatsapp_gateway.messages (
    session_id, session, chat_id, stanza_id, author, sent_at, waha_id, sender_id, sender_name, from_me, kind,
    subtype, completeness, text, reply_to, mentions, forwarded, forwarding_score, view_once, link_preview,
    location, contacts, poll, event, media, source
) FROM STDIN (FORMAT BINARY);

-- name: add_facts
-- The facts of new messages, for groups too small for a COPY.
INSERT INTO whatsapp_gateway.messages (
    session_id, session, chat_id, stanza_id, author, sent_at, waha_id, sender_id, sender_name, from_me,
    kind, subtype, completeness, text, reply_to, mentions, forwarded, forwarding_score, view_once,
    link_preview, location, contacts, poll, event, media, source
)
SELECT %(session_id)s::int, %(session)s::text, r.*
FROM json_to_recordset(%(rows)s::json) AS r (
    chat_id text, stanza_id text, author text, sent_at timestamptz, waha_id text, sender_id text,
    sender_name text, from_me boolean, kind text, subtype text, completeness text, text text,
    reply_to jsonb, mentions text[], forwarded boolean, forwarding_score int, view_once boolean,
    link_preview jsonb, location jsonb, contacts jsonb, poll jsonb, event jsonb, media jsonb, source text
);

-- name: remove_facts
-- Messages' facts, because better ones replace them. The chats and times that the rows name are told apart
-- too: only by constants does TimescaleDB know which chunks, and which batches of compressed ones, it need
-- not touch.
DELETE FROM whatsapp_gateway.messages AS t
USING json_to_recordset(%(rows)s::json) AS r (chat text, stanza text, author text, sent_at timestamptz)
WHERE t.session_id = %(session_id)s::int AND t.chat_id = r.chat AND t.stanza_id = r.stanza
  AND t.author = r.author AND t.sent_at = r.sent_at
  AND t.chat_id = ANY (%(chats)s::text[])
  AND t.sent_at >= %(first)s::timestamptz AND t.sent_at <= %(last)s::timestamptz;

-- name: move_facts
-- Messages' facts to their new addresses; chats and times as in remove_facts.
UPDATE whatsapp_gateway.messages AS t
SET chat_id = r.new_chat, author = r.new_author
FROM json_to_recordset(%(rows)s::json)
    AS r (chat text, stanza text, author text, sent_at timestamptz, new_chat text, new_author text)
WHERE t.session_id = %(session_id)s::int AND t.chat_id = r.chat AND t.stanza_id = r.stanza
  AND t.author = r.author AND t.sent_at = r.sent_at
  AND t.chat_id = ANY (%(chats)s::text[])
  AND t.sent_at >= %(first)s::timestamptz AND t.sent_at <= %(last)s::timestamptz;

-- name: save_words
-- Search vectors of current texts. Very long texts are searchable by their first 50,000 characters.
INSERT INTO whatsapp_gateway.message_search (session_id, chat_id, stanza_id, author, words)
SELECT %(session_id)s::int, r.chat, r.stanza, r.author,
    to_tsvector('whatsapp_gateway.message_text', left(r.text, 50000))
FROM json_to_recordset(%(rows)s::json) AS r (chat text, stanza text, author text, text text)
ON CONFLICT ON CONSTRAINT message_search_pkey DO UPDATE
SET words = excluded.words;

-- name: remove_words
-- Messages' search vectors.
DELETE FROM whatsapp_gateway.message_search AS t
USING json_to_recordset(%(rows)s::json) AS r (chat text, stanza text, author text)
WHERE t.session_id = %(session_id)s::int
  AND t.chat_id = r.chat AND t.stanza_id = r.stanza AND t.author = r.author;

-- name: move_words
-- Messages' search vectors to their new addresses.
UPDATE whatsapp_gateway.message_search AS t
SET chat_id = r.new_chat, author = r.new_author
FROM json_to_recordset(%(rows)s::json)
    AS r (chat text, stanza text, author text, new_chat text, new_author text)
WHERE t.session_id = %(session_id)s::int
  AND t.chat_id = r.chat AND t.stanza_id = r.stanza AND t.author = r.author;

-- name: messages_at_lid
-- A handful of ledger rows that still stand at a LID, as chat or as author.
SELECT chat_id AS chat, stanza_id AS stanza, author, facts_key, sent_at, ack, text, edited_at, said, lids, by_phone,
    media_offer AS offer
FROM whatsapp_gateway.message_state
WHERE session_id = %(session_id)s::int
  AND (chat_id = %(lid)s::text OR (author = %(lid)s::text AND author LIKE '%%@lid'))
LIMIT %(limit)s::int;

-- name: messages_seen_by_lid
-- The ledger rows at a phone that were seen under a LID, as chat or as author.
SELECT chat_id AS chat, stanza_id AS stanza, author, facts_key, sent_at, ack, text, edited_at, said, lids, by_phone,
    media_offer AS offer
FROM whatsapp_gateway.message_state
WHERE session_id = %(session_id)s::int
  AND (chat_id = %(phone)s::text OR (author = %(phone)s::text AND author LIKE '%%@%%'))
  AND lids @> ARRAY[%(lid)s::text] AND NOT by_phone;

-- name: refresh_activity
-- The latest message of a chat, after messages moved.
UPDATE whatsapp_gateway.chats AS c
SET last_message_at = (
    SELECT max(m.sent_at) FROM whatsapp_gateway.messages AS m
    WHERE m.session_id = c.session_id AND m.chat_id = c.chat_id
)
WHERE c.session_id = %(session_id)s::int AND c.chat_id = ANY (%(chats)s::text[]);

-- name: load_edits
-- The rows of message_edits with the given keys.
SELECT r.*
FROM json_to_recordset(%(rows)s::json) AS k (chat text, stanza text, author text, edit_id text)
CROSS JOIN LATERAL (
    SELECT t.chat_id AS chat, t.stanza_id AS stanza, t.author, t.edit_id, t.edited_at, t.text
    FROM whatsapp_gateway.message_edits AS t
    WHERE t.session_id = %(session_id)s::int AND t.chat_id = k.chat AND t.stanza_id = k.stanza AND t.author = k.author AND t.edit_id = k.edit_id
    OFFSET 0
) AS r;

-- name: save_edits
-- Rows of message_edits in their final state.
INSERT INTO whatsapp_gateway.message_edits (
    session_id, chat_id, stanza_id, author, edit_id, edited_at, text
)
SELECT %(session_id)s::int, r.*
FROM json_to_recordset(%(rows)s::json) AS r (
    chat text, stanza text, author text, edit_id text, edited_at timestamptz, text text
)
ON CONFLICT ON CONSTRAINT message_edits_pkey DO UPDATE
SET edited_at = excluded.edited_at,
    text = excluded.text;

-- name: remove_edits
-- Rows of message_edits.
DELETE FROM whatsapp_gateway.message_edits AS t
USING json_to_recordset(%(rows)s::json) AS r (chat text, stanza text, author text, edit_id text)
WHERE t.session_id = %(session_id)s::int
  AND t.chat_id = r.chat AND t.stanza_id = r.stanza AND t.author = r.author AND t.edit_id = r.edit_id;

-- name: edits_at_lid
-- A handful of rows of message_edits that still stand at a LID.
SELECT chat_id AS chat, stanza_id AS stanza, author, edit_id, edited_at, text
FROM whatsapp_gateway.message_edits
WHERE session_id = %(session_id)s::int
  AND (chat_id = %(lid)s::text OR (author = %(lid)s::text AND author LIKE '%%@lid'))
LIMIT %(limit)s::int;

-- name: edits_seen_by_lid
-- The versions of messages at a phone, or by it, that a LID may have stood for.
SELECT chat_id AS chat, stanza_id AS stanza, author, edit_id, edited_at, text
FROM whatsapp_gateway.message_edits
WHERE session_id = %(session_id)s::int
  AND stanza_id = ANY (%(stanzas)s::text[])
  AND (chat_id = %(phone)s::text OR author = %(phone)s::text);

-- name: load_revocations
-- The rows of message_revocations with the given keys.
SELECT r.*
FROM json_to_recordset(%(rows)s::json) AS k (chat text, stanza text, author text)
CROSS JOIN LATERAL (
    SELECT t.chat_id AS chat, t.stanza_id AS stanza, t.author, t.revoked_at, t.revoked_by
    FROM whatsapp_gateway.message_revocations AS t
    WHERE t.session_id = %(session_id)s::int AND t.chat_id = k.chat AND t.stanza_id = k.stanza AND t.author = k.author
    OFFSET 0
) AS r;

-- name: save_revocations
-- Rows of message_revocations in their final state.
INSERT INTO whatsapp_gateway.message_revocations (
    session_id, chat_id, stanza_id, author, revoked_at, revoked_by
)
SELECT %(session_id)s::int, r.*
FROM json_to_recordset(%(rows)s::json) AS r (
    chat text, stanza text, author text, revoked_at timestamptz, revoked_by text
)
ON CONFLICT ON CONSTRAINT message_revocations_pkey DO UPDATE
SET revoked_at = excluded.revoked_at,
    revoked_by = excluded.revoked_by;

-- name: remove_revocations
-- Rows of message_revocations.
DELETE FROM whatsapp_gateway.message_revocations AS t
USING json_to_recordset(%(rows)s::json) AS r (chat text, stanza text, author text)
WHERE t.session_id = %(session_id)s::int
  AND t.chat_id = r.chat AND t.stanza_id = r.stanza AND t.author = r.author;

-- name: revocations_at_lid
-- A handful of rows of message_revocations that still stand at a LID.
SELECT chat_id AS chat, stanza_id AS stanza, author, revoked_at, revoked_by
FROM whatsapp_gateway.message_revocations
WHERE session_id = %(session_id)s::int
  AND chat_id = %(lid)s::text
LIMIT %(limit)s::int;

-- name: revocations_seen_by_lid
-- The rows of message_revocations at a phone that a LID stood for.
SELECT chat_id AS chat, stanza_id AS stanza, author, revoked_at, revoked_by
FROM whatsapp_gateway.message_revocations
WHERE session_id = %(session_id)s::int
  AND (
      (chat_id = %(phone)s::text AND stanza_id = ANY (%(stanzas)s::text[]))
  );

-- name: load_reactions
-- The rows of reactions with the given keys.
SELECT r.*
FROM json_to_recordset(%(rows)s::json) AS k (chat text, stanza text, author text)
CROSS JOIN LATERAL (
    SELECT t.chat_id AS chat, t.stanza_id AS stanza, t.author, t.emoji, t.at, t.seen_at, t.seen_as
    FROM whatsapp_gateway.reactions AS t
    WHERE t.session_id = %(session_id)s::int AND t.chat_id = k.chat AND t.stanza_id = k.stanza AND t.author = k.author
    OFFSET 0
) AS r;

-- name: save_reactions
-- Rows of reactions in their final state.
INSERT INTO whatsapp_gateway.reactions (
    session_id, chat_id, stanza_id, author, emoji, at, seen_at, seen_as
)
SELECT %(session_id)s::int, r.*
FROM json_to_recordset(%(rows)s::json) AS r (
    chat text, stanza text, author text, emoji text, at timestamptz, seen_at timestamptz, seen_as text
)
ON CONFLICT ON CONSTRAINT reactions_pkey DO UPDATE
SET emoji = excluded.emoji,
    at = excluded.at,
    seen_at = excluded.seen_at,
    seen_as = excluded.seen_as;

-- name: remove_reactions
-- Rows of reactions.
DELETE FROM whatsapp_gateway.reactions AS t
USING json_to_recordset(%(rows)s::json) AS r (chat text, stanza text, author text)
WHERE t.session_id = %(session_id)s::int
  AND t.chat_id = r.chat AND t.stanza_id = r.stanza AND t.author = r.author;

-- name: reactions_at_lid
-- A handful of rows of reactions that still stand at a LID.
SELECT chat_id AS chat, stanza_id AS stanza, author, emoji, at, seen_at, seen_as
FROM whatsapp_gateway.reactions
WHERE session_id = %(session_id)s::int
  AND (chat_id = %(lid)s::text OR (author = %(lid)s::text AND author LIKE '%%@lid'))
LIMIT %(limit)s::int;

-- name: reactions_seen_by_lid
-- The rows of reactions at a phone that a LID stood for.
SELECT chat_id AS chat, stanza_id AS stanza, author, emoji, at, seen_at, seen_as
FROM whatsapp_gateway.reactions
WHERE session_id = %(session_id)s::int
  AND (
      (chat_id = %(phone)s::text AND stanza_id = ANY (%(stanzas)s::text[]))
      OR (author = %(phone)s::text AND seen_as = %(lid)s::text)
  );

-- name: load_receipts
-- The rows of receipts with the given keys.
SELECT r.*
FROM json_to_recordset(%(rows)s::json) AS k (chat text, stanza text, author text)
CROSS JOIN LATERAL (
    SELECT t.chat_id AS chat, t.stanza_id AS stanza, t.author, t.ack, t.delivered_at, t.read_at, t.played_at, t.seen_as
    FROM whatsapp_gateway.receipts AS t
    WHERE t.session_id = %(session_id)s::int AND t.chat_id = k.chat AND t.stanza_id = k.stanza AND t.author = k.author
    OFFSET 0
) AS r;

-- name: save_receipts
-- Rows of receipts in their final state.
INSERT INTO whatsapp_gateway.receipts (
    session_id, chat_id, stanza_id, author, ack, delivered_at, read_at, played_at, seen_as
)
SELECT %(session_id)s::int, r.*
FROM json_to_recordset(%(rows)s::json) AS r (
    chat text, stanza text, author text, ack whatsapp_gateway.ack, delivered_at timestamptz,
    read_at timestamptz, played_at timestamptz, seen_as text
)
ON CONFLICT ON CONSTRAINT receipts_pkey DO UPDATE
SET ack = excluded.ack,
    delivered_at = excluded.delivered_at,
    read_at = excluded.read_at,
    played_at = excluded.played_at,
    seen_as = excluded.seen_as;

-- name: remove_receipts
-- Rows of receipts.
DELETE FROM whatsapp_gateway.receipts AS t
USING json_to_recordset(%(rows)s::json) AS r (chat text, stanza text, author text)
WHERE t.session_id = %(session_id)s::int
  AND t.chat_id = r.chat AND t.stanza_id = r.stanza AND t.author = r.author;

-- name: receipts_at_lid
-- A handful of rows of receipts that still stand at a LID.
SELECT chat_id AS chat, stanza_id AS stanza, author, ack, delivered_at, read_at, played_at, seen_as
FROM whatsapp_gateway.receipts
WHERE session_id = %(session_id)s::int
  AND (chat_id = %(lid)s::text OR (author = %(lid)s::text AND author LIKE '%%@lid'))
LIMIT %(limit)s::int;

-- name: receipts_seen_by_lid
-- The rows of receipts at a phone that a LID stood for.
SELECT chat_id AS chat, stanza_id AS stanza, author, ack, delivered_at, read_at, played_at, seen_as
FROM whatsapp_gateway.receipts
WHERE session_id = %(session_id)s::int
  AND (
      (chat_id = %(phone)s::text AND stanza_id = ANY (%(stanzas)s::text[]))
      OR (author = %(phone)s::text AND seen_as = %(lid)s::text)
  );

-- name: load_votes
-- The rows of poll_votes with the given keys.
SELECT r.*
FROM json_to_recordset(%(rows)s::json) AS k (chat text, stanza text, author text)
CROSS JOIN LATERAL (
    SELECT t.chat_id AS chat, t.stanza_id AS stanza, t.author, t.options, t.at, t.seen_at, t.seen_as
    FROM whatsapp_gateway.poll_votes AS t
    WHERE t.session_id = %(session_id)s::int AND t.chat_id = k.chat AND t.stanza_id = k.stanza AND t.author = k.author
    OFFSET 0
) AS r;

-- name: save_votes
-- Rows of poll_votes in their final state.
INSERT INTO whatsapp_gateway.poll_votes (
    session_id, chat_id, stanza_id, author, options, at, seen_at, seen_as
)
SELECT %(session_id)s::int, r.*
FROM json_to_recordset(%(rows)s::json) AS r (
    chat text, stanza text, author text, options text[], at timestamptz, seen_at timestamptz,
    seen_as text
)
ON CONFLICT ON CONSTRAINT poll_votes_pkey DO UPDATE
SET options = excluded.options,
    at = excluded.at,
    seen_at = excluded.seen_at,
    seen_as = excluded.seen_as;

-- name: remove_votes
-- Rows of poll_votes.
DELETE FROM whatsapp_gateway.poll_votes AS t
USING json_to_recordset(%(rows)s::json) AS r (chat text, stanza text, author text)
WHERE t.session_id = %(session_id)s::int
  AND t.chat_id = r.chat AND t.stanza_id = r.stanza AND t.author = r.author;

-- name: votes_at_lid
-- A handful of rows of poll_votes that still stand at a LID.
SELECT chat_id AS chat, stanza_id AS stanza, author, options, at, seen_at, seen_as
FROM whatsapp_gateway.poll_votes
WHERE session_id = %(session_id)s::int
  AND (chat_id = %(lid)s::text OR (author = %(lid)s::text AND author LIKE '%%@lid'))
LIMIT %(limit)s::int;

-- name: votes_seen_by_lid
-- The rows of poll_votes at a phone that a LID stood for.
SELECT chat_id AS chat, stanza_id AS stanza, author, options, at, seen_at, seen_as
FROM whatsapp_gateway.poll_votes
WHERE session_id = %(session_id)s::int
  AND (
      (chat_id = %(phone)s::text AND stanza_id = ANY (%(stanzas)s::text[]))
      OR (author = %(phone)s::text AND seen_as = %(lid)s::text)
  );

-- name: load_answers
-- The rows of event_answers with the given keys.
SELECT r.*
FROM json_to_recordset(%(rows)s::json) AS k (chat text, stanza text, author text)
CROSS JOIN LATERAL (
    SELECT t.chat_id AS chat, t.stanza_id AS stanza, t.author, t.response, t.extra_guests, t.at, t.seen_at, t.seen_as
    FROM whatsapp_gateway.event_answers AS t
    WHERE t.session_id = %(session_id)s::int AND t.chat_id = k.chat AND t.stanza_id = k.stanza AND t.author = k.author
    OFFSET 0
) AS r;

-- name: save_answers
-- Rows of event_answers in their final state.
INSERT INTO whatsapp_gateway.event_answers (
    session_id, chat_id, stanza_id, author, response, extra_guests, at, seen_at, seen_as
)
SELECT %(session_id)s::int, r.*
FROM json_to_recordset(%(rows)s::json) AS r (
    chat text, stanza text, author text, response text, extra_guests int, at timestamptz,
    seen_at timestamptz, seen_as text
)
ON CONFLICT ON CONSTRAINT event_answers_pkey DO UPDATE
SET response = excluded.response,
    extra_guests = excluded.extra_guests,
    at = excluded.at,
    seen_at = excluded.seen_at,
    seen_as = excluded.seen_as;

-- name: remove_answers
-- Rows of event_answers.
DELETE FROM whatsapp_gateway.event_answers AS t
USING json_to_recordset(%(rows)s::json) AS r (chat text, stanza text, author text)
WHERE t.session_id = %(session_id)s::int
  AND t.chat_id = r.chat AND t.stanza_id = r.stanza AND t.author = r.author;

-- name: answers_at_lid
-- A handful of rows of event_answers that still stand at a LID.
SELECT chat_id AS chat, stanza_id AS stanza, author, response, extra_guests, at, seen_at, seen_as
FROM whatsapp_gateway.event_answers
WHERE session_id = %(session_id)s::int
  AND (chat_id = %(lid)s::text OR (author = %(lid)s::text AND author LIKE '%%@lid'))
LIMIT %(limit)s::int;

-- name: answers_seen_by_lid
-- The rows of event_answers at a phone that a LID stood for.
SELECT chat_id AS chat, stanza_id AS stanza, author, response, extra_guests, at, seen_at, seen_as
FROM whatsapp_gateway.event_answers
WHERE session_id = %(session_id)s::int
  AND (
      (chat_id = %(phone)s::text AND stanza_id = ANY (%(stanzas)s::text[]))
      OR (author = %(phone)s::text AND seen_as = %(lid)s::text)
  );

-- name: load_contacts
-- The rows of contacts with the given keys.
SELECT r.*
FROM json_to_recordset(%(rows)s::json) AS k (contact text)
CROSS JOIN LATERAL (
    SELECT t.contact_id AS contact, t.name, t.name_at, t.push_name, t.push_name_at
    FROM whatsapp_gateway.contacts AS t
    WHERE t.session_id = %(session_id)s::int AND t.contact_id = k.contact
    OFFSET 0
) AS r;

-- name: save_contacts
-- Rows of contacts in their final state.
INSERT INTO whatsapp_gateway.contacts (
    session_id, session, contact_id, name, name_at, push_name, push_name_at
)
SELECT %(session_id)s::int, %(session)s::text, r.*
FROM json_to_recordset(%(rows)s::json) AS r (
    contact text, name text, name_at timestamptz, push_name text, push_name_at timestamptz
)
ON CONFLICT ON CONSTRAINT contacts_pkey DO UPDATE
SET name = excluded.name,
    name_at = excluded.name_at,
    push_name = excluded.push_name,
    push_name_at = excluded.push_name_at;

-- name: remove_contacts
-- Rows of contacts.
DELETE FROM whatsapp_gateway.contacts AS t
USING json_to_recordset(%(rows)s::json) AS r (contact text)
WHERE t.session_id = %(session_id)s::int
  AND t.contact_id = r.contact;

-- name: contacts_at_lid
-- A handful of rows of contacts that still stand at a LID.
SELECT contact_id AS contact, name, name_at, push_name, push_name_at
FROM whatsapp_gateway.contacts
WHERE session_id = %(session_id)s::int
  AND contact_id = %(lid)s::text
LIMIT %(limit)s::int;

-- name: load_chats
-- The rows of chats with the given keys.
SELECT r.*
FROM json_to_recordset(%(rows)s::json) AS k (chat text)
CROSS JOIN LATERAL (
    SELECT t.chat_id AS chat, t.last_message_at, t.archived, t.archived_at, t.description, t.description_at
    FROM whatsapp_gateway.chats AS t
    WHERE t.session_id = %(session_id)s::int AND t.chat_id = k.chat
    OFFSET 0
) AS r;

-- name: save_chats
-- Rows of chats in their final state.
INSERT INTO whatsapp_gateway.chats (
    session_id, session, chat_id, last_message_at, archived, archived_at, description, description_at
)
SELECT %(session_id)s::int, %(session)s::text, r.*
FROM json_to_recordset(%(rows)s::json) AS r (
    chat text, last_message_at timestamptz, archived boolean, archived_at timestamptz, description text,
    description_at timestamptz
)
ON CONFLICT ON CONSTRAINT chats_pkey DO UPDATE
SET last_message_at = excluded.last_message_at,
    archived = excluded.archived,
    archived_at = excluded.archived_at,
    description = excluded.description,
    description_at = excluded.description_at;

-- name: remove_chats
-- Rows of chats.
DELETE FROM whatsapp_gateway.chats AS t
USING json_to_recordset(%(rows)s::json) AS r (chat text)
WHERE t.session_id = %(session_id)s::int
  AND t.chat_id = r.chat;

-- name: chats_at_lid
-- A handful of rows of chats that still stand at a LID.
SELECT chat_id AS chat, last_message_at, archived, archived_at, description, description_at
FROM whatsapp_gateway.chats
WHERE session_id = %(session_id)s::int
  AND chat_id = %(lid)s::text
LIMIT %(limit)s::int;

-- name: load_members
-- The rows of group_members with the given keys.
SELECT r.*
FROM json_to_recordset(%(rows)s::json) AS k ("group" text, member text, at timestamptz)
CROSS JOIN LATERAL (
    SELECT t.group_id AS "group", t.member_id AS member, t.at, t.role, t.seen_as
    FROM whatsapp_gateway.group_members AS t
    WHERE t.session_id = %(session_id)s::int AND t.group_id = k."group" AND t.member_id = k.member AND t.at = k.at
    OFFSET 0
) AS r;

-- name: save_members
-- Rows of group_members in their final state.
INSERT INTO whatsapp_gateway.group_members (session_id, group_id, member_id, at, role, seen_as)
SELECT %(session_id)s::int, r.*
FROM json_to_recordset(%(rows)s::json) AS r (
    "group" text, member text, at timestamptz, role text, seen_as text
)
ON CONFLICT ON CONSTRAINT group_members_pkey DO UPDATE
SET role = excluded.role,
    seen_as = excluded.seen_as;

-- name: remove_members
-- Rows of group_members.
DELETE FROM whatsapp_gateway.group_members AS t
USING json_to_recordset(%(rows)s::json) AS r ("group" text, member text, at timestamptz)
WHERE t.session_id = %(session_id)s::int
  AND t.group_id = r."group" AND t.member_id = r.member AND t.at = r.at;

-- name: members_at_lid
-- A handful of rows of group_members that still stand at a LID.
SELECT group_id AS "group", member_id AS member, at, role, seen_as
FROM whatsapp_gateway.group_members
WHERE session_id = %(session_id)s::int
  AND (member_id = %(lid)s::text AND member_id LIKE '%%@lid')
LIMIT %(limit)s::int;

-- name: members_seen_by_lid
-- The rows of group_members at a phone that a LID stood for.
SELECT group_id AS "group", member_id AS member, at, role, seen_as
FROM whatsapp_gateway.group_members
WHERE session_id = %(session_id)s::int
  AND (member_id = %(phone)s::text AND seen_as = %(lid)s::text);

-- name: copy_events
-- New log rows.
COPY whatsapp_gateway.event_log
    (received_at, occurred_at, session, event, source, engine, envelope_id, outcome, reason, body)
FROM STDIN (FORMAT BINARY);

-- name: add_events
-- New log rows, for groups too small for a COPY.
INSERT INTO whatsapp_gateway.event_log (
    received_at, occurred_at, session, event, source, engine, envelope_id, outcome, reason, body
)
SELECT e.*
FROM ROWS FROM (
    json_to_recordset(%(rows)s::json) AS (
        received_at timestamptz, occurred_at timestamptz, session text, event text, source text, engine text,
        envelope_id text, outcome whatsapp_gateway.outcome, reason text
    ),
    unnest(%(bodies)s::bytea[])
) AS e;

-- name: set_outcomes
-- What a replay made of log rows; a row that was stored stays so when nothing is new.
UPDATE whatsapp_gateway.event_log AS t
SET outcome = r.outcome, reason = r.reason
FROM json_to_recordset(%(rows)s::json)
    AS r (event_id bigint, outcome whatsapp_gateway.outcome, reason text)
WHERE t.event_id = r.event_id AND NOT (t.outcome = 'stored' AND r.outcome = 'duplicate');

-- name: one_snapshot
-- All that follows in the transaction sees one instant, and changes nothing.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;

-- name: limit_reading
-- A reader never waits for ever: neither for a lock nor for one statement.
SELECT set_config('lock_timeout', '10s', true), set_config('statement_timeout', '20s', true);

-- name: logged_bodies
-- Bodies in order of arrival, for a replay.
SELECT event_id AS id, body, received_at, source
FROM whatsapp_gateway.event_log
WHERE event_id > %(after)s::bigint
  AND (%(outcome)s::whatsapp_gateway.outcome IS NULL OR outcome = %(outcome)s::whatsapp_gateway.outcome)
  AND (%(session)s::text IS NULL OR session = %(session)s::text)
  AND (%(event)s::text IS NULL OR event = %(event)s::text)
  AND (%(since)s::timestamptz IS NULL OR received_at >= %(since)s::timestamptz)
  AND (%(until)s::timestamptz IS NULL OR received_at < %(until)s::timestamptz)
ORDER BY event_id
LIMIT %(limit)s::int;

-- name: event_page
-- Log rows without their bodies, newest first.
SELECT event_id AS id, received_at, session, event, source, engine, envelope_id, outcome, reason,
    length(body) AS size_bytes
FROM whatsapp_gateway.event_log
WHERE event_id < %(before)s::bigint
  AND (%(outcome)s::whatsapp_gateway.outcome IS NULL OR outcome = %(outcome)s::whatsapp_gateway.outcome)
  AND (%(session)s::text IS NULL OR session = %(session)s::text)
  AND (%(event)s::text IS NULL OR event = %(event)s::text)
  AND (%(since)s::timestamptz IS NULL OR received_at >= %(since)s::timestamptz)
  AND (%(until)s::timestamptz IS NULL OR received_at < %(until)s::timestamptz)
ORDER BY event_id DESC
LIMIT %(limit)s::int;

-- name: event_body
-- One log row's raw body.
SELECT body FROM whatsapp_gateway.event_log WHERE event_id = %(event_id)s::bigint;

-- name: outcome_counts
-- How many log rows have each outcome.
SELECT outcome::text, count(*) AS rows FROM whatsapp_gateway.event_log GROUP BY outcome;

-- name: known_chats
-- Which of the given chats the archive has.
SELECT chat_id FROM whatsapp_gateway.chats
WHERE session_id = %(session_id)s::int AND chat_id = ANY (%(chats)s::text[]);

-- name: latest_messages
-- The newest page of a chat. Like the two below it walks the index and looks the state of each message
-- up by itself; OFFSET 0 keeps the planner from reading and sorting the whole chat instead.
SELECT m.chat_id AS chat, m.stanza_id AS stanza, m.author, m.sent_at, m.waha_id, m.sender_id AS sender, m.sender_name,
    m.from_me, m.kind, m.subtype, m.completeness, m.text, m.reply_to, m.mentions, m.forwarded,
    m.forwarding_score, m.view_once, m.link_preview, m.location, m.contacts, m.poll, m.event, m.media, m.source,
    s.facts_key, s.ack, s.text AS edited_text, s.edited_at, s.lids, s.by_phone, s.media_offer
FROM whatsapp_gateway.messages AS m
CROSS JOIN LATERAL (
    SELECT t.facts_key, t.ack, t.text, t.edited_at, t.lids, t.by_phone, t.media_offer
    FROM whatsapp_gateway.message_state AS t
    WHERE (t.session_id, t.chat_id, t.stanza_id, t.author) = (m.session_id, m.chat_id, m.stanza_id, m.author)
    OFFSET 0
) AS s
WHERE m.session_id = %(session_id)s::int AND m.chat_id = %(chat)s::text
ORDER BY m.sent_at DESC, m.stanza_id DESC, m.author DESC
LIMIT %(limit)s::int;

-- name: older_messages
-- The page of a chat before a position, newest first.
SELECT m.chat_id AS chat, m.stanza_id AS stanza, m.author, m.sent_at, m.waha_id, m.sender_id AS sender, m.sender_name,
    m.from_me, m.kind, m.subtype, m.completeness, m.text, m.reply_to, m.mentions, m.forwarded,
    m.forwarding_score, m.view_once, m.link_preview, m.location, m.contacts, m.poll, m.event, m.media, m.source,
    s.facts_key, s.ack, s.text AS edited_text, s.edited_at, s.lids, s.by_phone, s.media_offer
FROM whatsapp_gateway.messages AS m
CROSS JOIN LATERAL (
    SELECT t.facts_key, t.ack, t.text, t.edited_at, t.lids, t.by_phone, t.media_offer
    FROM whatsapp_gateway.message_state AS t
    WHERE (t.session_id, t.chat_id, t.stanza_id, t.author) = (m.session_id, m.chat_id, m.stanza_id, m.author)
    OFFSET 0
) AS s
WHERE m.session_id = %(session_id)s::int AND m.chat_id = %(chat)s::text
  AND m.sent_at <= %(sent_at)s::timestamptz
  AND (m.sent_at, m.stanza_id, m.author)
    < (%(sent_at)s::timestamptz, %(stanza)s::text COLLATE "C", %(author)s::text COLLATE "C")
ORDER BY m.sent_at DESC, m.stanza_id DESC, m.author DESC
LIMIT %(limit)s::int;

-- name: newer_messages
-- The page of a chat next after a position, oldest first.
SELECT m.chat_id AS chat, m.stanza_id AS stanza, m.author, m.sent_at, m.waha_id, m.sender_id AS sender, m.sender_name,
    m.from_me, m.kind, m.subtype, m.completeness, m.text, m.reply_to, m.mentions, m.forwarded,
    m.forwarding_score, m.view_once, m.link_preview, m.location, m.contacts, m.poll, m.event, m.media, m.source,
    s.facts_key, s.ack, s.text AS edited_text, s.edited_at, s.lids, s.by_phone, s.media_offer
FROM whatsapp_gateway.messages AS m
CROSS JOIN LATERAL (
    SELECT t.facts_key, t.ack, t.text, t.edited_at, t.lids, t.by_phone, t.media_offer
    FROM whatsapp_gateway.message_state AS t
    WHERE (t.session_id, t.chat_id, t.stanza_id, t.author) = (m.session_id, m.chat_id, m.stanza_id, m.author)
    OFFSET 0
) AS s
WHERE m.session_id = %(session_id)s::int AND m.chat_id = %(chat)s::text
  AND m.sent_at >= %(sent_at)s::timestamptz
  AND (m.sent_at, m.stanza_id, m.author)
    > (%(sent_at)s::timestamptz, %(stanza)s::text COLLATE "C", %(author)s::text COLLATE "C")
ORDER BY m.sent_at ASC, m.stanza_id ASC, m.author ASC
LIMIT %(limit)s::int;

-- name: named_messages
-- The messages of a chat that have one of the given stanza ids.
SELECT m.chat_id AS chat, m.stanza_id AS stanza, m.author, m.sent_at, m.waha_id, m.sender_id AS sender, m.sender_name,
    m.from_me, m.kind, m.subtype, m.completeness, m.text, m.reply_to, m.mentions, m.forwarded,
    m.forwarding_score, m.view_once, m.link_preview, m.location, m.contacts, m.poll, m.event, m.media, m.source,
    s.facts_key, s.ack, s.text AS edited_text, s.edited_at, s.lids, s.by_phone, s.media_offer
FROM whatsapp_gateway.message_state AS s
CROSS JOIN LATERAL (
    SELECT t.*
    FROM whatsapp_gateway.messages AS t
    WHERE (t.session_id, t.chat_id, t.sent_at, t.stanza_id, t.author)
        = (s.session_id, s.chat_id, s.sent_at, s.stanza_id, s.author)
    OFFSET 0
) AS m
WHERE s.session_id = %(session_id)s::int AND s.chat_id = %(chat)s::text
  AND s.stanza_id = ANY (%(stanzas)s::text[]) AND s.facts_key IS NOT NULL
ORDER BY m.sent_at, m.stanza_id, m.author;

-- name: message_claims
-- How many messages claim each of the given stanza ids; more than one is a clash.
SELECT t.stanza_id, count(*) AS claims
FROM whatsapp_gateway.message_state AS t
WHERE t.session_id = %(session_id)s::int AND t.chat_id = %(chat)s::text
  AND t.stanza_id = ANY (%(stanzas)s::text[]) AND t.facts_key IS NOT NULL
GROUP BY t.stanza_id
HAVING count(*) > 1;

-- name: page_edits
-- The rows of message_edits about the given stanza ids.
SELECT chat_id AS chat, stanza_id AS stanza, author, edit_id, edited_at, text
FROM whatsapp_gateway.message_edits
WHERE session_id = %(session_id)s::int AND chat_id = %(chat)s::text AND stanza_id = ANY (%(stanzas)s::text[]);

-- name: page_revocations
-- The rows of message_revocations about the given stanza ids.
SELECT chat_id AS chat, stanza_id AS stanza, author, revoked_at, revoked_by
FROM whatsapp_gateway.message_revocations
WHERE session_id = %(session_id)s::int AND chat_id = %(chat)s::text AND stanza_id = ANY (%(stanzas)s::text[]);

-- name: page_reactions
-- The rows of reactions about the given stanza ids.
SELECT chat_id AS chat, stanza_id AS stanza, author, emoji, at, seen_at, seen_as
FROM whatsapp_gateway.reactions
WHERE session_id = %(session_id)s::int AND chat_id = %(chat)s::text AND stanza_id = ANY (%(stanzas)s::text[]);

-- name: page_votes
-- The rows of poll_votes about the given stanza ids.
SELECT chat_id AS chat, stanza_id AS stanza, author, options, at, seen_at, seen_as
FROM whatsapp_gateway.poll_votes
WHERE session_id = %(session_id)s::int AND chat_id = %(chat)s::text AND stanza_id = ANY (%(stanzas)s::text[]);

-- name: chat_page
-- Chats by latest activity, those without messages last, with the name of each.
SELECT c.session, c.chat_id AS id, coalesce(nullif(n.name, ''), nullif(n.push_name, '')) AS name, c.description, c.last_message_at, c.archived
FROM whatsapp_gateway.chats AS c
LEFT JOIN whatsapp_gateway.contacts AS n ON n.session_id = c.session_id AND n.contact_id = c.chat_id
WHERE c.session_id = %(session_id)s::int
  AND (
      %(after_id)s::text IS NULL
      OR (c.last_message_at IS NULL AND (%(after_at)s::timestamptz IS NOT NULL OR c.chat_id < %(after_id)s::text))
      OR (c.last_message_at, c.chat_id) < (%(after_at)s::timestamptz, %(after_id)s::text COLLATE "C")
  )
ORDER BY c.last_message_at DESC NULLS LAST, c.chat_id DESC
LIMIT %(limit)s::int;

-- name: contact_page
-- Contacts by id, of the given kinds of address, or of all but these.
SELECT session, contact_id AS id, name, push_name
FROM whatsapp_gateway.contacts
WHERE session_id = %(session_id)s::int
  AND contact_id > %(after)s::text
  AND (
      %(servers)s::text[] IS NULL
      OR (split_part(contact_id, '@', 2) = ANY (%(servers)s::text[])) <> %(other)s::boolean
  )
ORDER BY contact_id
LIMIT %(limit)s::int;

-- name: session_list
-- Every archive with the latest state of its session.
SELECT s.session_id, s.session, s.account, s.push_name, s.engine, s.last_event_at, status.status, status.at AS status_at
FROM whatsapp_gateway.sessions AS s
LEFT JOIN LATERAL (
    SELECT t.status, t.at FROM whatsapp_gateway.session_statuses AS t
    WHERE t.session = s.session
    ORDER BY t.at DESC, t.status COLLATE "C" DESC
    LIMIT 1
) AS status ON true
ORDER BY s.session COLLATE "C", s.last_event_at DESC, s.session_id DESC;

-- name: ping
-- Whether the schema answers.
SELECT 1 FROM whatsapp_gateway.schema_migrations LIMIT 1;
