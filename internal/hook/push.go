// Package hook starts builds when code changes. What a repository's host tells is stored first and looked at afterwards, so nothing that
// was acknowledged is lost, and everybody can see what came of it, or why nothing did.
package hook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"atelier/internal/fault"
)

// Provider is a host of repositories, by its way to tell of changes.
type Provider string

// The providers. API is who calls the vendor's operation for it, Poll the service itself.
const (
	GitHub   Provider = "github"
	GitLab   Provider = "gitlab"
	Gitea    Provider = "gitea"
	CodeArts Provider = "codearts"
	API      Provider = "api"
)

// Providers are those that can be told the address of a hook.
var Providers = []Provider{GitHub, GitLab, Gitea, CodeArts}

// Push is what a provider says of a change, in one form for all.
type Push struct {
	Ref           string   `json:"ref"` // refs/heads/… or refs/tags/…
	Before        string   `json:"before"`
	After         string   `json:"after"` // all zeros when the reference is gone
	URLs          []string `json:"urls"`  // addresses of the repository
	DefaultBranch string   `json:"default_branch"`
	Who           string   `json:"who"`
}

// Branch returns the branch that was pushed; false for a tag.
func (p Push) Branch() (string, bool) { return strings.CutPrefix(p.Ref, "refs/heads/") }

// Deleted reports whether the reference is gone.
func (p Push) Deleted() bool { return strings.Trim(p.After, "0") == "" }

var commitID = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)

// headers are what the providers call the event, its id, and what proves who sends it.
var headers = map[Provider]struct{ event, id, proof, push string }{
	GitHub:   {"X-GitHub-Event", "X-GitHub-Delivery", "X-Hub-Signature-256", "push"},
	GitLab:   {"X-Gitlab-Event", "X-Gitlab-Event-UUID", "X-Gitlab-Token", "Push Hook"},
	Gitea:    {"X-Gitea-Event", "X-Gitea-Delivery", "X-Gitea-Signature", "push"},
	CodeArts: {"X-Codehub-Event", "X-Codehub-Delivery", "X-Codehub-Token", "Push Hook"},
}

// Verify reports whether a request was made by who knows the secret.
func Verify(p Provider, secret string, h http.Header, body []byte) bool {
	proof := h.Get(headers[p].proof)
	switch p {
	case GitHub, Gitea:
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		want := hex.EncodeToString(mac.Sum(nil))
		return subtle.ConstantTimeCompare([]byte(strings.TrimPrefix(proof, "sha256=")), []byte(want)) == 1
	default:
		want, got := sha256.Sum256([]byte(secret)), sha256.Sum256([]byte(proof))
		return proof != "" && subtle.ConstantTimeCompare(want[:], got[:]) == 1
	}
}

// Event returns what a request is about, and the id that its provider gave to it; without one, the digest of its body.
func Event(p Provider, h http.Header, body []byte) (event, id string) {
	names := headers[p]
	if id = h.Get(names.id); id == "" || len(id) > 100 {
		sum := sha256.Sum256(body)
		id = hex.EncodeToString(sum[:])
	}
	event = h.Get(names.event)
	if event == names.push {
		event = "push"
	}
	return event, id
}

// payload has the keys of all providers that matter here.
type payload struct {
	Ref        string     `json:"ref"`
	Before     string     `json:"before"`
	After      string     `json:"after"`
	UserName   string     `json:"user_name"`
	Repository repository `json:"repository"`
	Project    repository `json:"project"`
	Pusher     struct {
		Name  string `json:"name"`
		Login string `json:"login"`
	} `json:"pusher"`
}

type repository struct {
	CloneURL      string `json:"clone_url"`
	SSHURL        string `json:"ssh_url"`
	HTMLURL       string `json:"html_url"`
	URL           string `json:"url"`
	Homepage      string `json:"homepage"`
	GitHTTPURL    string `json:"git_http_url"`
	GitSSHURL     string `json:"git_ssh_url"`
	WebURL        string `json:"web_url"`
	DefaultBranch string `json:"default_branch"`
}

func (r repository) urls() []string {
	return []string{r.CloneURL, r.SSHURL, r.HTMLURL, r.GitHTTPURL, r.GitSSHURL, r.WebURL, r.URL, r.Homepage}
}

// maxText bounds what is kept of a text that others send.
const maxText = 2048

// ParsePush reads the body of a push. Errors are fault.Invalid.
func ParsePush(body []byte) (Push, error) {
	var in payload
	if err := json.Unmarshal(body, &in); err != nil {
		return Push{}, fault.New(fault.Invalid, "the body is not JSON of a push")
	}
	p := Push{Ref: in.Ref, Before: in.Before, After: in.After, DefaultBranch: in.Repository.DefaultBranch, Who: in.UserName}
	for _, text := range []*string{&in.Pusher.Name, &in.Pusher.Login} {
		if p.Who == "" {
			p.Who = *text
		}
	}
	if p.DefaultBranch == "" {
		p.DefaultBranch = in.Project.DefaultBranch
	}
	for _, u := range append(in.Repository.urls(), in.Project.urls()...) {
		if u != "" && len(u) <= maxText && !slices.Contains(p.URLs, u) {
			p.URLs = append(p.URLs, u)
		}
	}
	return p, p.check()
}

func (p Push) check() error {
	switch {
	case !strings.HasPrefix(p.Ref, "refs/") || len(p.Ref) > maxText:
		return fault.Field("ref", "must be the full name of a reference, such as refs/heads/main, found %.80q", p.Ref)
	case !commitID.MatchString(p.After):
		return fault.Field("after", "must be the id of a commit, found %.80q", p.After)
	case len(p.Who) > maxText || len(p.Before) > maxText || len(p.DefaultBranch) > maxText:
		return fault.New(fault.Invalid, "the body has texts of more than %d bytes", maxText)
	}
	return nil
}

// SameRepository reports whether two addresses mean the same repository: the transport, the user, the port, the ending .git and the case of
// the host do not count.
func SameRepository(a, b string) bool {
	ka, kb := key(a), key(b)
	return ka != "" && ka == kb
}

func key(address string) string {
	address = strings.TrimSpace(address)
	var host, path string
	if u, err := url.Parse(address); err == nil && u.Scheme != "" && (u.Host != "" || u.Scheme == "file") {
		host, path = u.Hostname(), u.Path
	} else if at, rest, ok := strings.Cut(address, ":"); ok && !strings.Contains(at, "/") {
		host, path = at[strings.LastIndex(at, "@")+1:], rest
	} else {
		return ""
	}
	path = strings.TrimSuffix(strings.Trim(path, "/"), ".git")
	if path == "" {
		return ""
	}
	return strings.ToLower(host) + "/" + path
}
