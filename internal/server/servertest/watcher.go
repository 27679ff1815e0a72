package servertest

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"atelier/internal/httpapi"
)

// watcher is a log that takes the access log's lines for itself: an error that the service's document does not have fails the test.
type watcher struct {
	slog.Handler
	t testing.TB
}

var errorCodes = sync.OnceValue(httpapi.ErrorCodes)

// failure is an error that an operation answered with.
type failure struct{ operation, code string }

var failures sync.Map // of all servers of this process

// SpecificCodes are the codes of what only some operations refuse.
var SpecificCodes = []string{
	"CB.00031059", "CB.00031105", "CB.00039001", "CB.00039002", "CB.00039003", "CB.00060203", "CB.00060212", "CB.00060213", "DEV.CB.032302", "DEV.CB.0520002",
}

// Unprovoked returns the errors that the service's document has, and that no server of this process has answered with yet: an operation
// and a code each.
func Unprovoked() (missing []string) {
	for operation, codes := range errorCodes() {
		for _, code := range codes {
			if _, seen := failures.Load(failure{operation, code}); !seen {
				missing = append(missing, operation+" "+code)
			}
		}
	}
	slices.Sort(missing)
	return missing
}

// Handle implements [slog.Handler].
func (w *watcher) Handle(ctx context.Context, record slog.Record) error {
	if record.Message != "request" {
		return w.Handler.Handle(ctx, record)
	}
	var operation, code string
	record.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "operation":
			operation = a.Value.String()
		case "error_code":
			code = a.Value.String()
		}
		return true
	})
	failures.Store(failure{operation, code}, true)
	if known := errorCodes()[operation]; code != "" && len(known) > 0 && !slices.Contains(known, code) {
		w.t.Errorf("the document of the service does not say that %s can answer with %s", operation, code)
	}
	return nil
}
