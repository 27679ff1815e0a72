// Package endpoint keeps service endpoints: addresses outside that the builds of a project may use, with a user name and a password
// for each. A task names the one that opens its repository; the repositories of dependencies are found by their address.
// Passwords are sealed before they are stored, and given to nobody but builds.
package endpoint

import (
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// Kind says what an endpoint is for.
type Kind string

// The kinds of endpoints.
const (
	Git   Kind = "git"   // repositories of code at and below its address
	Nexus Kind = "nexus" // repositories of dependencies at and below its address
)

// Endpoint is an address outside with what it takes to use it.
type Endpoint struct {
	ID          string // 32 hexadecimal digits
	ProjectID   build.ProjectID
	Name        string // unique in the project
	Kind        Kind
	URL         string // http:// or https://, without a slash at its end
	User        string
	Password    string // or an access token; sealed
	Region      string
	CreatorID   string // empty when the operator made it
	CreatorName string
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Limits of what an endpoint has, in characters where nothing else is said.
const (
	maxName     = 128
	maxURL      = 2048 // bytes
	maxUser     = 256
	maxPassword = 4000
)

func (e Endpoint) check() error {
	if e.Kind != Git && e.Kind != Nexus {
		return fault.Field("kind", "must be %s or %s, found %.40q", Git, Nexus, e.Kind)
	}
	if err := checkLine("name", e.Name, maxName); err != nil {
		return err
	}
	if err := checkURL(e.URL); err != nil {
		return err
	}
	if err := checkLine("user", e.User, maxUser); err != nil {
		return err
	}
	if strings.ContainsRune(e.User, ':') { // it ends the name in what proves the user to the host
		return fault.Field("user", "must have no colon, found %.80q", e.User)
	}
	return nil
}

// checkLine refuses what is no single line of text of a length.
func checkLine(field, text string, most int) error {
	switch n := utf8.RuneCountInString(text); {
	case n == 0 || n > most:
		return fault.Field(field, "must have 1 to %d characters, found %d", most, n)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) || strings.TrimSpace(text) != text:
		return fault.Field(field, "must have no control characters, and no space at its ends, found %.80q", text)
	}
	return nil
}

func checkURL(address string) error {
	u, err := url.Parse(address)
	switch {
	case len(address) > maxURL:
		return fault.Field("url", "must have at most %d bytes, found %d", maxURL, len(address))
	case err != nil: // the error would repeat the address
		return fault.Field("url", "is not well formed")
	case u.User != nil:
		return fault.Field("url", "holds a user name or a password; give them beside the address, not in it")
	case u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return fault.Field("url", "must be https://host/path or http://host/path, found %.80q", address)
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(address, "#"):
		return fault.Field("url", "must have nothing after ? or #, found %.80q", address)
	case !utf8.ValidString(address) || strings.ContainsFunc(address, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) || r == '\\' }):
		return fault.Field("url", "must have no spaces, control characters or backslashes, found %.80q", address)
	}
	return nil
}

// checkPassword says nothing of what was found.
func checkPassword(password string) error {
	switch n := utf8.RuneCountInString(password); {
	case n < build.MinPrivateValue || n > maxPassword: // a shorter one cannot be hidden in a log
		return fault.Field("password", "must have %d to %d characters, found %d", build.MinPrivateValue, maxPassword, n)
	case !utf8.ValidString(password) || strings.ContainsFunc(password, unicode.IsControl):
		return fault.Field("password", "must be one line of text without control characters")
	}
	return nil
}
