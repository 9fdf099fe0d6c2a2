-- Statistics by kind and direction, and messages that are found by their state's time.
--
-- Why so: messages_hourly_stats becomes a continuous aggregate on TimescaleDB, which counts one table alone
-- and groups by its columns; the ordinary view has the same columns. current_messages joins by the time of
-- the message too, which a message and its state have in common: from a state, or a row of message_search,
-- one entry of one chunk's index is read, where it was all of the chat before.
-- Locks: both views for a moment; grants on messages_hourly_stats are to be given again. Runs on PostgreSQL
-- 15 to 18 and on TimescaleDB.

SET LOCAL lock_timeout = '5s';

DROP VIEW whatsapp_gateway.messages_hourly_stats;
CREATE VIEW whatsapp_gateway.messages_hourly_stats AS
SELECT
    date_trunc('hour', m.sent_at, 'UTC') AS hour, m.session_id, m.session, m.chat_id, m.kind, m.from_me,
    count(*) AS messages,
    count(*) FILTER (WHERE m.text <> '') AS with_text,
    count(*) FILTER (WHERE m.media IS NOT NULL) AS with_media
FROM whatsapp_gateway.messages AS m
GROUP BY 1, 2, 3, 4, 5, 6;
COMMENT ON VIEW whatsapp_gateway.messages_hourly_stats IS
    'Messages per hour (UTC), archive, chat, kind and direction. On the full edition of TimescaleDB a continuous '
    'aggregate takes its place.';

CREATE OR REPLACE VIEW whatsapp_gateway.current_messages AS
SELECT
    a.session, a.account, m.session_id, m.chat_id, m.stanza_id, m.author, m.sent_at, m.kind, m.from_me,
    m.sender_id, m.sender_name,
    CASE WHEN s.edited_at IS NULL THEN m.text ELSE s.text END AS text,
    m.text AS first_text, s.edited_at, s.ack, r.revoked_at, r.revoked_by, m.media, m.waha_id
FROM whatsapp_gateway.sessions AS a
JOIN whatsapp_gateway.messages AS m USING (session_id)
JOIN whatsapp_gateway.message_state AS s
    ON (s.session_id, s.chat_id, s.stanza_id, s.author, s.sent_at)
        = (m.session_id, m.chat_id, m.stanza_id, m.author, m.sent_at)
LEFT JOIN LATERAL (
    SELECT v.revoked_at, v.revoked_by
    FROM whatsapp_gateway.message_revocations AS v
    WHERE (v.session_id, v.chat_id, v.stanza_id) = (m.session_id, m.chat_id, m.stanza_id)
      AND v.author IN ('', m.author)
    ORDER BY v.revoked_at, v.author
    LIMIT 1
) AS r ON true;
