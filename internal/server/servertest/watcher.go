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
	if known := errorCodes()[operation]; code != "" && len(known) > 0 && !slices.Contains(known, code) {
		w.t.Errorf("the document of the service does not say that %s can answer with %s", operation, code)
	}
	return nil
}
