package hook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/hook"
)

func TestSameRepository(t *testing.T) {
	t.Parallel()
	same := []string{
		"https://git.example.org/team/app", "https://git.example.org/team/app.git", "https://GIT.example.org/team/app/", "http://git.example.org:8080/team/app.git",
		"ssh://git@git.example.org/team/app.git", "ssh://git@git.example.org:2222/team/app", "git@git.example.org:team/app.git", "git.example.org:team/app",
	}
	other := []string{
		"https://git.example.org/team/App", "https://git.example.org/team/app2", "https://git.example.net/team/app", "git@git.example.org:app", "https://git.example.org/", "", "app", "/team/app", "::",
	}
	for _, a := range same {
		for _, b := range same {
			if !hook.SameRepository(a, b) {
				t.Errorf("%s and %s are two", a, b)
			}
		}
		for _, b := range other {
			if hook.SameRepository(a, b) || hook.SameRepository(b, a) {
				t.Errorf("%s and %s are one", a, b)
			}
		}
	}
	if hook.SameRepository("", "") {
		t.Error("nothing is a repository")
	}
}

func TestCheckTrigger(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"main": "", "release/*, feature/**": "", "": "branches: ", strings.TrimSuffix(strings.Repeat("a,", 21), ","): "must have 1 to 20 patterns",
	} {
		err := hook.CheckTrigger(build.TriggerConfig{Name: hook.Trigger, Parameters: []build.NameValue{{Name: "branches", Value: value}}})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v", value, err)
		}
	}
}

// sha is the id of a commit.
const sha = "da1560886d4f094c3e6c9ef40349f7d38b5d27d7"

// sign is how a text is signed with the key of these tests.
func sign(text string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

const key = "correct-horse-battery"

// TestProviders reads requests as the providers make them, and refuses the same with any part changed.
func TestProviders(t *testing.T) {
	t.Parallel()
	const (
		github = `{"ref":"refs/heads/main","before":"` + sha + `","after":"` + sha + `","created":false,"deleted":false,"head_commit":null,"pusher":{"name":"eve","email":null},` +
			`"repository":{"id":1,"full_name":"team/app","homepage":"https://git.example.org/other/app","clone_url":"https://git.example.org/team/app.git",` +
			`"ssh_url":"git@git.example.org:team/app.git","git_url":"git://git.example.org/team/app.git","default_branch":"main"},"sender":{"login":"eve"}}`
		gitlab = `{"object_kind":"push","event_name":"push","before":"` + sha + `","after":"` + sha + `","ref":"refs/heads/main","checkout_sha":"` + sha + `","user_name":"eve",` +
			`"project":{"id":15,"git_ssh_url":"git@git.example.org:team/app.git","git_http_url":"https://git.example.org/team/app.git","default_branch":"main"},"commits":[],` +
			`"repository":{"name":"app","url":"git@git.example.org:team/app.git","homepage":"https://git.example.org/team/app","visibility_level":0}}`
		gitea = `{"ref":"refs/heads/main","before":"` + sha + `","after":"` + sha + `","total_commits":1,"pusher":{"id":1,"login":"eve","full_name":""},` +
			`"repository":{"clone_url":"https://git.example.org/team/app.git","ssh_url":"git@git.example.org:team/app.git","default_branch":"main"}}`
	)
	form := url.Values{"payload": {github}}.Encode()
	giteaForm := url.Values{"payload": {gitea}}.Encode()
	const urlencoded = "application/x-www-form-urlencoded"
	for _, tt := range []struct {
		name     string
		provider hook.Provider
		body     string
		headers  []string // names and values by turns; the last is the proof
		event    string
	}{
		{"GitHub", hook.GitHub, github, []string{"X-GitHub-Event", "push", "X-Hub-Signature-256", "sha256=" + sign(github)}, "push"},
		{"GitHub in a form", hook.GitHub, form, []string{"Content-Type", urlencoded, "X-GitHub-Event", "push", "X-Hub-Signature-256", "sha256=" + sign(form)}, "push"},
		{"GitHub tries the hook", hook.GitHub, `{"zen":"Keep it logically awesome."}`, []string{"X-GitHub-Event", "ping", "X-Hub-Signature-256", "sha256=" + sign(`{"zen":"Keep it logically awesome."}`)}, "ping"},
		{"GitLab", hook.GitLab, gitlab, []string{"X-Gitlab-Event", "Push Hook", "X-Gitlab-Token", key}, "push"},
		{"GitLab, a tag", hook.GitLab, gitlab, []string{"X-Gitlab-Event", "Tag Push Hook", "X-Gitlab-Token", key}, "Tag Push Hook"},
		{"Gitea", hook.Gitea, gitea, []string{"X-Gitea-Event", "push", "X-Gitea-Signature", sign(gitea)}, "push"},
		{"Gitea in a form, of which it signs the content", hook.Gitea, giteaForm, []string{"Content-Type", urlencoded + "; charset=utf-8", "X-Gitea-Event", "push", "X-Gitea-Signature", sign(gitea)}, "push"},
		{"CodeArts Repo", hook.CodeArts, gitlab, []string{"X-Repo-Token", key}, "push"},
		{"CodeArts Repo like GitLab", hook.CodeArts, gitlab, []string{"X-Gitlab-Event", "Push Hook", "X-Gitlab-Token", key}, "push"},
		{"CodeArts Repo, third way", hook.CodeArts, gitlab, []string{"X-Auth-Token", key}, "push"},
		{"CodeHub", hook.CodeArts, gitlab, []string{"X-Devcloud-Event", "Push Hook", "X-Devcloud-Token", key}, "push"},
		{"CodeHub before", hook.CodeArts, gitlab, []string{"X-Codehub-Event", "Push Hook", "X-Codehub-Token", key}, "push"},
		{"CodeArts Repo, a tag", hook.CodeArts, strings.Replace(gitlab, `"push"`, `"tag_push"`, 1), []string{"X-Repo-Token", key}, "tag_push"},
		{"a name that nobody can show", hook.CodeArts, `{"object_kind":"a\u0000\n` + strings.Repeat("b", 200) + `"}`, []string{"X-Repo-Token", key}, "a" + strings.Repeat("b", 97)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := make(http.Header)
			for i := 0; i < len(tt.headers); i += 2 {
				h.Set(tt.headers[i], tt.headers[i+1])
			}
			if !hook.Verify(tt.provider, key, h, []byte(tt.body)) {
				t.Fatal("is not believed")
			}
			event, id := hook.Event(tt.provider, h, []byte(tt.body))
			if event != tt.event || len(id) != 64 {
				t.Errorf("the event %q, the key %q", event, id)
			}
			if event == "push" {
				want := hook.Push{
					Ref: "refs/heads/main", Before: sha, After: sha, DefaultBranch: "main", Who: "eve",
					URLs: []string{"https://git.example.org/team/app.git", "git@git.example.org:team/app.git"},
				}
				got, err := hook.ParsePush(hook.Content(h, []byte(tt.body)))
				slices.Sort(got.URLs)
				slices.Sort(want.URLs)
				if diff := cmp.Diff(want, got); err != nil || diff != "" {
					t.Errorf("%v (-want +got):\n%s", err, diff)
				}
			}

			proof, good := tt.headers[len(tt.headers)-2], tt.headers[len(tt.headers)-1]
			for _, bad := range []string{"", "sha256=", good[1:], good + "0", strings.ToUpper(good), "sha1=" + good} {
				h.Set(proof, bad)
				if hook.Verify(tt.provider, key, h, []byte(tt.body)) {
					t.Errorf("%s: %q is believed", proof, bad)
				}
			}
			h.Set(proof, good)
			if hook.Verify(tt.provider, key+"x", h, []byte(tt.body)) {
				t.Error("is believed with another key")
			}
		})
	}
}

// TestSameRequest: a request that comes again is known by its id and its body; GitLab may use one id for several, and other ids are not signed.
func TestSameRequest(t *testing.T) {
	t.Parallel()
	keyOf := func(name, id, body string) string {
		_, key := hook.Event(hook.GitLab, http.Header{http.CanonicalHeaderKey(name): {id}}, []byte(body))
		return key
	}
	a := keyOf("X-Gitlab-Event-UUID", "1", "{}")
	if a != keyOf("X-Gitlab-Event-UUID", "1", "{}") || a != keyOf("Idempotency-Key", "1", "{}") || a == keyOf("X-Gitlab-Event-UUID", "1", "[]") || a == keyOf("X-Gitlab-Event-UUID", "2", "{}") {
		t.Error("requests are mixed up")
	}
}

// FuzzPush checks that whatever a provider sends is either refused with a short sentence, or has all that is needed to build.
func FuzzPush(f *testing.F) {
	const id = "1111111111111111111111111111111111111111"
	for _, seed := range []string{
		`{}`, `null`, `[]`, `{"ref": 1}`, `{"ref": "refs/heads/main", "after": "` + id + `", "repository": {"clone_url": "https://a/b"}}`,
		`{"ref": "refs/tags/v1", "after": "` + id + `", "project": {"git_ssh_url": "git@a:b"}, "user_name": "eve"}`, `{"ref": "refs/heads/main", "after": "0"}`, "{\"ref\": \"\xff\"}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := hook.ParsePush(body)
		if err != nil {
			if !fault.Is(err, fault.Invalid) || len(err.Error()) > 1000 {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		if branch, ok := p.Branch(); ok && !strings.HasSuffix(p.Ref, branch) || len(p.After) < 40 {
			t.Fatalf("%+v", p)
		}
		for _, u := range p.URLs {
			hook.SameRepository(u, "https://git.example.org/team/app")
		}
	})
}

// FuzzVerify checks that nobody passes who does not know the secret, whatever the headers say, and that every event has an id.
func FuzzVerify(f *testing.F) {
	f.Add("X-Hub-Signature-256", "sha256=", []byte(`{}`))
	f.Add("X-Gitlab-Token", "a secret", []byte(`{}`))
	f.Add("X-Codehub-Token", "", []byte(`{}`))
	f.Add("X-GitHub-Delivery", strings.Repeat("x", 101), []byte(nil))
	f.Fuzz(func(t *testing.T, name, value string, body []byte) {
		h := http.Header{}
		h.Set(name, value)
		for _, p := range []hook.Provider{hook.GitHub, hook.GitLab, hook.Gitea, hook.CodeArts} {
			if secret := "0c5d7e2f9a41" + value; hook.Verify(p, secret, h, body) {
				t.Errorf("%s: %s: %q passes", p, name, value)
			}
			if _, id := hook.Event(p, h, body); id == "" || len(id) > 100 {
				t.Errorf("%s: the id is %q", p, id)
			}
		}
	})
}
