// Package template keeps templates of build tasks: steps and parameters that new tasks begin with. Official ones come with the program,
// custom ones belong to a tenant.
package template

import (
	"strings"
	"time"
	"unicode/utf8"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// Max is how many templates a tenant may have where nobody says otherwise, by the vendor's guide.
const Max = 5000

const (
	maxName        = 115
	maxDescription = 1000
	maxTool        = 64
)

// Template is what a new task can begin with.
type Template struct {
	UUID        string // 32 hexadecimal digits
	DomainID    string // empty for an official one
	DomainName  string
	Name        string // unique in the domain
	Description string
	Tool        string // free text of a custom one
	Language    string // of an official one
	Parameters  []build.Parameter
	Steps       []build.ActionStep
	UserID      string
	UserName    string
	CreatedAt   time.Time

	Uses      int  // tasks that were made from it
	Favourite bool // of the user who asks
}

// Official reports whether the template came with the program.
func (t Template) Official() bool { return t.DomainID == "" }

// ID is the vendor's second id of a template, 24 hexadecimal digits.
func (t Template) ID() string { return t.UUID[:24] }

// Query selects templates of a domain.
type Query struct {
	DomainID string
	UserID   string // who asks
	Name     string // part of the name, case ignored
	Tools    []string
	Mine     bool // only those that the user has made
	Starred  bool // only the user's favourites
	Offset   int
	Limit    int
}

// check checks what a client sent, apart from parameters and steps.
func (t Template) check() error {
	for _, f := range []struct {
		name, text string
		least      int
		most       int
	}{{"name", t.Name, 1, maxName}, {"description", t.Description, 0, maxDescription}, {"tool_type", t.Tool, 0, maxTool}} {
		if n := utf8.RuneCountInString(f.text); n < f.least || n > f.most || !utf8.ValidString(f.text) || strings.ContainsRune(f.text, 0) {
			return fault.Field(f.name, "must have %d to %d characters and no zero bytes, found %d", f.least, f.most, n)
		}
	}
	if strings.TrimSpace(t.Name) != t.Name {
		return fault.Field("name", "must not begin or end with a space, found %.60q", t.Name)
	}
	for _, p := range t.Parameters {
		if p.Private() {
			return fault.Field("parameters", "%s is private, and a template cannot have private parameters", p.Name())
		}
	}
	if len(t.Steps) == 0 {
		return fault.Field("template.steps", "must have at least one step")
	}
	return nil
}
