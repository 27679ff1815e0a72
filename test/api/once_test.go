package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/iam"
	"atelier/internal/iam/signature"
	"atelier/internal/server/servertest"
)

const (
	runJob     = "/v3/jobs/build"
	executeJob = "/v1/job/execute"
)

// startWith sends a start request with client tokens.
func startWith(s *servertest.Server, user servertest.User, path, body string, tokens ...string) servertest.Answer {
	r := s.Request(http.MethodPost, path, body)
	for _, token := range tokens {
		r.Header.Add("X-Client-Token", token)
	}
	signature.Sign(r, []byte(body), user.Key, time.Now())
	return s.Send(r)
}

// counting is a task whose builds print an auto-increment parameter.
func counting(t *testing.T, s *servertest.Server, name string) string {
	t.Helper()
	task := shell(s, name, `echo "version $VERSION of $STAGE"`)
	task.Parameters = &[]model.CreateBuildJobParameter{parameter("VERSION", "7", "type", "autoincrementparam"), parameter("STAGE", "test", "staticVar", "true")}
	(*(*task.Parameters)[0].Params)[1].Value = new("autoincrementparam")
	return create(t, s.Client(s.Developer), task)
}

// TestStartOnce repeats start requests with client tokens, in order and all at once, before and after a restart.
func TestStartOnce(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	job, other := counting(t, s, "app"), counting(t, s, "other")
	plain := fmt.Sprintf(`{"job_id": %q}`, job)
	staged := fmt.Sprintf(`{"job_id": %q, "parameter": [{"name": "STAGE", "value": "beta"}], "scm": {"build_tag": "v1"}}`, job)

	first := startWith(s, s.Developer, runJob, plain, "t1")
	checkNumber(t, first, 1)
	second := startWith(s, s.Developer, runJob, staged, "t2")
	checkNumber(t, second, 2)
	executed := startWith(s, s.Developer, executeJob, plain, "t3")
	checkNumber(t, executed, 3)
	for n := 1; n <= 3; n++ {
		await(t, s.Client(s.Developer), job, n)
	}

	repeat := func() {
		t.Helper()
		for _, r := range []struct {
			path, body, token string
			want              servertest.Answer
		}{
			{runJob, plain, "t1", first},
			{runJob, fmt.Sprintf(`{"scm": {"branch": null}, "parameter": [], "job_id": %q}`, job), "t1", first},
			{runJob, staged, "t2", second},
			{executeJob, plain, "t3", executed},
		} {
			if a := startWith(s, s.Developer, r.path, r.body, r.token); a.Status != 200 || a.Body != r.want.Body {
				t.Errorf("%s again: %d %s, at first %s", r.token, a.Status, a.Body, r.want.Body)
			}
		}
		if a := startWith(s, s.Developer, executeJob, plain, "t1"); a.Status != 200 || !strings.HasPrefix(a.Body, strings.TrimSuffix(first.Body, "}")) {
			t.Errorf("t1 by the other operation: %d %s, at first %s", a.Status, a.Body, first.Body)
		}
		for _, body := range []string{staged, plain[:len(plain)-1] + `, "scm": {"branch": "main"}}`} {
			checkProblem(t, s, startWith(s, s.Developer, runJob, body, "t1"), 400, "CB.00060200", "X-Client-Token", `"t1"`, "build 1", "other parameters or another scm")
		}
	}
	repeat()
	s.Restart()
	repeat()

	admin := startWith(s, s.Admin, runJob, plain, "t1")
	checkNumber(t, admin, 4) // of another user
	checkNumber(t, startWith(s, s.Developer, runJob, plain), 5)
	checkNumber(t, startWith(s, s.Developer, runJob, plain), 6)
	checkNumber(t, startWith(s, s.Developer, runJob, fmt.Sprintf(`{"job_id": %q}`, other), "t1"), 1)
	c := s.Client(s.Developer)
	for n, version := range []int{7, 8, 9, 10, 11, 12} {
		await(t, c, job, n+1)
		if log := logOf(t, c, job, n+1); !strings.Contains(log, fmt.Sprintf("version %d of ", version)) {
			t.Errorf("the log of build %d: %s", n+1, log)
		}
	}

	viewer := s.NewUser("viewer")
	s.Grant(s.Project, viewer, iam.Viewer)
	checkProblem(t, s, startWith(s, viewer, runJob, plain, "t1"), 403, "CB.00031001")
	disable := func(answer string) {
		if a := s.Call(s.Admin, http.MethodPost, "/v1/job/"+job+"/disable", answer); a.Status != 200 {
			t.Fatalf("disable: %d %s", a.Status, a.Body)
		}
	}
	disable(`{"disabled": true, "reason": "holidays"}`)
	checkProblem(t, s, startWith(s, s.Developer, runJob, plain, "t1"), 400, "CB.00039002", "holidays")
	ok(t, c.DeleteTheJob, &model.DeleteTheJobRequest{JobId: job})
	checkProblem(t, s, startWith(s, s.Developer, runJob, plain, "t1"), 404, "CB.00031006")
}

// checkNumber checks that a start request was answered with a number of a build.
func checkNumber(t *testing.T, a servertest.Answer, number int) {
	t.Helper()
	if want := fmt.Sprintf(`"actual_build_number":"%d"`, number); a.Status != 200 || !strings.Contains(a.Body, want) {
		t.Errorf("got %d %s, want %s", a.Status, a.Body, want)
	}
}

// TestStartOnceTogether repeats a start request all at once: there is one answer, and one build.
func TestStartOnceTogether(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	job := counting(t, s, "app")
	body := fmt.Sprintf(`{"job_id": %q}`, job)
	var mu sync.Mutex
	answers := make(map[string]int)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			a := startWith(s, s.Developer, runJob, body, "the-only-one")
			mu.Lock()
			defer mu.Unlock()
			answers[fmt.Sprint(a.Status, a.Body)]++
		})
	}
	all.Wait()
	if len(answers) != 1 {
		t.Errorf("answers: %v", answers)
	}
	for answer := range answers {
		if !strings.HasPrefix(answer, "200") {
			t.Errorf("answer: %s", answer)
		}
	}
	checkNumber(t, startWith(s, s.Developer, runJob, body, "the-next"), 2)
	await(t, s.Client(s.Developer), job, 2)
}

// TestBadClientToken sends tokens that nobody may use; none of them starts a build.
func TestBadClientToken(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	job := counting(t, s, "app")
	body := fmt.Sprintf(`{"job_id": %q}`, job)
	const allowed = "must be 1 to 64 printable ASCII characters without blanks"
	for _, test := range []struct {
		name   string
		tokens []string
		words  []string
	}{
		{"empty", []string{""}, []string{allowed, `found "" of 0 bytes`}},
		{"too long", []string{strings.Repeat("x", 65)}, []string{allowed, `xxx…" of 65 bytes`}},
		{"blank inside", []string{"a b"}, []string{allowed, `found "a b"`}},
		{"tab inside", []string{"a\tb"}, []string{allowed, `found "a\tb"`}},
		{"not ASCII", []string{"clé"}, []string{allowed, `found "clé" of 4 bytes`}},
		{"not UTF-8", []string{"a\xff"}, []string{allowed, `found "a\xff"`}},
		{"twice", []string{"a", "a"}, []string{"is given 2 times, once is allowed"}},
	} {
		for _, path := range []string{runJob, executeJob} {
			t.Run(test.name+" "+path, func(t *testing.T) {
				checkProblem(t, s, startWith(s, s.Developer, path, body, test.tokens...), 400, "CB.00060200", append(test.words, "X-Client-Token: ")...)
			})
		}
	}
	for n, token := range []string{"!", "~", strings.Repeat("x", 64), `"',;=%00\`} {
		checkNumber(t, startWith(s, s.Developer, runJob, body, token), n+1)
	}
	await(t, s.Client(s.Developer), job, 4)
}
