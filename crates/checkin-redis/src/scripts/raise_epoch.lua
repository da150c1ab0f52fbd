-- Increases the epoch of an account. Returns the new epoch.
--
-- KEYS and ARGV: those of `still_admits`. The session that asks is kept.

return raise(ARGV[2])
