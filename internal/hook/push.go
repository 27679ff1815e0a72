// Package hook starts builds when code changes. What a repository's host tells is stored first and looked at afterwards, so nothing that
// was acknowledged is lost, and everybody can see what came of it, or why nothing did.
package hook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

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

// headers are what the providers call the event, its id, and what proves who sends it. Where there are several, a sender has some of them.
var headers = map[Provider]struct {
	event, id, proof []string
	push             string
}{
	GitHub: {[]string{"X-GitHub-Event"}, []string{"X-GitHub-Delivery"}, []string{"X-Hub-Signature-256"}, "push"},
	GitLab: {[]string{"X-Gitlab-Event"}, []string{"Idempotency-Key", "X-Gitlab-Event-UUID"}, []string{"X-Gitlab-Token"}, "Push Hook"},
	Gitea:  {[]string{"X-Gitea-Event"}, []string{"X-Gitea-Delivery"}, []string{"X-Gitea-Signature"}, "push"},
	// Whoever makes the hook chooses among the first three proofs; the others are those of earlier years.
	CodeArts: {
		[]string{"X-Repo-Event", "X-Gitlab-Event", "X-Devcloud-Event", "X-Codehub-Event"},
		[]string{"X-Codehub-Delivery"},
		[]string{"X-Repo-Token", "X-Gitlab-Token", "X-Auth-Token", "X-Devcloud-Token", "X-Codehub-Token"},
		"Push Hook",
	},
}

// first returns the first of some headers that is there.
func first(h http.Header, names []string) string {
	for _, name := range names {
		if value := h.Get(name); value != "" {
			return value
		}
	}
	return ""
}

// Content returns the JSON that a request tells, which a provider may have put into a form.
func Content(h http.Header, body []byte) []byte {
	media, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	if media != "application/x-www-form-urlencoded" {
		return body
	}
	form, _ := url.ParseQuery(string(body)) // what is missing in it is no JSON either
	return []byte(form.Get("payload"))
}

// ProvenByBody reports whether the proof of a provider is a signature of the body.
func ProvenByBody(p Provider) bool { return p == GitHub || p == Gitea }

// Claims reports whether headers have a proof in the form of a provider's, right or wrong.
func Claims(p Provider, h http.Header) bool {
	proof := first(h, headers[p].proof)
	if !ProvenByBody(p) {
		return proof != ""
	}
	sum, err := hex.DecodeString(strings.TrimPrefix(proof, "sha256="))
	return err == nil && len(sum) == sha256.Size
}

// Verify reports whether a request was made by who knows the secret.
func Verify(p Provider, secret string, h http.Header, body []byte) bool {
	switch p {
	case GitHub:
		return signed(secret, first(h, headers[p].proof), body)
	case Gitea:
		return signed(secret, first(h, headers[p].proof), Content(h, body)) // also of a form it signs what is in it
	default:
		return slices.ContainsFunc(headers[p].proof, func(name string) bool { return same(secret, h.Get(name)) })
	}
}

// signed reports whether proof is the signature of a text.
func signed(secret, proof string, text []byte) bool {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(text)
	return same(hex.EncodeToString(mac.Sum(nil)), strings.TrimPrefix(proof, "sha256="))
}

// same compares two texts in a time that says nothing of them.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// Event returns what a request is about, and what is the same when the request comes again. The id that its provider gave to it is not
// enough: it is not signed, and one of GitLab can stand for several requests.
func Event(p Provider, h http.Header, body []byte) (event, key string) {
	names := headers[p]
	sum := sha256.Sum256(append([]byte(first(h, names.id)+"\n"), body...))
	if event = first(h, names.event); event == "" {
		var in struct {
			Kind string `json:"object_kind"`
		}
		_ = json.Unmarshal(Content(h, body), &in) // which says what it is about to those who need the event
		event = in.Kind
	}
	if event == names.push {
		event = "push"
	}
	return printable(event), hex.EncodeToString(sum[:])
}

// printable keeps what can be shown of a name, which nobody has checked.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, name[:min(len(name), 100)])
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

// repository has no homepage: at GitHub that is any address that its owner likes.
type repository struct {
	CloneURL      string `json:"clone_url"`
	SSHURL        string `json:"ssh_url"`
	HTMLURL       string `json:"html_url"`
	URL           string `json:"url"`
	GitHTTPURL    string `json:"git_http_url"`
	GitSSHURL     string `json:"git_ssh_url"`
	WebURL        string `json:"web_url"`
	DefaultBranch string `json:"default_branch"`
}

func (r repository) urls() []string {
	return []string{r.CloneURL, r.SSHURL, r.HTMLURL, r.GitHTTPURL, r.GitSSHURL, r.WebURL, r.URL}
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
	case !strings.HasPrefix(p.Ref, "refs/") || len(p.Ref) > maxText || strings.ContainsFunc(p.Ref, unicode.IsControl):
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

// RepositoryID returns what is the same for all addresses of a repository, of a fixed length; nothing for what is no address.
func RepositoryID(address string) string {
	k := key(address)
	if k == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(k))
	return hex.EncodeToString(sum[:])
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
