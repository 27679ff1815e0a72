package engine_test

import (
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"atelier/internal/build"
	"atelier/internal/engine"
)

func TestReferences(t *testing.T) {
	t.Parallel()
	w := newStarted(t)
	repo := w.repository()
	first := repo.Git("rev-parse", "HEAD")
	repo.Git("tag", "--annotate", "--message", "a tag", "v1")
	repo.Git("checkout", "--quiet", "-b", "evening")
	repo.Write("greeting", "good evening\n")
	evening := repo.Commit("Evening")
	repo.Git("checkout", "--quiet", "main")
	repo.Write("greeting", "good day\n")
	last := repo.Commit("Day")
	job := w.job(build.Config{Sources: sourceOf(repo), Steps: []build.ActionStep{sh("Show", "cat greeting; echo tag=$GIT_TAG")}})
	unsaid := sourceOf(repo)
	unsaid[0].Branch = ""
	tags := sourceOf(repo)
	tags[0].RefKind = build.ByTag
	commits := sourceOf(repo)
	commits[0].RefKind = build.ByCommit

	const never = "ffffffffffffffffffffffffffffffffffffffff"
	tests := []struct {
		name    string
		sources []build.Source
		req     build.StartRequest
		commit  string // of a build that runs
		branch  string
		prints  string
		fails   string
	}{
		{name: "the task's branch", commit: last, branch: "main", prints: "good day"},
		{name: "another branch", req: build.StartRequest{Branch: "evening"}, commit: evening, branch: "evening", prints: "good evening"},
		{name: "the branch parameter", req: build.StartRequest{Parameters: []build.NameValue{{Name: "codeBranch", Value: "evening"}}}, commit: evening, branch: "evening", prints: "good evening"},
		{name: "the default branch", sources: unsaid, commit: last, branch: "main", prints: "good day"},
		{name: "a tag", req: build.StartRequest{Tag: "v1"}, commit: first, branch: "main", prints: "good morning"},
		{name: "a commit", req: build.StartRequest{Commit: evening}, commit: evening, branch: "main", prints: "good evening"},
		{name: "the beginning of a commit", req: build.StartRequest{Commit: evening[:8]}, commit: evening, branch: "main", prints: "good evening"},
		{name: "a commit wins over a tag", req: build.StartRequest{Commit: evening, Tag: "v1"}, commit: evening, branch: "main", prints: "good evening"},

		{name: "no such branch", req: build.StartRequest{Branch: "night"}, branch: "night", fails: "it has no branch night"},
		{name: "no such tag", req: build.StartRequest{Tag: "v2"}, branch: "main", fails: "it has no tag v2"},
		{name: "no such commit", req: build.StartRequest{Commit: never}, branch: "main", commit: never, fails: "it has no commit " + never},
		{name: "a tag that nobody gave", sources: tags, branch: "main", fails: "Give scm.build_tag."},
		{name: "a commit that nobody gave", sources: commits, branch: "main", fails: "Give scm.build_commit_id."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.req.JobID = job
			if tt.sources != nil {
				tt.req.JobID = w.job(build.Config{Sources: tt.sources, Steps: []build.ActionStep{sh("Show", "cat greeting")}})
			}
			r := w.end(w.request(tt.req).ID)
			if r.Branch != tt.branch || r.Commit != tt.commit {
				t.Errorf("branch %q, commit %q, want %q, %q", r.Branch, r.Commit, tt.branch, tt.commit)
			}
			if tt.fails != "" {
				w.wantNeverBegan(r, tt.fails)
				return
			}
			w.wantEnd(r, build.Succeeded, "")
			if !strings.Contains(w.log(r.ID), "] "+tt.prints+"\n") || tt.sources == nil && !strings.Contains(w.log(r.ID), "] tag="+r.Tag+"\n") {
				t.Errorf("log:\n%s", w.log(r.ID))
			}
		})
	}
}

// wantNeverBegan checks a build that could not begin: its record says why, as its log does, and nothing of it ran.
func (w *world) wantNeverBegan(r build.Record, text string) {
	w.t.Helper()
	w.wantEnd(r, build.Unschedulable, text)
	if r.ExecutionID != "-1" || !r.StartedAt.IsZero() || r.FinishedAt.IsZero() || len(w.steps(r.ID)) > 0 {
		w.t.Errorf("execution id %s, started %v, finished %v, steps %v", r.ExecutionID, r.StartedAt, r.FinishedAt, w.steps(r.ID))
	}
	if log := w.log(r.ID); !r.Logged || !strings.Contains(log, text) || strings.Contains(log, "The step begins.") {
		w.t.Errorf("log:\n%s", log)
	}
}

func TestBuildsThatCannotBegin(t *testing.T) {
	t.Parallel()
	w := newStarted(t)
	gone := w.repository()
	goneJob := w.job(build.Config{Sources: sourceOf(gone)})
	if err := os.RemoveAll(gone.Dir); err != nil {
		t.Fatal(err)
	}
	repo := w.repository()
	noFile := w.job(build.Config{Kind: build.YAML, Sources: sourceOf(repo)})
	bad := w.repository()
	bad.Write(".cloudbuild/build.yml", "version: 2.0\nsteps:\n  BUILD:\n    - sh:\n        inputs:\n          comand: make\n")
	bad.Commit("Bad")
	pool := w.repository()
	pool.Write(".cloudbuild/build.yml", "version: 2.0\nenv:\n  resource:\n    type: custom\n    pool: ours\nsteps:\n  BUILD:\n    - sh:\n        inputs:\n          command: make\n")
	pool.Commit("Pool")

	tests := []struct {
		name string
		job  build.JobID
		text string
	}{
		{"a repository that is gone", goneJob, "repository address must be file:// and the absolute path"},
		{"a repository whose host is away", w.job(build.Config{Sources: []build.Source{{URL: deadURL(t), Kind: "git"}}}), "its host does not answer"},
		{"no build file", noFile, "there is no file .cloudbuild/build.yml in commit " + repo.Git("rev-parse", "HEAD")},
		{"a bad build file", w.job(build.Config{Kind: build.YAML, Sources: sourceOf(bad)}), `.cloudbuild/build.yml:6:11: steps.BUILD[0].sh.inputs.comand: is not known (did you mean "command"?)`},
		{"a pool that does not exist", w.job(build.Config{Kind: build.YAML, Sources: sourceOf(pool)}), `There is no executor pool called "ours".`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { w.wantNeverBegan(w.run(tt.job), tt.text) })
	}
}

// deadURL returns the address of a repository at which nobody listens.
func deadURL(t *testing.T) string {
	t.Helper()
	l := listen(t)
	l.Close()
	return "http://" + l.Addr().String() + "/repo.git"
}

// silentURL returns the address of a repository whose host takes connections and says nothing. asked has a value for each.
func silentURL(t *testing.T) (url string, asked <-chan struct{}) {
	t.Helper()
	l := listen(t)
	connections := make(chan struct{}, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			connections <- struct{}{}
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return "http://" + l.Addr().String() + "/repo.git", connections
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestRepositoryThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	url, _ := silentURL(t)
	w := newStarted(t, func(p *engine.Parts) { p.PrepareTimeout = 200 * time.Millisecond })
	r := w.run(w.job(build.Config{Sources: []build.Source{{URL: url, Kind: "git"}}}))
	w.wantNeverBegan(r, "The repository could not be read within 200ms.")
}
