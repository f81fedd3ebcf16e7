package sink

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
)

// IdentityFile holds the archive's ID. It is a file of its own, so that archives
// of the older program get one, although a published file never changes.
const IdentityFile = "_archive_id.json"

type identityJSON struct {
	ID string `json:"id"`
}

// Identify returns the archive's ID, a random text that moves with it, and makes
// it durable. An archive without one gets it now.
func Identify(ctx context.Context, s Sink) (id string, err error) {
	id, err = ReadIdentity(ctx, s)
	if errors.Is(err, fs.ErrNotExist) {
		text, _ := json.Marshal(identityJSON{rand.Text()}) // of a string
		if err = publishText(ctx, s, "identity", IdentityFile, text); err == nil || errors.Is(err, ErrExists) {
			id, err = ReadIdentity(ctx, s)
		}
	}
	if err != nil {
		return "", err
	}
	return id, s.Harden(ctx, ".") // whoever wrote it may have died before its name was on disk
}

// ReadIdentity returns the archive's ID; fs.ErrNotExist when it has none yet.
func ReadIdentity(ctx context.Context, s Sink) (string, error) {
	text, err := readText(ctx, s, IdentityFile)
	if err != nil {
		return "", err
	}
	var have identityJSON
	if err := json.Unmarshal(text, &have); err != nil || have.ID == "" {
		return "", fmt.Errorf("%w: %s holds no ID: put the file back from a copy", ErrOtherArchive, IdentityFile)
	}
	return have.ID, nil
}
