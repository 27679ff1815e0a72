package source

import (
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Credential opens repositories that their host gives to nobody without a name and a password. It counts for what lies at or below
// its address and for nothing else; there it takes the place of what the server's user has.
type Credential struct {
	Name     string // of the service endpoint that it comes from, for messages
	URL      string // http:// or https://, with a host and perhaps a path; it holds nothing secret
	User     string
	Password string // or an access token
}

// Covers reports whether an address is the credential's own or lies below it.
func (c Credential) Covers(address string) bool {
	own, ok := webAddress(c.URL)
	other, ok2 := webAddress(address)
	return ok && ok2 && (other == own || strings.HasPrefix(other, strings.TrimSuffix(own, "/")+"/"))
}

// webAddress returns the one spelling of an http or https address that addresses are compared in, without the slash at its end.
func webAddress(address string) (string, bool) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return "", false
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port + path.Clean("/"+u.Path), true
}

// The variables in which git's helper finds the credential. Other ways would show it: arguments and addresses to everybody on the
// machine, a configuration file to whoever reads the workspace.
const (
	userVariable     = "ATELIER_GIT_USER"
	passwordVariable = "ATELIER_GIT_PASSWORD" //nolint:gosec // a name
)

// helper is what git asks for the credential. The shell prints by itself, so the words are no arguments of a program.
const helper = `!f() { test "$1" = get && printf 'username=%s\npassword=%s\n' "$` + userVariable + `" "$` + passwordVariable + `"; }; f`

// settings are the configuration by which git uses the credential, with the credential's variables. git itself sees to it that only
// requests to the address get it, also when a host sends it elsewhere.
func (c Credential) settings() []setting {
	if c == (Credential{}) {
		return nil
	}
	section := "credential." + c.URL + "."
	return []setting{
		{section + "helper", ""}, // without those of the server
		{section + "helper", helper},
		{section + "useHttpPath", "true"}, // or git-lfs would ask for the host alone, which is more than the address
	}
}

func (c Credential) variables() []string {
	if c == (Credential{}) {
		return nil
	}
	return []string{userVariable + "=" + c.User, passwordVariable + "=" + c.Password}
}

// configVariables returns the variables by which git, whose environment is env otherwise, has settings as well.
func configVariables(env []string, settings []setting) []string {
	if len(settings) == 0 {
		return nil
	}
	n := 0 // of what is configured this way already
	for _, v := range env {
		if count, ok := strings.CutPrefix(v, "GIT_CONFIG_COUNT="); ok {
			n, _ = strconv.Atoi(count)
		}
	}
	var out []string
	for _, s := range settings {
		at := strconv.Itoa(n)
		out = append(out, "GIT_CONFIG_KEY_"+at+"="+s.name, "GIT_CONFIG_VALUE_"+at+"="+s.value)
		n++
	}
	return append(out, "GIT_CONFIG_COUNT="+strconv.Itoa(n))
}

// With returns a client that uses a credential. The clients share what they keep, except that what was fetched with a credential
// is there for those alone who have the same.
func (c *Client) With(credential Credential) *Client {
	return &Client{shared: c.shared, credential: credential}
}

// commandEnviron is the environment of the commands that the server itself runs.
func (c *Client) commandEnviron(way route) []string {
	return slices.Concat(c.environ(), c.extraEnviron(way), []string{marker + "=" + c.dir})
}

// extraEnviron is what git needs besides the client's environment to use the credential and take a route.
func (c *Client) extraEnviron(way route) []string {
	settings := slices.Concat(c.credential.settings(), way.settings())
	return slices.Concat(configVariables(c.environ(), settings), c.credential.variables(), way.variables())
}
