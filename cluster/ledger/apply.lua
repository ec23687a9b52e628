-- Applies one range (from, to] of a journal: summed credits and rejects, then at
-- most one event. All of it or nothing, once.
--
-- KEYS  1 marks  2 stats  3 open chunk  4 blocks  5 rounds  6 gaps
--       7 prefix of a chunk  8 prefix of a block  9 owners
--       then one slice per minute, then (wallet, workers, slots) per wallet
-- ARGV  journal, prefix of this start, from, to, its cumulative hashes and shares
--       at to, node,
--       longest and shortest wallet TTL s, wallets kept, work of a wallet kept,
--       max workers, worker span s,
--       size of a chunk, least time of a chunk ms,
--       hashes, verified hashes, unverified hashes, shares,
--       first share ms, last share ms,
--       #minutes,  per minute:  unix time to expire at, hashes
--       #reasons,  per reason:  reason, count
--       #wallets,  per wallet:  name, hashes, verified, unverified, shares, last ms,
--                               #reasons, (reason, count)*, #workers
--         per worker: name, hashes, shares, last ms, rejects,
--                     #slices, (index of the minute, hashes)*
--       event: '' | 'found' | 'accepted' | 'refused' | 'clawback' | 'vest' | 'gap',
--       and its arguments, see below
-- reply {'ok', mark, word*}: the words tell what the event did
--       | {'mark', mark}: from is not the mark
--       | {'fenced', prefix}: a later start applies the journal
--       | {'half', mark} | {'overflow', text} | {'corrupt', text}
--
-- Chunks and blocks are named by number and id behind a prefix that carries the
-- pool's hash tag, hence the slot of the declared keys.

local at = 0
local function arg() at = at + 1; return ARGV[at] end
local function num() return tonumber(arg()) end

local marks, stats, openChunk, blocks, rounds, gaps = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local chunkPrefix, blockPrefix, owners = KEYS[7], KEYS[8], KEYS[9]
local journal, start, from, to = arg(), arg(), arg(), arg()
local mark = to .. ' ' .. arg() .. ' ' .. arg() .. ' ' .. arg()
local longTTL, shortTTL = num(), num()
local walletsKept, walletWork, maxWorkers, workerSpan = num(), num(), num(), num()
local chunkSize, chunkTime = arg(), num()
local hashes, verified, unverified, shares, first, last = arg(), arg(), arg(), arg(), arg(), arg()

local owner = redis.call('HGET', owners, journal) or '0'
if tonumber(owner) > tonumber(start) then return {'fenced', owner} end

local no = check(marks, journal, from)
if no then return no end

-- Every sum below is a part of one of these two, so when they fit all fit, and
-- no HINCRBY can fail half way.
local before = redis.call('HGET', stats, 'hashes') or '0'
for _, f in ipairs({{'hashes', before, hashes}, {'shares', redis.call('HGET', stats, 'shares') or '0', shares}}) do
  local ok = fits(f[2], f[3])
  if ok == nil then return {'corrupt', stats .. ' ' .. f[1] .. ' is ' .. f[2]} end
  if not ok then return {'overflow', stats .. ' ' .. f[1] .. ' is ' .. f[2] .. ', adding ' .. f[3] .. ' exceeds 2^63-1'} end
end
local chunk = redis.call('GET', openChunk) or '1'
if not string.match(chunk, '^[1-9]%d*$') then return {'corrupt', openChunk .. ' is ' .. chunk} end

-- Both move in one step, so a chunk that has more than its mark says is the work of
-- somebody else: what it has would count twice.
local has = redis.call('HGET', chunkPrefix .. chunk, '@' .. journal)
if has and tonumber(has) > tonumber(from) then
  return {'corrupt', chunkPrefix .. chunk .. ' has journal ' .. journal .. ' up to ' .. has .. ', but its mark is ' .. from}
end
if owner ~= start then redis.call('HSET', owners, journal, start) end

-- The '!' stays if an error ends the script half way. Redis logs a script's
-- writes as one transaction, so it is never seen after a crash.
if to ~= from then redis.call('HSET', marks, journal, '!' .. mark) end

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

-- The open chunk. It is there once something was written to it.
local function chunkKey(n) return chunkPrefix .. n end
local function touch()
  local key = chunkKey(chunk)
  redis.call('HSETNX', key, '#before', before)
  if to ~= from then redis.call('HSET', key, '@' .. journal, to) end
  return key
end
local open = touch()
if credited then
  add(open, '#hashes', verified)
  add(open, '#unverified', unverified)
  redis.call('HINCRBY', open, '#shares', shares)
  redis.call('HSETNX', open, '#first', first)
  redis.call('HSET', open, '#last', last)
end

-- cut closes the open chunk; what comes later lands in the next one.
local function cut(ms, block)
  redis.call('HSET', open, '#closed', ms)
  if block then redis.call('HSET', open, '#block', block) end
  redis.call('SET', openChunk, chunk)
  redis.call('INCR', openChunk)
  local was = tonumber(chunk)
  chunk = redis.call('GET', openChunk)
  return was
end

local slice, n = {}, num()
for i = 1, n do
  slice[i] = {key = KEYS[9 + i], expire = arg()}
  redis.call('HINCRBY', slice[i].key, '*', arg())
end
local base = 9 + n

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
  local name, h, v, u, s, l = arg(), arg(), arg(), arg(), arg(), num()
  local known, ttl = s ~= '0', nil
  if known then
    add(open, name, v)
    add(open, '~' .. name, u)
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

-- Events. What they write stands behind everything that was credited before.
local word = {}

-- record writes down a found block. arguments: #fields, (field, value)*
local function record(id, state)
  local key = blockPrefix .. id
  redis.call('HSET', key, 'id', id, 'state', state, 'journal', journal, 'position', to)
  for _ = 1, num() do
    local field, value = arg(), arg()
    redis.call('HSET', key, field, value)
  end
  return key
end

-- sums adds what chunks have to a block's round, or takes it away.
local function sums(key, sign, low, high)
  for c = low, high do
    local got = redis.call('HMGET', chunkKey(string.format('%.0f', c)), '#hashes', '#unverified', '#shares')
    add(key, 'hashes', sign .. (got[1] or '0'))
    add(key, 'unverified', sign .. (got[2] or '0'))
    add(key, 'shares', sign .. (got[3] or '0'))
  end
end

-- neighbour is the round next to a chunk: its block's id and its cut.
local function neighbour(found) return found[1], tonumber(found[2]) end
local function roundBefore(c) return neighbour(redis.call('ZREVRANGEBYSCORE', rounds, '(' .. c, '-inf', 'WITHSCORES', 'LIMIT', 0, 1)) end
local function roundFrom(c) return neighbour(redis.call('ZRANGEBYSCORE', rounds, c, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)) end

-- close makes a round of the chunks between the round before and the block's
-- cut. Where a later block has closed a round over them already the chunks are
-- taken from it, unless they are being paid out: then the block closes what is
-- open now.
local function close(id, key, ms)
  local cutAt = tonumber(redis.call('HGET', key, 'cut'))
  local next = roundFrom(cutAt)
  if next then
    local state = redis.call('HGET', blockPrefix .. next, 'state')
    if state ~= 'found' and state ~= 'immature' then
      cutAt, next = cut(ms, id), nil
      redis.call('HSET', key, 'cut', cutAt, 'late', 1)
      redis.call('ZADD', blocks, cutAt, id)
    end
  end
  local _, low = roundBefore(cutAt)
  low = (low or 0) + 1
  if next then
    redis.call('HSET', blockPrefix .. next, 'first', cutAt + 1)
    sums(blockPrefix .. next, '-', low, cutAt)
  end
  redis.call('HSET', key, 'state', 'immature', 'first', low, 'closed', ms, 'hashes', 0, 'unverified', 0, 'shares', 0)
  sums(key, '', low, cutAt)
  redis.call('ZADD', rounds, cutAt, id)
  redis.call('HINCRBY', stats, 'blocks', 1)
  local s = redis.call('HMGET', key, 'hashes', 'unverified', 'shares')
  word = {'closed', tostring(low), tostring(cutAt), s[1], s[2], s[3]}
end

local event = arg()
if event == 'found' then -- block id, ms, fields
  local id, ms = arg(), arg()
  if redis.call('EXISTS', blockPrefix .. id) == 1 then
    word = {'known'}
  else
    local cutAt = cut(ms, id)
    redis.call('HSET', record(id, 'found'), 'cut', cutAt)
    redis.call('ZADD', blocks, cutAt, id)
    word = {'found', tostring(cutAt)}
  end
elseif event == 'accepted' or event == 'refused' then -- block id, ms, daemon or reason, fields
  local id, ms, why = arg(), arg(), arg()
  local key = blockPrefix .. id
  local state = redis.call('HGET', key, 'state')
  if not state then -- its record was never written: the disk was full, say
    record(id, 'found')
    local cutAt = cut(ms, id)
    redis.call('HSET', key, 'cut', cutAt)
    redis.call('ZADD', blocks, cutAt, id)
    state = 'found'
  end
  if state ~= 'found' then
    word = {'known'}
  elseif event == 'accepted' then
    redis.call('HSET', key, 'daemon', why)
    close(id, key, ms)
  else
    redis.call('HSET', key, 'state', 'orphaned', 'reason', why, 'closed', ms)
    word = {'orphaned'}
  end
elseif event == 'clawback' then -- wallet: all its unverified credit goes
  local wallet, taken = '~' .. arg(), 0
  for c = tonumber(redis.call('HGET', stats, 'oldest') or '1'), tonumber(chunk) do
    local key = chunkKey(string.format('%.0f', c))
    local u = redis.call('HGET', key, wallet)
    if u then
      redis.call('HDEL', key, wallet)
      add(key, '#unverified', '-' .. u)
      add(stats, 'clawed', u)
      local of = roundFrom(c)
      if of then add(blockPrefix .. of, 'unverified', '-' .. u) end
      taken = taken + 1
    end
  end
  word = {'clawed', tostring(taken)}
elseif event == 'vest' then -- wallet, hashes: so much of its unverified credit is verified, the oldest first
  local wallet = arg()
  redis.call('HSET', stats, '#vest', arg())
  for c = tonumber(redis.call('HGET', stats, 'oldest') or '1'), tonumber(chunk) do
    local left = redis.call('HGET', stats, '#vest')
    if left == '0' then break end
    local key = chunkKey(string.format('%.0f', c))
    local u = redis.call('HGET', key, '~' .. wallet)
    if u then
      if not atMost(u, left) then u = left end
      add(key, '~' .. wallet, '-' .. u)
      if redis.call('HGET', key, '~' .. wallet) == '0' then redis.call('HDEL', key, '~' .. wallet) end
      add(key, '#unverified', '-' .. u)
      add(key, wallet, u)
      add(key, '#hashes', u)
      add(stats, '#vest', '-' .. u)
      local of = roundFrom(c)
      if of then
        add(blockPrefix .. of, 'unverified', '-' .. u)
        add(blockPrefix .. of, 'hashes', u)
      end
    end
  end
  word = {'vested', redis.call('HGET', stats, '#vest')}
  redis.call('HDEL', stats, '#vest')
elseif event == 'gap' then -- JSON
  redis.call('RPUSH', gaps, arg())
  redis.call('LTRIM', gaps, -1000, -1)
  word = {'gap'}
end

-- A chunk that is full, by the doubles that a decision may use, and old enough
-- is cut behind the range.
if credited and open == chunkKey(chunk) then
  local got = redis.call('HMGET', open, '#hashes', '#unverified', '#first')
  if tonumber(got[1] or '0') + tonumber(got[2] or '0') >= tonumber(chunkSize) and tonumber(last) - tonumber(got[3]) >= chunkTime then
    cut(last)
  end
end

if to ~= from then redis.call('HSET', marks, journal, mark) end
return {'ok', redis.call('HGET', marks, journal) or '0 0 0', unpack(word)}
