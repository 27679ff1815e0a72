package httpapi

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"atelier/internal/build"
)

// begun is a build that a server has taken.
type begun struct {
	*fixture
	t      *testing.T
	record build.Record
	fence  int64
}

func newBegun(t *testing.T, f *fixture) *begun {
	t.Helper()
	actor := build.Actor{UserID: f.job.CreatorID, UserName: "admin", DomainID: f.job.DomainID}
	record, err := f.Builds.Start(t.Context(), actor, build.StartRequest{JobID: f.job.ID})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	taken, ok, err := f.store.Lease(t.Context(), build.Claim{Offer: build.Offer{Owner: "e1"}, Now: now, Until: now.Add(time.Hour)})
	if err != nil || !ok || taken.Record.ID != record.ID {
		t.Fatalf("%+v, %v, %v", taken, ok, err)
	}
	return &begun{f, t, record, taken.Fence}
}

func (b *begun) report(p build.Progress) {
	b.t.Helper()
	if err := b.store.Report(b.t.Context(), b.record.ID, b.fence, p); err != nil {
		b.t.Fatal(err)
	}
}

// want reads the log in every way.
func (b *begun) want(status int, when string) {
	b.t.Helper()
	job, id := string(b.job.ID)+"/"+number(b.record.Number), string(b.record.ID)
	for _, path := range []string{
		"/v3/jobs/" + job + "/real-time-log?offset=0",
		"/v1/log/" + job + "/real-time-log",
		"/v1/log/stage/page?start_offset=0&end_offset=0&job_id=" + string(b.job.ID) + "&build_no=" + number(b.record.Number),
		"/v3/" + id + "/download-log",
		"/v4/" + id + "/download-log",
		"/v1/log/" + id + "/download-log",
		"/v1/log/" + id + "/events",
	} {
		w := b.send(b.t.Context(), http.MethodGet, path, "")
		if gone := strings.Contains(w.Body.String(), " is gone: "); w.Code != status || gone != (status == http.StatusNotFound) {
			b.t.Errorf("%s: %s: %d %s", when, path, w.Code, w.Body)
		}
	}
}

// TestLogThatIsNotThere looks at builds whose log is not on the disk, which is a loss only when they are over and had one.
func TestLogThatIsNotThere(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	closing := make(chan struct{})
	close(closing) // so that no stream waits for more
	f.Closing = closing
	f.Handler = New(f.Parts)

	b := newBegun(t, f)
	b.want(http.StatusOK, "just taken")
	b.report(build.Progress{Begin: &build.Begin{At: time.Now()}})
	b.want(http.StatusOK, "running, perhaps on another server that goes on with it here")
	b.report(build.Progress{End: &build.End{State: build.Failed, At: time.Now(), Logged: true}})
	b.want(http.StatusNotFound, "over")

	b = newBegun(t, f)
	b.report(build.Progress{End: &build.End{State: build.Aborted, At: time.Now()}})
	b.want(http.StatusOK, "stopped before its log began")

	b = newBegun(t, f)
	b.report(build.Progress{End: &build.End{State: build.Unschedulable, At: time.Now(), Logged: true}})
	b.want(http.StatusNotFound, "ended while it was prepared")
}

// A stream that finds that a log has been lost does not say that all of it was sent.
func TestLogEventsOfALostLog(t *testing.T) {
	t.Parallel()
	s := newStream(t, quickly)
	s.put("one")
	follow := s.from(0)
	follow.text(len("one\n"))
	if err := s.log.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Logs.Remove(s.record.ID); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	taken, _, err := s.store.Lease(t.Context(), build.Claim{Offer: build.Offer{Owner: "e1"}, Now: now, Until: now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	end := build.Progress{Begin: &build.Begin{At: now}, End: &build.End{State: build.Succeeded, At: now, Logged: true}}
	if err := s.store.Report(t.Context(), s.record.ID, taken.Fence, end); err != nil {
		t.Fatal(err)
	}
	for got := follow.next(); got.kind != ""; got = follow.next() {
		if got.kind == "end" {
			t.Errorf("%+v", got)
		}
	}
}
