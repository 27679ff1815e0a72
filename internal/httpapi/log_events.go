package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"

	"atelier/internal/build"
	"atelier/internal/fault"
)

type logEventsRequest struct {
	RecordID recordID  `path:"record_id"`
	Offset   logOffset `query:"offset"`
}

// logEvents is an answer that follows a log with server-sent events. It has no state but the offset, which is the id of each
// event: a reader that comes back with the last id it has seen misses no byte and gets none twice, whatever happened to the
// connection, the server or the file meanwhile.
//
// A reader costs a goroutine and one chunk of the log in memory. Who does not take what is sent is hung up on. Once in
// a while everybody is, and has to prove again who calls; the right to see the build is looked at with the state of the build.
type logEvents struct {
	*API
	actor  build.Actor
	record build.RecordID
	offset int64
	times  eventTimes

	release func() // what the stream counts for
}

// streamsPerCaller is how many logs a user may follow at a time.
const streamsPerCaller = 64

// eventTimes are how long a stream does what.
type eventTimes struct {
	pause time.Duration // between two looks at a log that grows
	look  time.Duration // between two looks at a build whose log does not
	beat  time.Duration // of silence, before a comment shows that the connection is alive
	write time.Duration // for one event to be taken
	whole time.Duration
}

var usualTimes = eventTimes{pause: 100 * time.Millisecond, look: time.Second, beat: 15 * time.Second, write: 30 * time.Second, whole: 10 * time.Minute}

// eventSize is how many bytes of a log one event has at most.
const eventSize = 64 << 10

func (a *API) followLogEvents(c call, in logEventsRequest) (*logEvents, error) {
	offset := in.Offset
	// A browser that comes back asks for the address that it began with.
	if last := c.r.Header.Get("Last-Event-ID"); last != "" {
		if err := offset.parse("Last-Event-ID", last); err != nil {
			return nil, err
		}
	}
	record, err := a.Builds.RecordByID(c.ctx(), c.actor(), build.RecordID(in.RecordID))
	if err != nil {
		return nil, err
	}
	if err := a.checkLog(record); err != nil {
		return nil, err
	}
	release, ok := a.streams.take(c.caller.User.ID, streamsPerCaller)
	if !ok {
		return nil, errManyStreams
	}
	return &logEvents{API: a, actor: c.actor(), record: record.ID, offset: int64(offset), times: usualTimes, release: release}, nil
}

// write sends events until the build is over and its whole log was sent. A stream that ends earlier has no event that says so.
func (e logEvents) write(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), e.times.whole)
	defer cancel()
	written, unwatch := e.Logs.Watch(e.record)
	defer unwatch()
	defer e.release()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // or nginx keeps events back
	out := &eventWriter{w: w, control: http.NewResponseController(w), patience: e.times.write}
	err := e.follow(ctx, out, written)
	if _, public := fault.Public(err); err != nil && !public && ctx.Err() == nil && out.err == nil {
		e.Log.ErrorContext(ctx, "follow a log", "request_id", h.Get(requestIDHeader), "record", e.record, "error", err)
	}
}

func (e *logEvents) follow(ctx context.Context, out *eventWriter, written <-chan struct{}) error {
	out.send("retry: 1000\n\n")
	for out.err == nil {
		// The state first: when it is final, the log that is read afterwards is complete.
		record, err := e.Builds.RecordByID(ctx, e.actor, e.record)
		if err != nil {
			return err
		}
		if err := e.checkLog(record); err != nil { // the next stream says so
			return err
		}
		final := record.State.Final()
		sent, err := e.sendChunk(out, final)
		switch {
		case err != nil:
			return err
		case final && sent == 0:
			status, _ := recordStatus(record.State)
			return out.event("end", e.offset, logEnd{Offset: e.offset, Status: status})
		case !final && sent <= eventSize-utf8.UTFMax && !e.wait(ctx, out, sent > 0, written):
			return nil
		}
	}
	return out.err
}

// logEnd is the data of the last event.
type logEnd struct {
	Offset int64  `json:"offset"`
	Status string `json:"status"`
}

// logChunk is the data of all others. It means what it does in [followLogAnswer].
type logChunk struct {
	Content       string `json:"content"`
	Offset        int64  `json:"offset"`
	CurrentOffset int64  `json:"current_offset"`
}

// sendChunk sends what has come to the log, as far as one event holds it, and returns how many bytes that were.
func (e *logEvents) sendChunk(out *eventWriter, final bool) (int, error) {
	chunk, next, err := e.Logs.Read(e.record, e.offset, eventSize, final)
	if err != nil || len(chunk) == 0 {
		return 0, err
	}
	data := logChunk{Content: string(chunk), Offset: next, CurrentOffset: e.offset}
	e.offset = next
	return len(chunk), out.event("log", next, data)
}

// wait returns when there may be something new, or false when the stream has to end. It keeps a log that grows line by line from
// becoming an event and a look at the database for each line.
func (e *logEvents) wait(ctx context.Context, out *eventWriter, sent bool, written <-chan struct{}) bool {
	pause := e.times.look
	if sent {
		pause, written = e.times.pause, nil
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-written:
	case <-timer.C:
	case <-ctx.Done():
		return false
	case <-e.Closing:
		return false
	}
	if time.Since(out.last) >= e.times.beat {
		out.send(":\n\n")
	}
	return true
}

// eventWriter writes events. After an error it writes nothing.
type eventWriter struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
	last     time.Time // when something was sent
	err      error
}

// event sends data, which becomes JSON: the text of an event has lines, and a log has bytes that end lines and are no such ends.
func (o *eventWriter) event(kind string, id int64, data any) error {
	body, err := encode(data)
	if err != nil {
		return err
	}
	o.send(fmt.Sprintf("event: %s\nid: %d\ndata: %s\n\n", kind, id, body))
	return o.err
}

func (o *eventWriter) send(text string) {
	if o.err != nil {
		return
	}
	o.last = time.Now()
	_ = o.control.SetWriteDeadline(o.last.Add(o.patience))
	if _, o.err = o.w.Write([]byte(text)); o.err == nil {
		o.err = o.control.Flush()
	}
}
