#!lua
-- Appends changes that were checked already, as appending.lua says.
--
-- KEYS, ARGV, returns  as appending.lua has them
return append(KEYS, ARGV)
