package stream

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"

	"datawriter/worker/fault"
)

// newScript returns a script of this package.
func newScript(text string) *redis.Script {
	for _, m := range scriptMutants {
		if m.mutant.Is() {
			text = strings.Replace(text, m.was, m.is, 1)
		}
	}
	return redis.NewScript(text)
}

// ask runs a script that changes nothing, as a user who may only read can, or as one
// who may run any script. The error code is NOPERM for one who may do neither.
func (s *Stream) ask(ctx context.Context, script *redis.Script, args ...any) *redis.Cmd {
	reply := script.RunRO(ctx, s.redis, []string{s.name}, args...)
	if hasCode(reply.Err(), []string{noPermission}) {
		return script.Run(ctx, s.redis, []string{s.name}, args...)
	}
	return reply
}

// noPermission is the error code of what the user may not do.
const noPermission = "NOPERM"

// scriptMutants are the mutants that lie in a script's text.
var scriptMutants = []struct {
	mutant  fault.Mutant
	was, is string
}{
	{fault.NeedsMemory, " flags=allow-oom", ""},
	{fault.GroupAtEnd, "ARGV[1], '0'", "ARGV[1], '$'"},
	{fault.SettlesAnyone, "~= ARGV[1] then\n", "== 'nobody' then\n"},
	{fault.GuardByRunID, "if serving ~= ARGV[1]", "if string.match(serving, '^%x+') ~= string.match(ARGV[1], '^%x+')"},
	{fault.SettlesForAll, "of['name'] ~= group", "false"},
	{fault.RescuesTwice, "  local added = redis.pcall('XADD', key, '*', unpack(entry[2]))\n", "  local added = redis.pcall('XADD', key, '*', unpack(entry[2]))\n  redis.pcall('XADD', key, '*', unpack(entry[2]))\n"},
	{fault.FenceGoesBack, "then return 0 end\nredis.call('XSETID'", "then end\nredis.call('XSETID'"},
}
