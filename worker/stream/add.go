package stream

import (
	"context"

	"github.com/redis/go-redis/v9"

	"datawriter/worker/event"
)

// Addition is one entry to be added. Fields are names and values in turn.
type Addition struct {
	Kind   event.Kind
	ID     event.ID // zero lets Redis choose
	Fields [][]byte
}

// Add adds entries in one pipeline, in order. It returns the ID of each entry
// that Redis acknowledged; where one was not, its ID is zero and err is the
// first failure, ErrRefused among them. Entries behind a refused one may have
// been added: only IDs tell.
func (c *Client) Add(ctx context.Context, additions []Addition) ([]event.ID, error) {
	pipe := c.redis.Pipeline()
	commands := make([]*redis.Cmd, len(additions))
	for i := range additions {
		commands[i] = pipe.Do(ctx, c.addCommand(&additions[i])...)
	}
	_, failed := pipe.Exec(ctx)
	ids := make([]event.ID, len(additions))
	for i, command := range commands {
		text, err := command.Text()
		if err != nil {
			continue // failed is the first of these
		}
		if ids[i], err = event.ParseID(text); err != nil && failed == nil {
			failed = err
		}
	}
	return ids, classifyAdd("add entries", failed)
}

func (c *Client) addCommand(a *Addition) []any {
	id := "*"
	if !a.ID.IsZero() {
		id = a.ID.String()
	}
	command := make([]any, 0, 3+len(a.Fields))
	command = append(command, "XADD", c.Name(a.Kind), id)
	for _, f := range a.Fields {
		command = append(command, f)
	}
	return command
}
