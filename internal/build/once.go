package build

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"atelier/internal/fault"
)

// ClientToken is what clients call [StartRequest.Token].
const ClientToken = "X-Client-Token"

// Once makes a start request known when it comes again: the same token of the same user for the same job.
type Once struct {
	UserID  string // empty for what times and changes of code start, whoever tells of them
	Token   string
	Meaning string // sealed digest of what the request asks for
}

// startOnce starts a build unless the request's token has started one before, which it then returns.
func (s *Service) startOnce(ctx context.Context, actor Actor, req StartRequest, day string, draft Draft) (record Record, repeated bool, err error) {
	wanted := meaning(req)
	// The digest is sealed because the values of private parameters go into it, and a short one could be guessed from it.
	sealed, err := s.Sealer.Seal(wanted)
	if err != nil {
		return Record{}, false, err
	}
	user := actor.UserID
	if req.unattended || req.Trigger == CodeChange {
		user = ""
	}
	record, earlier, err := s.Store.StartBuildOnce(ctx, req.JobID, day, Once{UserID: user, Token: req.Token, Meaning: sealed}, draft)
	if err != nil || earlier == "" {
		return record, false, err
	}
	first, err := s.Sealer.Open(earlier)
	if err != nil {
		return Record{}, false, fmt.Errorf("open what the token of build %d stands for: %w", record.Number, err)
	}
	if first != wanted {
		return Record{}, false, fault.Field(ClientToken, "found %s, with which build %d was started, but with other parameters or another scm; "+
			"repeat that request as it was, or use another token for a new build", quote(req.Token), record.Number)
	}
	return record, true, nil
}

// meaning returns a digest of what a request asks for. Two requests have the same one if and only if they ask for the same:
// every text stands behind its length, so that none runs into the next, and the order of the parameters does not count.
func meaning(req StartRequest) string {
	h := sha256.New()
	put := func(texts ...string) {
		for _, text := range texts {
			fmt.Fprintf(h, "%d:%s", len(text), text)
		}
	}
	put(string(req.JobID), string(req.RefKind), req.Branch, req.Tag, req.Commit, string(cmp.Or(req.Trigger, Manual)))
	for _, p := range slices.SortedFunc(slices.Values(req.Parameters), func(a, b NameValue) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
	}) {
		put(p.Name, p.Value)
	}
	return hex.EncodeToString(h.Sum(nil))
}
