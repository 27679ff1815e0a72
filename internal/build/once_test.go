package build_test

import (
	"context"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/store"
)

// These stand for the rooms that have no part in what is tested.
type (
	anyone  struct{}
	anyRef  struct{}
	markers struct{} // a sealer whose texts are never the same twice, as those of the real one
	engine  struct{ wakes atomic.Int64 }
)

func (anyone) Check(context.Context, build.Actor, build.JobRef, build.Right) error { return nil }

func (anyone) Viewing(context.Context, build.Actor, []build.ProjectID) (build.Viewing, error) {
	return build.Viewing{}, nil
}

func (anyRef) CheckURL(string) error                  { return nil }
func (anyRef) CheckRef(string) error                  { return nil }
func (anyRef) CheckCommit(string) error               { return nil }
func (anyRef) CheckStep(build.ActionStep) error       { return nil }
func (anyRef) CheckTrigger(build.TriggerConfig) error { return nil }

var seals atomic.Int64

func (markers) Seal(plain string) (string, error) {
	return strings.Repeat("#", int(seals.Add(1))) + plain, nil
}
func (markers) Open(sealed string) (string, error) { return strings.TrimLeft(sealed, "#"), nil }

func (e *engine) Wake()                  { e.wakes.Add(1) }
func (*engine) StopBuild(build.RecordID) {}

// TestStartOnce repeats a start request with its token as it was, with small differences in it, and when the task is disabled.
func TestStartOnce(t *testing.T) {
	t.Parallel()
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "atelier.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	woken := &engine{}
	s := build.NewService(build.Parts{Store: db, Access: anyone{}, Sources: anyRef{}, Steps: anyRef{}, Triggers: anyRef{}, Sealer: markers{}, Engine: woken})
	dev := build.Actor{UserID: "u1", UserName: "dev", DomainID: "d1"}
	job, err := s.CreateJob(t.Context(), dev, build.ProjectID(strings.Repeat("1", 32)), build.Config{
		Name: "app", Arch: "x86-64", Steps: []build.ActionStep{{ModuleID: "m", Name: "Run"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	request := func() build.StartRequest {
		return build.StartRequest{
			JobID: job.ID, Token: "t1", RefKind: build.ByBranch, Branch: "main",
			Parameters: []build.NameValue{{Name: "A", Value: "bc"}, {Name: "B", Value: ""}},
		}
	}
	first, err := s.Start(t.Context(), dev, request())
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*build.StartRequest){
		"nothing":               func(*build.StartRequest) {},
		"order of parameters":   func(r *build.StartRequest) { r.Parameters[0], r.Parameters[1] = r.Parameters[1], r.Parameters[0] },
		"trigger as by default": func(r *build.StartRequest) { r.Trigger = build.Manual },
	} {
		again := request()
		change(&again)
		if got, err := s.Start(t.Context(), dev, again); err != nil || got.ID != first.ID {
			t.Errorf("%s changed: build %d, %v", name, got.Number, err)
		}
	}
	for name, change := range map[string]func(*build.StartRequest){
		"value":              func(r *build.StartRequest) { r.Parameters[0].Value = "bd" },
		"name":               func(r *build.StartRequest) { r.Parameters[0].Name = "Aa" },
		"border":             func(r *build.StartRequest) { r.Parameters[0] = build.NameValue{Name: "Ab", Value: "c"} },
		"values exchanged":   func(r *build.StartRequest) { r.Parameters[0].Value, r.Parameters[1].Value = "", "bc" },
		"fewer parameters":   func(r *build.StartRequest) { r.Parameters = r.Parameters[:1] },
		"more parameters":    func(r *build.StartRequest) { r.Parameters = append(r.Parameters, build.NameValue{Name: "C"}) },
		"no kind":            func(r *build.StartRequest) { r.RefKind = "" },
		"branch":             func(r *build.StartRequest) { r.Branch = "side" },
		"branch as tag":      func(r *build.StartRequest) { r.Branch, r.Tag = "", "main" },
		"commit":             func(r *build.StartRequest) { r.Commit = "abc" },
		"trigger":            func(r *build.StartRequest) { r.Trigger = build.Timed },
		"invalid parameters": func(r *build.StartRequest) { r.Parameters[0].Name = "-" },
	} {
		again := request()
		change(&again)
		_, err := s.Start(t.Context(), dev, again)
		if text, _ := fault.Public(err); !fault.Is(err, fault.Invalid) || !strings.Contains(text, `X-Client-Token: found "t1", with which build 1 was started, but with other parameters or another scm`) {
			t.Errorf("%s changed: %v", name, err)
		}
	}
	if n := woken.wakes.Load(); n != 1 {
		t.Errorf("the engine was woken %d times", n)
	}
	if err := s.SetDisabled(t.Context(), dev, job.ID, true, "holidays"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Start(t.Context(), dev, request()); !fault.Is(err, fault.Disabled) {
		t.Errorf("when the task is disabled: %v", err)
	}
	if err := s.SetDisabled(t.Context(), dev, job.ID, false, ""); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Start(t.Context(), dev, request()); err != nil || got.ID != first.ID {
		t.Errorf("when it is enabled again: build %d, %v", got.Number, err)
	}
}
