-- Media: the tiny picture that came inside a message, until its file is stored.
--
-- Why so: it is all that there is to show of a file that WhatsApp gives out no longer. It is in the row that
-- says so, and goes with the UPDATE that completes it, so most rows have none. Pictures do not compress: none
-- is tried, and the larger ones lie beside the row, which pages and claims read without them.
-- Locks: the table's strongest, for an instant; nothing is rewritten. Messages that are there already get
-- theirs when they are told again, as by a replay. What a process of an older version completes after that
-- keeps its picture, which nobody is shown. Runs on PostgreSQL 15 to 18 and on TimescaleDB.

SET LOCAL lock_timeout = '5s';

ALTER TABLE whatsapp_gateway.media_downloads ADD COLUMN preview bytea;
ALTER TABLE whatsapp_gateway.media_downloads ALTER COLUMN preview SET STORAGE EXTERNAL;
COMMENT ON COLUMN whatsapp_gateway.media_downloads.preview IS
    'The tiny picture (JPEG, PNG or WebP) that came inside the message; null: none came, or the file is stored.';
