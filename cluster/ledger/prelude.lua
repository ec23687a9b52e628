-- Shared by apply.lua and close.lua.
--
-- Lua numbers are doubles, exact to 2^53. Sums of difficulty are not numbers
-- here: they stay strings and are moved by HINCRBY. Sequences, milliseconds and
-- counts of workers are far below 2^53 and may be numbers.

-- check compares an item's sequence with the stream's mark: nil when it is the
-- next one, else the reply. A mark ending in '!' was left by a script that an
-- error ended half way (a key of a wrong type): nothing more may be applied, or
-- its first half would be counted twice.
local function check(markKey, seq)
  local mark = redis.call('GET', markKey) or '0'
  if string.sub(mark, -1) == '!' then return {'half', mark} end
  local m, s = tonumber(mark), tonumber(seq)
  if s <= m then return {'dup', mark} end
  if s ~= m + 1 then return {'gap', mark} end
  return nil
end

-- begin and finish bracket the writes. Redis logs a script's writes as one
-- transaction, so the '!' is only ever seen after an error, never after a crash.
local function begin(markKey, seq) redis.call('SET', markKey, seq .. '!') end
local function finish(markKey, seq, ttl) redis.call('SET', markKey, seq, 'EX', ttl) end

-- halves splits a decimal of up to 20 digits into two exact numbers.
local function halves(s)
  s = string.rep('0', 20 - #s) .. s
  return tonumber(string.sub(s, 1, 10)), tonumber(string.sub(s, 11))
end

-- fits tells whether a + b <= 2^63-1 = 0922337203 6854775807; nil when a is not
-- a sum at all.
local function fits(a, b)
  if not string.match(a, '^%d+$') or #a > 20 then return nil end
  if #a <= 18 and #b <= 18 then return true end
  local ah, al = halves(a)
  local bh, bl = halves(b)
  local hi, lo = ah + bh, al + bl
  if lo >= 10000000000 then hi, lo = hi + 1, lo - 10000000000 end
  return hi < 922337203 or (hi == 922337203 and lo <= 6854775807)
end
