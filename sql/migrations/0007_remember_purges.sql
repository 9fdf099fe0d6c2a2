-- Purges: what was let go for good, so that it does not come back; and who looks after that.
--
-- Why so: a purge is remembered first, and heeded by every writer from then on, so that what goes step by
-- step meanwhile, and what an engine tells again later, is not taken up. The ledger keeps the key and the
-- time of each message that was purged: a row of message_state that has a time and no facts_key. Processes of
-- an older version do not heed purges: stop them before the first one.
-- Locks: none that matter, both tables are new. Runs on PostgreSQL 15 to 18 and on TimescaleDB.

SET LOCAL lock_timeout = '5s';

CREATE TABLE whatsapp_gateway.purges (
    session_id  integer NOT NULL,
    chat_id     text COLLATE "C" NOT NULL,
    purged_by   text COLLATE "C" NOT NULL,
    before      timestamptz NOT NULL,
    purged_at   timestamptz NOT NULL,
    reason      text,
    with_log    boolean NOT NULL,
    finished_at timestamptz,
    CONSTRAINT purges_pkey PRIMARY KEY (session_id, chat_id, purged_by)
);
CREATE INDEX purges_unfinished_idx ON whatsapp_gateway.purges (purged_at) WHERE finished_at IS NULL;
COMMENT ON TABLE whatsapp_gateway.purges IS
    'Messages that were purged: those of a chat, or of all for an empty chat_id, that were sent before an instant. '
    'They are not archived again. A row says what one person, or the retention, said last.';
COMMENT ON COLUMN whatsapp_gateway.purges.chat_id IS
    'As the chat was addressed then; a purge of a LID holds for its phone, once that is known.';
COMMENT ON COLUMN whatsapp_gateway.purges.purged_by IS 'Who; "retention" for the settings.';
COMMENT ON COLUMN whatsapp_gateway.purges.before IS 'Exclusive; messages that are sent from then on are archived.';
COMMENT ON COLUMN whatsapp_gateway.purges.with_log IS 'Whether the rows of event_log received before that go, too.';
COMMENT ON COLUMN whatsapp_gateway.purges.finished_at IS 'When all of it was gone; null: a worker goes on.';

CREATE TABLE whatsapp_gateway.upkeep (
    task   text CONSTRAINT upkeep_pkey PRIMARY KEY,
    due_at timestamptz NOT NULL
);
COMMENT ON TABLE whatsapp_gateway.upkeep IS
    'What one worker does now and then for all: when it is due again, while one does it the end of its lease.';

COMMENT ON COLUMN whatsapp_gateway.message_state.sent_at IS
    'WhatsApp''s time; null while only the state is known. Without a facts_key: the message was purged.';
