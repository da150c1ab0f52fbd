-- Keeps the Swarm id of a private visit, unless the account is deleted: it would never be erased.
--
-- KEYS: the Swarm ids of private visits, the status of the account. ARGV: the Swarm id.

if redis.call('GET', KEYS[2]) ~= 'deleted' then redis.call('SADD', KEYS[1], ARGV[1]) end
return 1
