-- Adds marks. KEYS: the marks. ARGV: how long they are kept (ms), and the members.

add_marks(KEYS[1], unpack(ARGV))
return 1
