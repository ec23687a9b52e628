-- Applies one batch of summed credits and rejects, once.
--
-- KEYS  1 mark  2 stats  3 round hashes  4 round shares  5 round total
--       then one slice per minute, then (wallet, workers, slots) per wallet
-- ARGV  seq, mark TTL s, longest and shortest wallet TTL s, wallets kept,
--       work of a wallet kept, max workers, worker span s,
--       hashes, shares, first share ms, last share ms,
--       #minutes,  per minute:  unix time to expire at, hashes
--       #reasons,  per reason:  reason, count
--       #wallets,  per wallet:  name, hashes, shares, last ms,
--                               #reasons, (reason, count)*, #workers
--         per worker: name, hashes, shares, last ms, rejects,
--                     #slices, (index of the minute, hashes)*
-- reply {'ok', seq} | {'dup', mark} | {'gap', mark} | {'half', mark}
--       | {'overflow', text} | {'corrupt', text}

local at = 0
local function arg() at = at + 1; return ARGV[at] end
local function num() return tonumber(arg()) end

local mark, stats, rHashes, rShares, rTotal = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local seq, markTTL, longTTL, shortTTL = arg(), arg(), num(), num()
local walletsKept, walletWork, maxWorkers, workerSpan = num(), num(), num(), num()
local hashes, shares, first, last = arg(), arg(), arg(), arg()

local no = check(mark, seq)
if no then return no end

-- Every sum below is a part of one of these two, so when they fit all fit, and
-- no HINCRBY can fail half way.
for _, f in ipairs({{'hashes', hashes}, {'shares', shares}}) do
  local now = redis.call('HGET', stats, f[1]) or '0'
  local ok = fits(now, f[2])
  if ok == nil then return {'corrupt', stats .. ' ' .. f[1] .. ' is ' .. now} end
  if not ok then return {'overflow', stats .. ' ' .. f[1] .. ' is ' .. now .. ', adding ' .. f[2] .. ' exceeds 2^63-1'} end
end

begin(mark, seq)

-- Weights say whose work was more of late. They decide what is kept, they are no
-- account of anything: logarithms of difficulty, in which work done a span ago
-- counts 1/e of the same work now. To fade is in the units: now/span grows for
-- what comes, so a weight at rest needs no update and two can be compared as
-- they are. Redis' own clock, since nodes' clocks differ.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000

local function weight(old, work, span)
  local new = now / span + math.log(tonumber(work))
  old = tonumber(old or '')
  if not old then return new end
  local more, less = math.max(old, new), math.min(old, new)
  return more + math.log(1 + math.exp(less - more))
end

local function text(w) return string.format('%.9f', w) end

local credited = shares ~= '0'
if credited then
  redis.call('HINCRBY', stats, 'hashes', hashes)
  redis.call('HINCRBY', stats, 'shares', shares)
  redis.call('HSET', stats, 'last', last)
  redis.call('HINCRBY', rTotal, 'hashes', hashes)
  redis.call('HINCRBY', rTotal, 'shares', shares)
  redis.call('HSETNX', rTotal, 'started', first)
  redis.call('HSET', stats, 'weight', text(weight(redis.call('HGET', stats, 'weight'), hashes, longTTL)))
end

-- What a wallet must weigh to be kept for the longest time: its part among
-- walletsKept of the pool's work in that time, and walletWork at least. A wallet
-- is kept for as much of the time as it has of the weight. So wallets that come
-- and go, however many, leave no more than walletsKept at any moment beside those
-- in their shortest time, and nobody more than his part of the pool's work.
local full = now / longTTL + math.log(walletWork)
if credited then
  full = math.max(full, tonumber(redis.call('HGET', stats, 'weight')) - math.log(walletsKept))
end
local function lifetime(w)
  return string.format('%.0f', math.max(shortTTL, longTTL * math.min(1, math.exp(w - full))))
end

local slice, n = {}, num()
for i = 1, n do
  slice[i] = {key = KEYS[5 + i], expire = arg()}
  redis.call('HINCRBY', slice[i].key, '*', arg())
end
local base = 5 + n

for _ = 1, num() do
  local reason, count = arg(), arg()
  redis.call('HINCRBY', stats, 'reject:' .. reason, count)
end

-- toOther adds a worker's counters to those of "other" and forgets its name.
local function toOther(key, name)
  for _, p in ipairs({'h:', 'n:', 'r:'}) do
    redis.call('HINCRBY', key, p .. 'other', redis.call('HGET', key, p .. name) or '0')
  end
  local last = redis.call('HGET', key, 'l:' .. name) or '0'
  if tonumber(last) > tonumber(redis.call('HGET', key, 'l:other') or '0') then
    redis.call('HSET', key, 'l:other', last)
  end
  redis.call('HDEL', key, 'h:' .. name, 'n:' .. name, 'r:' .. name, 'l:' .. name)
end

-- credit gives the name under which a worker's shares are counted, and whether
-- it has just taken over another's slot. Slots go by weight: the work of workers
-- without one is pressure on the lightest slot, and the worker whose share makes
-- the pressure the heavier of the two takes the slot, with the pressure as its
-- weight. So each change of hands costs as much work as it ends; names that come
-- with a share each push out names of a share each; and to push out a rig takes
-- the rig's work of the last hours as many times as there are slots (this is the
-- Space-Saving algorithm of Metwally et al., with work that fades).
local function credit(key, slots, name, hashes)
  if name == 'other' then return name, false end
  local own = redis.call('ZSCORE', slots, name)
  if own or redis.call('ZCARD', slots) < maxWorkers then
    redis.call('ZADD', slots, text(weight(own, hashes, workerSpan)), name)
    return name, false
  end
  local pressure = weight(redis.call('HGET', key, '#pressure'), hashes, workerSpan)
  local lightest = redis.call('ZRANGE', slots, 0, 0, 'WITHSCORES')
  if pressure <= tonumber(lightest[2]) then
    redis.call('HSET', key, '#pressure', text(pressure))
    return 'other', false
  end
  toOther(key, lightest[1])
  redis.call('HDEL', key, '#pressure')
  redis.call('ZREM', slots, lightest[1])
  redis.call('ZADD', slots, text(pressure), name)
  return name, true
end

for w = 1, num() do
  local wKey, kKey, slots = KEYS[base + 3 * w - 2], KEYS[base + 3 * w - 1], KEYS[base + 3 * w]
  local name, h, s, l = arg(), arg(), arg(), num()
  local known, ttl = s ~= '0', nil
  if known then
    redis.call('HINCRBY', rHashes, name, h)
    redis.call('HINCRBY', rShares, name, s)
    redis.call('HINCRBY', wKey, 'hashes', h)
    redis.call('HINCRBY', wKey, 'shares', s)
    local old = redis.call('HMGET', wKey, 'last', 'weight')
    local own = weight(old[2], h, longTTL)
    ttl = lifetime(own)
    redis.call('HSET', wKey, 'last', string.format('%.0f', math.max(l, tonumber(old[1] or '0'))), 'weight', text(own))
    redis.call('EXPIRE', wKey, ttl)
  else
    known = redis.call('EXISTS', wKey) == 1 -- refused shares alone create nothing
  end
  for _ = 1, num() do
    local reason, count = arg(), arg()
    if known then redis.call('HINCRBY', wKey, 'reject:' .. reason, count) end
  end
  local touched = false
  for _ = 1, num() do
    local wn, wh, ws, wl, wr = arg(), arg(), arg(), num(), arg()
    local as, taken = nil, false
    if known and ws ~= '0' then
      touched = true
      as, taken = credit(kKey, slots, wn, wh)
      redis.call('HINCRBY', kKey, 'h:' .. as, wh)
      redis.call('HINCRBY', kKey, 'n:' .. as, ws)
      if wl > tonumber(redis.call('HGET', kKey, 'l:' .. as) or '0') then
        redis.call('HSET', kKey, 'l:' .. as, string.format('%.0f', wl))
      end
    elseif known and redis.call('HEXISTS', kKey, 'n:' .. wn) == 1 then
      as = wn -- refused shares alone create no worker
    end
    if as and wr ~= '0' then redis.call('HINCRBY', kKey, 'r:' .. as, wr) end
    -- A name that has just taken over is not in its first slices: names that
    -- come with a share each would each leave a field there.
    local shown = taken and 'other' or as
    for _ = 1, num() do
      local key, sh = slice[num()].key, arg()
      redis.call('HINCRBY', key, name, sh)
      redis.call('HINCRBY', key, name .. '/' .. (shown or wn), sh)
    end
  end
  if touched then
    redis.call('EXPIRE', kKey, ttl)
    redis.call('EXPIRE', slots, ttl)
  end
end

-- Last: a slice that is already too old is deleted by its own expiry.
for i = 1, #slice do redis.call('EXPIREAT', slice[i].key, slice[i].expire) end

finish(mark, seq, markTTL)
return {'ok', seq}
