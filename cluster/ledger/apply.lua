-- Applies one batch of summed credits and rejects, once.
--
-- KEYS  1 mark  2 stats  3 round hashes  4 round shares  5 round total
--       then one slice per minute, then (wallet, workers) per wallet
-- ARGV  seq, mark TTL s, wallet TTL s, max workers, now ms,
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
local seq, markTTL, walletTTL, maxWorkers, now = arg(), arg(), arg(), num(), num()
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

local credited = shares ~= '0'
if credited then
  redis.call('HINCRBY', stats, 'hashes', hashes)
  redis.call('HINCRBY', stats, 'shares', shares)
  redis.call('HSET', stats, 'last', last)
  redis.call('HINCRBY', rTotal, 'hashes', hashes)
  redis.call('HINCRBY', rTotal, 'shares', shares)
  redis.call('HSETNX', rTotal, 'started', first)
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

-- dropIdle makes room among the workers of a wallet: those without a share for
-- a day are added to "other". At most every ten minutes per wallet.
local function dropIdle(key)
  if now - tonumber(redis.call('HGET', key, '#pruned') or '0') < 600000 then return end
  redis.call('HSET', key, '#pruned', string.format('%.0f', now))
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    local f = all[i]
    if string.sub(f, 1, 2) == 'l:' and f ~= 'l:other' and now - tonumber(all[i + 1]) > 86400000 then
      local name = string.sub(f, 3)
      for _, p in ipairs({'h:', 'n:', 'r:'}) do
        redis.call('HINCRBY', key, p .. 'other', redis.call('HGET', key, p .. name) or '0')
      end
      redis.call('HDEL', key, 'h:' .. name, 'n:' .. name, 'r:' .. name, 'l:' .. name)
      redis.call('HINCRBY', key, '#n', -1)
    end
  end
end

-- worker gives the name a worker is counted under; only a share creates one.
local function worker(key, name, isShare)
  if name == 'other' or redis.call('HEXISTS', key, 'n:' .. name) == 1 then return name end
  if not isShare then return nil end
  if tonumber(redis.call('HGET', key, '#n') or '0') >= maxWorkers then
    dropIdle(key)
    if tonumber(redis.call('HGET', key, '#n') or '0') >= maxWorkers then return 'other' end
  end
  redis.call('HINCRBY', key, '#n', 1)
  return name
end

for w = 1, num() do
  local wKey, kKey = KEYS[base + 2 * w - 1], KEYS[base + 2 * w]
  local name, h, s, l = arg(), arg(), arg(), num()
  local known = s ~= '0'
  if known then
    redis.call('HINCRBY', rHashes, name, h)
    redis.call('HINCRBY', rShares, name, s)
    redis.call('HINCRBY', wKey, 'hashes', h)
    redis.call('HINCRBY', wKey, 'shares', s)
    if l > tonumber(redis.call('HGET', wKey, 'last') or '0') then
      redis.call('HSET', wKey, 'last', string.format('%.0f', l))
    end
    redis.call('EXPIRE', wKey, walletTTL)
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
    local as = nil
    if known then as = worker(kKey, wn, ws ~= '0') end
    if as then
      if ws ~= '0' then
        touched = true
        redis.call('HINCRBY', kKey, 'h:' .. as, wh)
        redis.call('HINCRBY', kKey, 'n:' .. as, ws)
        if wl > tonumber(redis.call('HGET', kKey, 'l:' .. as) or '0') then
          redis.call('HSET', kKey, 'l:' .. as, string.format('%.0f', wl))
        end
      end
      if wr ~= '0' and (as ~= 'other' or ws ~= '0' or redis.call('HEXISTS', kKey, 'n:other') == 1) then
        redis.call('HINCRBY', kKey, 'r:' .. as, wr)
      end
    end
    for _ = 1, num() do
      local key, sh = slice[num()].key, arg()
      redis.call('HINCRBY', key, name, sh)
      redis.call('HINCRBY', key, name .. '/' .. (as or wn), sh)
    end
  end
  if touched then redis.call('EXPIRE', kKey, walletTTL) end
end

-- Last: a slice that is already too old is deleted by its own expiry.
for i = 1, #slice do redis.call('EXPIREAT', slice[i].key, slice[i].expire) end

finish(mark, seq, markTTL)
return {'ok', seq}
