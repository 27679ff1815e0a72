package iam

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"atelier/internal/fault"
)

// Limits of what is stored.
const (
	minPassword      = 8
	maxPassword      = 128
	maxPasswordBytes = maxPassword * utf8.UTFMax
	maxProjectName   = 128
	maxDescription   = 255
)

var (
	// plainName is the form of the names of domains and users.
	plainName = regexp.MustCompile(`^[\p{L}\p{N}][\p{L}\p{N}._@-]{0,63}$`)
	// regionName is the form of the vendor's region ids, such as cn-north-4.
	regionName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)
	// projectID is the form that every operation with a project asks for.
	projectID = regexp.MustCompile(`^[0-9a-z]{32}$`)
)

func checkName(field, name string) error {
	if !plainName.MatchString(name) {
		return fault.Field(field, "must be 1 to 64 letters, digits or any of ._@-, the first a letter or a digit, found %.80q", name)
	}
	return nil
}

func checkRegionName(name string) error {
	if !regionName.MatchString(name) {
		return fault.Field("region", "must be 1 to 64 lower-case letters, digits or hyphens such as cn-north-4, found %.80q", name)
	}
	return nil
}

// checkPassword does not quote the password.
func checkPassword(userName, password string) error {
	switch n := utf8.RuneCountInString(password); {
	case !utf8.ValidString(password):
		return fault.Field("password", "is not valid UTF-8")
	case n < minPassword || n > maxPassword:
		return fault.Field("password", "must be %d to %d characters, found %d", minPassword, maxPassword, n)
	case strings.EqualFold(password, userName):
		return fault.Field("password", "must not be the user's name")
	}
	return nil
}

func checkProjectName(name string) error {
	if n := utf8.RuneCountInString(name); n < 1 || n > maxProjectName || !utf8.ValidString(name) ||
		strings.TrimSpace(name) != name || strings.ContainsFunc(name, unicode.IsControl) {
		return fault.Field("project", "must be 1 to %d characters without control characters or blanks around them, found %.150q", maxProjectName, name)
	}
	return nil
}

func checkDescription(text string) error {
	if n := utf8.RuneCountInString(text); n > maxDescription {
		return fault.Field("description", "has %d characters, at most %d are allowed", n, maxDescription)
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return fault.Field("description", "must be text without control characters")
	}
	return nil
}
