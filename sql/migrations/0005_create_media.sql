-- Media: which message has which file, how far each download is, and the stored files themselves.
--
-- Why so: a download is a row that is due, written in the transaction of its message and claimed by
-- workers as in sync. It holds what a worker must know of the message, so that a claim reads no message.
-- A file is one row by its SHA-256, however many messages have it. Messages that are there already
-- begin to be downloaded: what the engine offered for them is long gone, but for what lies in a bucket.
-- Locks: none that matter, the tables are new; filling them reads all messages with files once. What a
-- process of an older version records after that has no download. Runs on PostgreSQL 15 to 18 and on
-- TimescaleDB.

SET LOCAL lock_timeout = '5s';

CREATE TABLE whatsapp_gateway.media_objects (
    sha256        text COLLATE "C" NOT NULL CONSTRAINT media_objects_sha256_check
        CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    size_bytes    bigint NOT NULL,
    mimetype      text NOT NULL,
    width         bigint,
    height        bigint,
    duration_s    double precision,
    pages         bigint,
    placeholder   bytea,
    has_thumbnail boolean NOT NULL DEFAULT false,
    problem       text,
    stored_at     timestamptz NOT NULL,
    inspected_at  timestamptz,
    inspect_at    timestamptz,
    inspections   integer NOT NULL DEFAULT 0,
    uses          integer NOT NULL CONSTRAINT media_objects_uses_check CHECK (uses >= 0),
    CONSTRAINT media_objects_pkey PRIMARY KEY (sha256)
);
CREATE INDEX media_objects_inspect_idx ON whatsapp_gateway.media_objects (inspect_at) WHERE inspect_at IS NOT NULL;
CREATE INDEX media_objects_unused_idx ON whatsapp_gateway.media_objects (sha256) WHERE uses = 0;
COMMENT ON TABLE whatsapp_gateway.media_objects IS
    'Stored files, each once, however many messages have it; at the key sha256/ab/cd/abcd… of the media store.';
COMMENT ON COLUMN whatsapp_gateway.media_objects.mimetype IS 'Told by the content, not by the sender.';
COMMENT ON COLUMN whatsapp_gateway.media_objects.placeholder IS 'A tiny picture of it, for previews.';
COMMENT ON COLUMN whatsapp_gateway.media_objects.problem IS 'Why a look into it found less than it might.';
COMMENT ON COLUMN whatsapp_gateway.media_objects.inspected_at IS 'When it was looked into; null: not yet.';
COMMENT ON COLUMN whatsapp_gateway.media_objects.inspect_at IS
    'When to look into it, while that is done when to begin again; null: done.';
COMMENT ON COLUMN whatsapp_gateway.media_objects.inspections IS 'How often a look was begun.';
COMMENT ON COLUMN whatsapp_gateway.media_objects.uses IS 'How many rows of media_downloads have it; with none it may be removed.';

CREATE TABLE whatsapp_gateway.media_downloads (
    session_id      integer NOT NULL,
    session         text NOT NULL,
    chat_id         text COLLATE "C" NOT NULL,
    stanza_id       text COLLATE "C" NOT NULL,
    author          text COLLATE "C" NOT NULL,
    download_status text NOT NULL CONSTRAINT media_downloads_status_check
        CHECK (download_status IN ('pending', 'downloading', 'completed', 'failed', 'skipped', 'expired')),
    problem         text,
    kind            text NOT NULL,
    from_me         boolean NOT NULL,
    sent_at         timestamptz NOT NULL,
    heard_at        timestamptz NOT NULL,
    waha_id         text NOT NULL,
    facts           jsonb NOT NULL,
    offer           jsonb,
    kept_since      timestamptz,
    again           boolean NOT NULL,
    due_at          timestamptz,
    attempts        integer NOT NULL DEFAULT 0,
    sha256          text COLLATE "C",
    lease           text,
    CONSTRAINT media_downloads_pkey PRIMARY KEY (session_id, chat_id, stanza_id, author)
);

INSERT INTO whatsapp_gateway.media_downloads (
    session_id, session, chat_id, stanza_id, author, download_status, kind, from_me, sent_at, heard_at,
    waha_id, facts, offer, kept_since, again, due_at
)
SELECT
    m.session_id, m.session, m.chat_id, m.stanza_id, m.author, 'pending', m.kind, m.from_me, m.sent_at, now(),
    m.waha_id, m.media, s.media_offer,
    CASE WHEN coalesce(s.media_offer ->> 'url', '') <> '' AND coalesce(s.media_offer ->> 's3_key', '') = ''
        THEN (s.media_offer ->> 'offered_at')::timestamptz END,
    coalesce(s.media_offer ->> 's3_key', '') = '', now()
FROM whatsapp_gateway.messages AS m
JOIN whatsapp_gateway.message_state AS s USING (session_id, chat_id, stanza_id, author)
WHERE m.media IS NOT NULL
ON CONFLICT ON CONSTRAINT media_downloads_pkey DO NOTHING;

-- In the order in which downloads are taken: what the engine has, soonest gone first; then the latest.
CREATE INDEX media_downloads_fresh_idx ON whatsapp_gateway.media_downloads (kept_since, sent_at DESC)
    WHERE due_at IS NOT NULL AND NOT again;
CREATE INDEX media_downloads_due_idx ON whatsapp_gateway.media_downloads (again, sent_at DESC)
    WHERE due_at IS NOT NULL;
CREATE UNIQUE INDEX media_downloads_lease_idx ON whatsapp_gateway.media_downloads (lease) WHERE lease IS NOT NULL;
CREATE INDEX media_downloads_gallery_idx ON whatsapp_gateway.media_downloads
    (session_id, kind, sent_at DESC, stanza_id DESC, chat_id DESC, author DESC);
CREATE INDEX media_downloads_status_idx ON whatsapp_gateway.media_downloads
    (download_status, session_id, sent_at DESC, stanza_id DESC, chat_id DESC, author DESC)
    WHERE download_status <> 'completed';
CREATE INDEX media_downloads_sha256_idx ON whatsapp_gateway.media_downloads (sha256) WHERE sha256 IS NOT NULL;
COMMENT ON TABLE whatsapp_gateway.media_downloads IS
    'The file of each message that has one, and how far its download is.';
COMMENT ON COLUMN whatsapp_gateway.media_downloads.author IS 'As in message_state.';
COMMENT ON COLUMN whatsapp_gateway.media_downloads.problem IS 'Why it was skipped, failed or expired.';
COMMENT ON COLUMN whatsapp_gateway.media_downloads.heard_at IS 'When the archive first heard of the file.';
COMMENT ON COLUMN whatsapp_gateway.media_downloads.facts IS
    'What the sender said of the file: mimetype, filename, size_bytes, sha256, width, height, duration_s, pages.';
COMMENT ON COLUMN whatsapp_gateway.media_downloads.offer IS
    'Where the engine said that it is, and when (url, s3_bucket, s3_key, offered_at), or why it has it not (error).';
COMMENT ON COLUMN whatsapp_gateway.media_downloads.kept_since IS
    'The engine keeps what it offers for some minutes from then on; null: it has none, or keeps it for ever.';
COMMENT ON COLUMN whatsapp_gateway.media_downloads.again IS 'The engine has to get it from WhatsApp before the next try.';
COMMENT ON COLUMN whatsapp_gateway.media_downloads.due_at IS
    'When it is tried, while downloading the end of the lease; null: not at all.';
COMMENT ON COLUMN whatsapp_gateway.media_downloads.attempts IS 'Failures in a row.';
COMMENT ON COLUMN whatsapp_gateway.media_downloads.sha256 IS 'Of the stored file: its row of media_objects.';
