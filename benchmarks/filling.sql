-- An archive of %(messages)s messages in 200 chats, written directly: 140 people and 60 groups, a
-- message each half minute, the chats in turns as they come in life. Texts are of 1 to 24 words out of
-- 2,000, common ones more often; one in twelve is a picture, one in ten an answer, one in a hundred
-- was edited, one in fifteen has a reaction.

INSERT INTO whatsapp_gateway.sessions (session, account, push_name, engine, last_event_at)
VALUES ('filled', '5511900000000@c.us', 'Ana', 'NOWEB', now());

CREATE TEMPORARY TABLE chat_of AS
SELECT n, CASE WHEN n < 140 THEN (5511910000000 + n) || '@c.us' ELSE (120363000000000000 + n) || '@g.us' END AS chat
FROM generate_series(0, 199) AS n;

CREATE TEMPORARY TABLE word_of AS
SELECT n, substr(translate(md5(n::text), '0123456789', 'aeiourstln'), 1, 2 + n %% 7) AS word
FROM generate_series(0, 1999) AS n;
CREATE UNIQUE INDEX ON word_of (n);

CREATE TEMPORARY TABLE text_of AS
SELECT t.n, string_agg(w.word, ' ' ORDER BY k.k) AS text
FROM generate_series(0, 9999) AS t (n)
CROSS JOIN generate_series(0, 23) AS k (k)
JOIN word_of AS w ON w.n = floor(2000 * power(abs(hashint4(t.n * 24 + k.k)) / 2147483648.0, 3))::int
WHERE k.k <= abs(hashint4(t.n)) %% 24
GROUP BY t.n;
CREATE UNIQUE INDEX ON text_of (n);

CREATE TEMPORARY TABLE told AS
SELECT s.session_id, i, c.chat, '3EB0' || upper(substr(md5(i::text), 1, 16)) AS stanza,
    i %% 5 < 2 AS mine, i %% 12 = 7 AS picture,
    CASE WHEN i %% 5 < 2 THEN 'me' WHEN c.n < 140 THEN 'them'
        ELSE (5511910000000 + abs(hashint4(i)) %% 140) || '@c.us' END AS author,
    timestamptz '2026-10-01 12:00Z' - (%(messages)s::int - i) * interval '30 seconds' AS sent_at,
    t.text || CASE WHEN i %% 3 = 0 THEN ' ' || i ELSE '' END AS text
FROM generate_series(1, %(messages)s::int) AS i
JOIN chat_of AS c ON c.n = abs(hashint4(i)) %% 200
JOIN text_of AS t ON t.n = abs(hashint4(i + 7)) %% 10000
CROSS JOIN whatsapp_gateway.sessions AS s
WHERE s.session = 'filled';

INSERT INTO whatsapp_gateway.messages (
    session_id, session, chat_id, stanza_id, author, sent_at, waha_id, sender_id, sender_name, from_me,
    kind, completeness, text, reply_to, forwarded, forwarding_score, view_once, media, source
)
SELECT session_id, 'filled', chat, stanza, author, sent_at, mine || '_' || chat || '_' || stanza,
    CASE author WHEN 'me' THEN '5511900000000@c.us' WHEN 'them' THEN chat ELSE author END,
    CASE WHEN NOT mine THEN 'Person ' || right(author, 9) END, mine,
    CASE WHEN picture THEN 'image' ELSE 'text' END, 'a', text,
    CASE WHEN i %% 10 = 3 THEN jsonb_build_object('id', '3EB0' || upper(substr(md5((i - 1)::text), 1, 16)), 'text', left(text, 40)) END,
    false, 0, false,
    CASE WHEN picture THEN jsonb_build_object('mimetype', 'image/jpeg', 'size_bytes', 84000 + i %% 900, 'width', 1080, 'height', 1350) END,
    CASE WHEN mine THEN 'app' END
FROM told ORDER BY i;

INSERT INTO whatsapp_gateway.message_state (
    session_id, chat_id, stanza_id, author, sent_at, facts_key, ack, text, edited_at, by_phone, media_offer
)
SELECT session_id, chat, stanza, author, sent_at,
    decode('61' || substr(md5(i::text) || md5(stanza), 1, 48), 'hex'),
    CASE WHEN mine THEN 'read' END::whatsapp_gateway.ack,
    CASE WHEN i %% 100 = 50 THEN text || ' indeed' END,
    CASE WHEN i %% 100 = 50 THEN sent_at + interval '1 minute' END,
    true,
    CASE WHEN picture THEN jsonb_build_object('offered_at', '2026-10-01T12:00:00Z', 'url', 'http://waha:3000/api/files/filled/' || stanza || '.jpeg') END
FROM told ORDER BY i;

INSERT INTO whatsapp_gateway.message_edits (session_id, chat_id, stanza_id, author, edit_id, edited_at, text)
SELECT session_id, chat, stanza, author, stanza || 'E', sent_at + interval '1 minute', text || ' indeed'
FROM told WHERE i %% 100 = 50;

INSERT INTO whatsapp_gateway.reactions (session_id, chat_id, stanza_id, author, emoji, at, seen_at)
SELECT session_id, chat, stanza, CASE WHEN mine THEN 'them' ELSE 'me' END, '👍', sent_at, sent_at
FROM told WHERE i %% 15 = 4;

INSERT INTO whatsapp_gateway.message_search (session_id, chat_id, stanza_id, author, words)
SELECT session_id, chat, stanza, author, to_tsvector('whatsapp_gateway.message_text', text)
FROM told ORDER BY i;

INSERT INTO whatsapp_gateway.chats (session_id, session, chat_id, last_message_at)
SELECT session_id, 'filled', chat, max(sent_at) FROM told GROUP BY session_id, chat;

INSERT INTO whatsapp_gateway.contacts (session_id, session, contact_id, name, name_at)
SELECT DISTINCT session_id, 'filled', chat, 'Name ' || right(chat, 9), timestamptz '2026-10-01 12:00Z' FROM told;
