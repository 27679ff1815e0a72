package hook_test

import (
	"net/http"
	"strings"
	"testing"

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
