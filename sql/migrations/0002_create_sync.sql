-- Sync: which chats are due, how far each is, and which spans of time are proven complete.
--
-- Why so: work is rows that are due. A worker claims some with FOR UPDATE SKIP LOCKED and moves their
-- due time to the end of its lease, so a worker that dies costs only its lease. The state of a chat is
-- written in the transaction of the page that led to it.
-- Locks: none that matter, everything is new. Runs on PostgreSQL 15 to 18 and on TimescaleDB.

SET LOCAL lock_timeout = '5s';

CREATE TABLE whatsapp_gateway.sync_state (
    session_id   integer NOT NULL,
    session      text NOT NULL,
    chat_id      text COLLATE "C" NOT NULL,
    status       text NOT NULL CONSTRAINT sync_state_status_check
        CHECK (status IN ('pending', 'running', 'idle', 'failed', 'paused')),
    due_at       timestamptz,
    active_at    timestamptz,
    attempts     integer NOT NULL DEFAULT 0,
    problem      text,
    since        timestamptz,
    bottom       timestamptz,
    forward      jsonb,
    backward     jsonb,
    lease        text,
    caught_up_at timestamptz,
    people_at    timestamptz,
    turns        integer NOT NULL DEFAULT 0,
    CONSTRAINT sync_state_pkey PRIMARY KEY (session_id, chat_id)
);
CREATE INDEX sync_state_due_idx ON whatsapp_gateway.sync_state ((chat_id <> ''), turns, active_at DESC NULLS LAST)
    WHERE due_at IS NOT NULL;
COMMENT ON TABLE whatsapp_gateway.sync_state IS
    'The sync of each chat; an empty chat_id stands for all chats of the session at once.';
COMMENT ON COLUMN whatsapp_gateway.sync_state.due_at IS 'When to go on, while running the end of the lease; null: nothing to do.';
COMMENT ON COLUMN whatsapp_gateway.sync_state.active_at IS 'Of the latest message, as the engine told; decides whose turn it is.';
COMMENT ON COLUMN whatsapp_gateway.sync_state.since IS 'How deep the history is wanted; null: all of it.';
COMMENT ON COLUMN whatsapp_gateway.sync_state.bottom IS 'The engine had nothing older than this.';
COMMENT ON COLUMN whatsapp_gateway.sync_state.caught_up_at IS 'When the last walk began that found everything up to then.';
COMMENT ON COLUMN whatsapp_gateway.sync_state.turns IS 'How often work was left for others'' sake; fewer go first.';
COMMENT ON COLUMN whatsapp_gateway.sync_state.forward IS 'The walk that closes what is missing since the chat was last complete.';
COMMENT ON COLUMN whatsapp_gateway.sync_state.backward IS 'The walk into the past.';

CREATE TABLE whatsapp_gateway.coverage (
    session_id integer NOT NULL,
    chat_id    text COLLATE "C" NOT NULL,
    spans      tstzmultirange NOT NULL,
    CONSTRAINT coverage_pkey PRIMARY KEY (session_id, chat_id)
);
COMMENT ON TABLE whatsapp_gateway.coverage IS
    'The spans of time that pages proved complete; an empty chat_id holds for every chat of the session.';

CREATE TABLE whatsapp_gateway.sync_digests (
    session_id integer NOT NULL,
    kind       text NOT NULL,
    about      text COLLATE "C" NOT NULL,
    digest     bytea NOT NULL,
    CONSTRAINT sync_digests_pkey PRIMARY KEY (session_id, kind, about)
);
COMMENT ON TABLE whatsapp_gateway.sync_digests IS
    'What the engine last said of each contact, group and link, so that only news is recorded.';

CREATE TABLE whatsapp_gateway.uptimes (
    process text NOT NULL,
    since   timestamptz NOT NULL,
    until   timestamptz NOT NULL,
    CONSTRAINT uptimes_pkey PRIMARY KEY (process, since)
);
COMMENT ON TABLE whatsapp_gateway.uptimes IS 'When each process that takes in webhooks was up.';

CREATE VIEW whatsapp_gateway.sync_queue AS
SELECT
    t.session, a.account, nullif(t.chat_id, '') AS chat_id, t.status, t.due_at, t.active_at,
    CASE WHEN t.forward IS NOT NULL THEN 'catch-up' WHEN t.backward IS NOT NULL THEN 'back-fill' END AS work,
    t.attempts, t.problem,
    (coalesce(t.forward, t.backward) ->> 'pages')::int AS pages,
    (coalesce(t.forward, t.backward) ->> 'reached')::timestamptz AS reached
FROM whatsapp_gateway.sync_state AS t
JOIN whatsapp_gateway.sessions AS a USING (session_id)
WHERE t.status <> 'idle'
ORDER BY t.chat_id <> '', t.turns, t.active_at DESC NULLS LAST, t.chat_id;
COMMENT ON VIEW whatsapp_gateway.sync_queue IS
    'What sync has still to do, in the order in which it is done; chat_id is null for the whole session.';
