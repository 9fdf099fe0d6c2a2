"""What the server does at once for the spool, in Lua.

KEYS: 1 the entries, a stream; 2 their bytes, a number; 3 the entries that were set aside, a
stream; 4 who has the spool to itself. Who takes something out may do so when memory is full.
"""

PUT = """#!lua
-- ARGV: the bodies, packed; their bytes; how many bytes may wait. Returns 0 where it is full.
if redis.call('XLEN', KEYS[1]) == 0 then redis.call('SET', KEYS[2], 0) end
local held = tonumber(redis.call('GET', KEYS[2]) or '0')
if held + tonumber(ARGV[2]) > tonumber(ARGV[3]) then return 0 end
redis.call('XADD', KEYS[1], '*', 'bodies', ARGV[1], 'bytes', ARGV[2])
redis.call('INCRBY', KEYS[2], ARGV[2])
return 1
"""

OLDEST = """#!lua flags=allow-oom
-- ARGV: who asks; for how long it has the spool, in ms; most entries; bytes that are enough; how
-- those of this version begin; the keys of entries that are passed over. Returns the entries, and
-- how many there are before their end that a newer version kept.
local holder = redis.call('GET', KEYS[4])
if holder and holder ~= ARGV[1] then return {{}, 0} end
local function is_newer(bodies)
  return bodies:sub(1, #ARGV[5]) ~= ARGV[5] and bodies:find('^wagateway spool %d+\\n')
end
local passed = {}
for at = 6, #ARGV do passed[ARGV[at]] = true end
local found, newer, bytes, from = {}, 0, 0, '-'
while #found < tonumber(ARGV[3]) and bytes < tonumber(ARGV[4]) do
  local entry = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', 1)[1]
  if not entry then break end
  if is_newer(entry[2][2]) then
    newer = newer + 1
  elseif not passed[entry[1]] then
    found[#found + 1] = {entry[1], entry[2][2]}
    bytes = bytes + #entry[2][2]
  end
  from = '(' .. entry[1]
end
if #found > 0 then redis.call('SET', KEYS[4], ARGV[1], 'PX', ARGV[2])
elseif holder then redis.call('DEL', KEYS[4]) end
return {found, newer}
"""

LET_GO = """#!lua flags=allow-oom
-- ARGV: who asks; for how long it has the spool, in ms; the keys of the entries.
for at = 3, #ARGV do
  local entry = redis.call('XRANGE', KEYS[1], ARGV[at], ARGV[at])[1]
  if entry then
    redis.call('XDEL', KEYS[1], ARGV[at])
    redis.call('DECRBY', KEYS[2], entry[2][4])
  end
end
if redis.call('GET', KEYS[4]) == ARGV[1] then
  if redis.call('XLEN', KEYS[1]) > 0 then redis.call('PEXPIRE', KEYS[4], ARGV[2])
  else redis.call('DEL', KEYS[4]) end
end
"""

SET_ASIDE = """#!lua flags=allow-oom
-- ARGV: the key of the entry.
local entry = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
if entry then
  redis.call('XADD', KEYS[3], '*', 'bodies', entry[2][2], 'bytes', entry[2][4], 'key', ARGV[1])
  redis.call('XDEL', KEYS[1], ARGV[1])
  redis.call('DECRBY', KEYS[2], entry[2][4])
end
"""

PUT_BACK = """#!lua flags=allow-oom
-- ARGV: most entries. Moves them to the end of those that wait, and returns how many they were.
local found = redis.call('XRANGE', KEYS[3], '-', '+', 'COUNT', ARGV[1])
if redis.call('XLEN', KEYS[1]) == 0 then redis.call('SET', KEYS[2], 0) end
for _, entry in ipairs(found) do
  redis.call('XADD', KEYS[1], '*', 'bodies', entry[2][2], 'bytes', entry[2][4])
  redis.call('INCRBY', KEYS[2], entry[2][4])
  redis.call('XDEL', KEYS[3], entry[1])
end
return #found
"""

DEPTH = """#!lua flags=no-writes
-- Returns how many wait, their bytes, the key of the first or an empty text, how many are aside.
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
local bytes = first and tonumber(redis.call('GET', KEYS[2]) or '0') or 0
return {redis.call('XLEN', KEYS[1]), bytes, first and first[1] or '', redis.call('XLEN', KEYS[3])}
"""

RELEASE = """#!lua flags=allow-oom
-- ARGV: who asks.
if redis.call('GET', KEYS[4]) == ARGV[1] then redis.call('DEL', KEYS[4]) end
"""
