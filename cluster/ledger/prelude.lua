-- Shared by the scripts that write.
--
-- Lua numbers are doubles, exact to 2^53. Sums of difficulty are not numbers
-- here: they stay strings and are moved by HINCRBY. Chunk numbers, milliseconds
-- and counts of workers are far below 2^53 and may be numbers.

-- check holds the start of a range against the mark of its journal: nil when the
-- range is the next one, else the reply. A mark behind '!' was left by a script
-- that an error ended half way (a key of a wrong type): nothing more may be
-- applied, or its first half would be counted twice.
local function check(marks, journal, from)
  local mark = redis.call('HGET', marks, journal) or '0 0 0'
  if string.sub(mark, 1, 1) == '!' then return {'half', mark} end
  if string.match(mark, '^(%d+) ') ~= from then return {'mark', mark} end
  return nil
end

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

-- atMost compares two decimals of up to 20 digits.
local function atMost(a, b)
  local ah, al = halves(a)
  local bh, bl = halves(b)
  return ah < bh or (ah == bh and al <= bl)
end

-- add moves a sum by a decimal, which may have a minus. '-0' is no integer to
-- Redis, and adding nothing would create the field.
local function add(key, field, n)
  if n ~= '0' and n ~= '-0' then redis.call('HINCRBY', key, field, n) end
end
