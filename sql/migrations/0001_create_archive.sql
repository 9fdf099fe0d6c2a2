-- The archive: the log of everything that an engine told, and its projections.
--
-- Why so: `event_log` is the truth, append-only; every other table can be rebuilt from it. A message
-- is two rows: `messages` holds its immutable facts, `message_state` the ledger and what later
-- happened, with the uniqueness that allows no twins. They are apart because a unique key of a
-- TimescaleDB hypertable must contain its time column, and one message may come with two times.
-- Locks: none that matter, everything is new. Runs on PostgreSQL 15 to 18 and on TimescaleDB.

SET LOCAL lock_timeout = '5s';

CREATE TYPE whatsapp_gateway.ack AS ENUM ('pending', 'error', 'server', 'device', 'read', 'played');
COMMENT ON TYPE whatsapp_gateway.ack IS
    'How far a message got, in the order in which it rises; error yields to any delivery.';

CREATE TYPE whatsapp_gateway.outcome AS ENUM ('stored', 'duplicate', 'ignored', 'failed');

-- ── Sessions ────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE whatsapp_gateway.sessions (
    session_id    integer GENERATED ALWAYS AS IDENTITY CONSTRAINT sessions_pkey PRIMARY KEY,
    session       text NOT NULL,
    account       text,
    account_lid   text,
    push_name     text,
    engine        text,
    last_event_at timestamptz NOT NULL,
    CONSTRAINT sessions_session_account_key UNIQUE NULLS NOT DISTINCT (session, account)
);
COMMENT ON TABLE whatsapp_gateway.sessions IS
    'One archive per engine session and WhatsApp account; a session that passes to another account begins another.';
COMMENT ON COLUMN whatsapp_gateway.sessions.account IS 'Phone JID of the account; null until the engine names it.';
COMMENT ON COLUMN whatsapp_gateway.sessions.last_event_at IS 'Of the latest delivery, to within a minute.';

CREATE TABLE whatsapp_gateway.session_statuses (
    session text NOT NULL,
    at      timestamptz NOT NULL,
    status  text NOT NULL,
    CONSTRAINT session_statuses_pkey PRIMARY KEY (session, at, status)
);
COMMENT ON TABLE whatsapp_gateway.session_statuses IS 'The history of a session''s states, as the engine told it.';

-- ── The log ─────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE whatsapp_gateway.event_log (
    event_id    bigint GENERATED ALWAYS AS IDENTITY,
    received_at timestamptz NOT NULL,
    occurred_at timestamptz NOT NULL,
    session     text NOT NULL,
    event       text NOT NULL,
    source      text NOT NULL CONSTRAINT event_log_source_check CHECK (source IN ('webhook', 'sync', 'import')),
    engine      text,
    envelope_id text,
    outcome     whatsapp_gateway.outcome NOT NULL,
    reason      text,
    body        bytea NOT NULL,
    CONSTRAINT event_log_pkey PRIMARY KEY (event_id, received_at)
);
CREATE INDEX event_log_session_received_idx ON whatsapp_gateway.event_log (session, received_at);
CREATE INDEX event_log_noteworthy_idx ON whatsapp_gateway.event_log (outcome, event_id)
    WHERE outcome IN ('failed', 'ignored');
-- Bodies are long and repetitive: lz4 packs them in a third of the time of the default.
DO $$
BEGIN
    ALTER TABLE whatsapp_gateway.event_log ALTER COLUMN body SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    RAISE NOTICE 'this server is built without lz4; bodies are packed by its default';
END
$$;
COMMENT ON TABLE whatsapp_gateway.event_log IS
    'The raw bytes of everything observed. Append-only; only outcome and reason change, by a replay.';
COMMENT ON COLUMN whatsapp_gateway.event_log.occurred_at IS 'When the engine says that it built the event.';

-- ── Messages ────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE whatsapp_gateway.message_state (
    session_id  integer NOT NULL,
    chat_id     text COLLATE "C" NOT NULL,
    stanza_id   text COLLATE "C" NOT NULL,
    author      text COLLATE "C" NOT NULL,
    sent_at     timestamptz,
    facts_key   bytea,
    ack         whatsapp_gateway.ack,
    text        text,
    edited_at   timestamptz,
    said        text[],
    lids        text[],
    by_phone    boolean NOT NULL DEFAULT false,
    media_offer jsonb,
    CONSTRAINT message_state_pkey PRIMARY KEY (session_id, chat_id, stanza_id, author)
);
CREATE INDEX message_state_lid_author_idx ON whatsapp_gateway.message_state (session_id, author)
    WHERE author LIKE '%@lid';
CREATE INDEX message_state_seen_as_idx ON whatsapp_gateway.message_state (session_id, author)
    WHERE lids IS NOT NULL AND author LIKE '%@%';
COMMENT ON TABLE whatsapp_gateway.message_state IS
    'The ledger: one row per message, whichever way and however often it came, and what later happened to it. '
    'A state may come before its message and outlives it.';
COMMENT ON COLUMN whatsapp_gateway.message_state.author IS
    '"me", "them" in direct chats and channels, the canonical JID in groups. Two authors under one stanza id are a clash: both are kept.';
COMMENT ON COLUMN whatsapp_gateway.message_state.sent_at IS 'WhatsApp''s time; null while only the state is known.';
COMMENT ON COLUMN whatsapp_gateway.message_state.facts_key IS
    'Orders observations of one message, the smallest is the best; see facts_key() in wagateway.domain.records.';
COMMENT ON COLUMN whatsapp_gateway.message_state.text IS 'The text of the latest edit; null when the message was never edited.';
COMMENT ON COLUMN whatsapp_gateway.message_state.said IS
    'Digests of what was said, where the author may be missing: equal ones are one message.';
COMMENT ON COLUMN whatsapp_gateway.message_state.lids IS
    'The LIDs under which the chat (or, in a group, the author) was seen; with by_phone what undoing a wrong link needs.';

CREATE TABLE whatsapp_gateway.messages (
    session_id       integer NOT NULL,
    session          text NOT NULL,
    chat_id          text COLLATE "C" NOT NULL,
    stanza_id        text COLLATE "C" NOT NULL,
    author           text COLLATE "C" NOT NULL,
    sent_at          timestamptz NOT NULL,
    waha_id          text NOT NULL,
    sender_id        text,
    sender_name      text,
    from_me          boolean NOT NULL,
    kind             text NOT NULL,
    subtype          text,
    completeness     text NOT NULL,
    text             text,
    reply_to         jsonb,
    mentions         text[],
    forwarded        boolean NOT NULL,
    forwarding_score integer NOT NULL,
    view_once        boolean NOT NULL,
    link_preview     jsonb,
    location         jsonb,
    contacts         jsonb,
    poll             jsonb,
    event            jsonb,
    media            jsonb,
    source           text
);
CREATE INDEX messages_history_idx ON whatsapp_gateway.messages
    (session_id, chat_id, sent_at DESC, stanza_id DESC, author DESC);
COMMENT ON TABLE whatsapp_gateway.messages IS
    'The immutable facts of each message, from its best observation. Current text, ack and deletion: see the view current_messages.';
COMMENT ON COLUMN whatsapp_gateway.messages.sender_id IS 'Who wrote it, as seen: a phone JID or a LID.';
COMMENT ON COLUMN whatsapp_gateway.messages.text IS 'Body or caption as first seen.';

CREATE TABLE whatsapp_gateway.message_edits (
    session_id integer NOT NULL,
    chat_id    text COLLATE "C" NOT NULL,
    stanza_id  text COLLATE "C" NOT NULL,
    author     text COLLATE "C" NOT NULL,
    edit_id    text COLLATE "C" NOT NULL,
    edited_at  timestamptz NOT NULL,
    text       text,
    CONSTRAINT message_edits_pkey PRIMARY KEY (session_id, chat_id, stanza_id, author, edit_id)
);
COMMENT ON TABLE whatsapp_gateway.message_edits IS 'Every later version of a text; null when it could not be decrypted.';

CREATE TABLE whatsapp_gateway.message_revocations (
    session_id integer NOT NULL,
    chat_id    text COLLATE "C" NOT NULL,
    stanza_id  text COLLATE "C" NOT NULL,
    author     text COLLATE "C" NOT NULL,
    revoked_at timestamptz NOT NULL,
    revoked_by text,
    CONSTRAINT message_revocations_pkey PRIMARY KEY (session_id, chat_id, stanza_id, author)
);
COMMENT ON TABLE whatsapp_gateway.message_revocations IS
    'Tombstones: deleted for everyone. The text stays. author is empty in groups, where an admin may delete anybody''s message.';

CREATE TABLE whatsapp_gateway.reactions (
    session_id integer NOT NULL,
    chat_id    text COLLATE "C" NOT NULL,
    stanza_id  text COLLATE "C" NOT NULL,
    author     text COLLATE "C" NOT NULL,
    emoji      text NOT NULL,
    at         timestamptz NOT NULL,
    seen_at    timestamptz NOT NULL,
    seen_as    text,
    CONSTRAINT reactions_pkey PRIMARY KEY (session_id, chat_id, stanza_id, author)
);
COMMENT ON TABLE whatsapp_gateway.reactions IS 'The latest reaction per sender; an empty emoji was taken back.';

CREATE TABLE whatsapp_gateway.receipts (
    session_id   integer NOT NULL,
    chat_id      text COLLATE "C" NOT NULL,
    stanza_id    text COLLATE "C" NOT NULL,
    author       text COLLATE "C" NOT NULL,
    ack          whatsapp_gateway.ack NOT NULL,
    delivered_at timestamptz,
    read_at      timestamptz,
    played_at    timestamptz,
    seen_as      text,
    CONSTRAINT receipts_pkey PRIMARY KEY (session_id, chat_id, stanza_id, author)
);
COMMENT ON TABLE whatsapp_gateway.receipts IS 'How far a group message got for each recipient (author), with the earliest instants.';

CREATE TABLE whatsapp_gateway.poll_votes (
    session_id integer NOT NULL,
    chat_id    text COLLATE "C" NOT NULL,
    stanza_id  text COLLATE "C" NOT NULL,
    author     text COLLATE "C" NOT NULL,
    options    text[],
    at         timestamptz NOT NULL,
    seen_at    timestamptz NOT NULL,
    seen_as    text,
    CONSTRAINT poll_votes_pkey PRIMARY KEY (session_id, chat_id, stanza_id, author)
);
COMMENT ON TABLE whatsapp_gateway.poll_votes IS
    'The latest choice per voter (author); empty when withdrawn, null when it could not be decrypted.';

CREATE TABLE whatsapp_gateway.event_answers (
    session_id   integer NOT NULL,
    chat_id      text COLLATE "C" NOT NULL,
    stanza_id    text COLLATE "C" NOT NULL,
    author       text COLLATE "C" NOT NULL,
    response     text,
    extra_guests integer NOT NULL,
    at           timestamptz NOT NULL,
    seen_at      timestamptz NOT NULL,
    seen_as      text,
    CONSTRAINT event_answers_pkey PRIMARY KEY (session_id, chat_id, stanza_id, author)
);
COMMENT ON TABLE whatsapp_gateway.event_answers IS 'The latest answer per person (author) to an event; null when it could not be decrypted.';

-- What still stands at a LID must be found when its phone is learned.
CREATE INDEX message_edits_lid_author_idx ON whatsapp_gateway.message_edits (session_id, author) WHERE author LIKE '%@lid';
CREATE INDEX reactions_lid_author_idx ON whatsapp_gateway.reactions (session_id, author) WHERE author LIKE '%@lid';
CREATE INDEX receipts_lid_author_idx ON whatsapp_gateway.receipts (session_id, author) WHERE author LIKE '%@lid';
CREATE INDEX poll_votes_lid_author_idx ON whatsapp_gateway.poll_votes (session_id, author) WHERE author LIKE '%@lid';
CREATE INDEX event_answers_lid_author_idx ON whatsapp_gateway.event_answers (session_id, author) WHERE author LIKE '%@lid';

-- What stands at a phone because a LID meant it must be found when that is undone.
CREATE INDEX reactions_seen_as_idx ON whatsapp_gateway.reactions (session_id, author) WHERE seen_as IS NOT NULL;
CREATE INDEX receipts_seen_as_idx ON whatsapp_gateway.receipts (session_id, author) WHERE seen_as IS NOT NULL;
CREATE INDEX poll_votes_seen_as_idx ON whatsapp_gateway.poll_votes (session_id, author) WHERE seen_as IS NOT NULL;
CREATE INDEX event_answers_seen_as_idx ON whatsapp_gateway.event_answers (session_id, author) WHERE seen_as IS NOT NULL;

-- ── People and chats ────────────────────────────────────────────────────────────────────────────

CREATE TABLE whatsapp_gateway.identities (
    session_id    integer NOT NULL,
    lid           text COLLATE "C" NOT NULL,
    phone         text COLLATE "C" NOT NULL,
    evidence      text NOT NULL,
    first_seen_at timestamptz NOT NULL,
    confirmed_at  timestamptz,
    rejected_at   timestamptz,
    CONSTRAINT identities_pkey PRIMARY KEY (session_id, lid, phone)
);
COMMENT ON TABLE whatsapp_gateway.identities IS
    'Which hidden id (LID) is which phone, how that was first learned, and whether a person confirmed or undid it. '
    'In force is what a person said last, else what was learned last.';

CREATE TABLE whatsapp_gateway.contacts (
    session_id   integer NOT NULL,
    session      text NOT NULL,
    contact_id   text COLLATE "C" NOT NULL,
    name         text,
    name_at      timestamptz,
    push_name    text,
    push_name_at timestamptz,
    CONSTRAINT contacts_pkey PRIMARY KEY (session_id, contact_id)
);
COMMENT ON TABLE whatsapp_gateway.contacts IS
    'Everyone and every chat that the account knows: name from the address book or group subject, push_name as people call themselves.';

CREATE TABLE whatsapp_gateway.chats (
    session_id      integer NOT NULL,
    session         text NOT NULL,
    chat_id         text COLLATE "C" NOT NULL,
    last_message_at timestamptz,
    archived        boolean NOT NULL DEFAULT false,
    archived_at     timestamptz,
    description     text,
    description_at  timestamptz,
    CONSTRAINT chats_pkey PRIMARY KEY (session_id, chat_id)
);
CREATE INDEX chats_activity_idx ON whatsapp_gateway.chats (session_id, last_message_at DESC NULLS LAST, chat_id DESC);
COMMENT ON TABLE whatsapp_gateway.chats IS 'Chats with their latest activity and settings.';

CREATE TABLE whatsapp_gateway.group_members (
    session_id integer NOT NULL,
    group_id   text COLLATE "C" NOT NULL,
    member_id  text COLLATE "C" NOT NULL,
    at         timestamptz NOT NULL,
    role       text NOT NULL,
    seen_as    text,
    CONSTRAINT group_members_pkey PRIMARY KEY (session_id, group_id, member_id, at)
);
CREATE INDEX group_members_lid_idx ON whatsapp_gateway.group_members (session_id, member_id)
    WHERE member_id LIKE '%@lid';
COMMENT ON TABLE whatsapp_gateway.group_members IS
    'What each member became, and when: left, participant, admin or superadmin. The latest row is the present.';

-- ── Search ──────────────────────────────────────────────────────────────────────────────────────

-- Accents are folded where the extension is to be had; words are kept whole, whatever the language.
CREATE TEXT SEARCH CONFIGURATION whatsapp_gateway.message_text (COPY = pg_catalog.simple);
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS unaccent;
    ALTER TEXT SEARCH CONFIGURATION whatsapp_gateway.message_text
        ALTER MAPPING FOR hword, hword_part, word WITH unaccent, simple;
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'search will not fold accents: %', SQLERRM;
END
$$;

CREATE TABLE whatsapp_gateway.message_search (
    session_id integer NOT NULL,
    chat_id    text COLLATE "C" NOT NULL,
    stanza_id  text COLLATE "C" NOT NULL,
    author     text COLLATE "C" NOT NULL,
    words      tsvector NOT NULL,
    CONSTRAINT message_search_pkey PRIMARY KEY (session_id, chat_id, stanza_id, author)
);
CREATE INDEX message_search_words_idx ON whatsapp_gateway.message_search USING gin (words);
COMMENT ON TABLE whatsapp_gateway.message_search IS
    'Search vectors of the current texts, apart from messages so that compression and retention leave them alone.';

-- ── Views ───────────────────────────────────────────────────────────────────────────────────────

CREATE VIEW whatsapp_gateway.active_sessions AS
SELECT DISTINCT ON (s.session)
    s.session_id, s.session, s.account, s.push_name, s.engine, s.last_event_at,
    status.status, status.at AS status_at
FROM whatsapp_gateway.sessions AS s
LEFT JOIN LATERAL (
    SELECT t.status, t.at
    FROM whatsapp_gateway.session_statuses AS t
    WHERE t.session = s.session
    ORDER BY t.at DESC, t.status COLLATE "C" DESC
    LIMIT 1
) AS status ON true
WHERE status.status IS NULL OR status.status NOT IN ('STOPPED', 'FAILED')
ORDER BY s.session, s.last_event_at DESC, s.session_id DESC;
COMMENT ON VIEW whatsapp_gateway.active_sessions IS
    'The current archive of each session that is neither stopped nor failed, with its latest state.';

CREATE VIEW whatsapp_gateway.current_messages AS
SELECT
    a.session, a.account, m.session_id, m.chat_id, m.stanza_id, m.author, m.sent_at, m.kind, m.from_me,
    m.sender_id, m.sender_name,
    CASE WHEN s.edited_at IS NULL THEN m.text ELSE s.text END AS text,
    m.text AS first_text, s.edited_at, s.ack, r.revoked_at, r.revoked_by, m.media, m.waha_id
FROM whatsapp_gateway.sessions AS a
JOIN whatsapp_gateway.messages AS m USING (session_id)
JOIN whatsapp_gateway.message_state AS s USING (session_id, chat_id, stanza_id, author)
LEFT JOIN LATERAL (
    SELECT v.revoked_at, v.revoked_by
    FROM whatsapp_gateway.message_revocations AS v
    WHERE (v.session_id, v.chat_id, v.stanza_id) = (m.session_id, m.chat_id, m.stanza_id)
      AND v.author IN ('', m.author)
    ORDER BY v.revoked_at, v.author
    LIMIT 1
) AS r ON true;
COMMENT ON VIEW whatsapp_gateway.current_messages IS
    'Messages as they stand now: current text, ack, edit and deletion times. A session that passed to another account '
    'has several archives: account tells them apart.';

CREATE VIEW whatsapp_gateway.messages_hourly_stats AS
SELECT
    a.session, a.account, m.session_id, m.chat_id, date_trunc('hour', m.sent_at, 'UTC') AS hour,
    count(*) AS messages,
    count(*) FILTER (WHERE m.from_me) AS sent,
    count(*) FILTER (WHERE NOT m.from_me) AS received,
    count(*) FILTER (WHERE m.media IS NOT NULL) AS with_media
FROM whatsapp_gateway.sessions AS a
JOIN whatsapp_gateway.messages AS m USING (session_id)
GROUP BY a.session, a.account, m.session_id, m.chat_id, date_trunc('hour', m.sent_at, 'UTC');
COMMENT ON VIEW whatsapp_gateway.messages_hourly_stats IS
    'Messages per account, chat and hour (UTC); account is the session''s at the time.';
