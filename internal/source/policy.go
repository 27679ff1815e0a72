package source

import (
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"atelier/internal/fault"
)

// Policy says which repositories may be used. The zero value is ready: remote ones only.
type Policy struct {
	// FileRoots are directories below which repositories may be used by their file:// address. What lies there is trusted as
	// much as the operator who listed it: git follows links inside of a repository.
	FileRoots []string
}

// MaxURL is the longest address that is accepted, in bytes.
const MaxURL = 2048

const allowedURLs = "allowed are https://host/path, http://host/path, ssh://user@host/path and user@host:path"

var (
	schemePrefix = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:`)
	hostName     = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?$|^\[[0-9A-Fa-f:.]+\]$`)
	userName     = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+-]*$`)
	scpAddress   = regexp.MustCompile(`^([^@/:]+)@(\[[^\]/]*\]|[^/:\[\]]*):(.*)$`)
)

// CheckURL returns nil for the address of a repository that may be used, and otherwise a fault.Invalid error that says why not.
func (p Policy) CheckURL(address string) error {
	if address == "" {
		return badURL("is empty; %s", allowedURLs)
	}
	if len(address) > MaxURL {
		return badURL("has %d bytes, at most %d are allowed", len(address), MaxURL)
	}
	if address[0] == '-' {
		return badURL("must not begin with a hyphen; %s", allowedURLs)
	}
	if !plainText(address) {
		return badURL("holds a space, a control character or a backslash; write such characters of a path as %%20 and the like")
	}
	if scheme, _, ok := strings.Cut(address, "://"); ok {
		return p.checkScheme(scheme, address)
	}
	if parts := scpAddress.FindStringSubmatch(address); parts != nil {
		return checkSCP(parts[1], parts[2], parts[3])
	}
	if schemePrefix.MatchString(address) && strings.Contains(address, "::") {
		return badURL("names a remote helper; %s", allowedURLs)
	}
	return badURL("is not the address of a remote repository; %s", allowedURLs)
}

func badURL(format string, args ...any) error {
	return fault.New(fault.Invalid, "repository address "+format, args...)
}

// plainText reports whether s has only characters that are seen, and none that separates words.
func plainText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsGraphic(r) || unicode.IsSpace(r) || r == '\\'
	})
}

func (p Policy) checkScheme(scheme, address string) error {
	if !slices.Contains([]string{"https", "http", "ssh", "file"}, scheme) {
		return badURL("uses another transport than https, http or ssh; %s", allowedURLs)
	}
	u, err := url.Parse(address)
	if err != nil { // the error would repeat the address
		return badURL("is not a well-formed URL; %s", allowedURLs)
	}
	// git decodes percent signs too, so what they stand for must be harmless as well. A decoded space is.
	if decoded := strings.ReplaceAll(u.Path, " ", ""); !plainText(decoded) {
		return badURL("has a path with an encoded control character or backslash")
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(address, "#") {
		return badURL("has a part after ? or #; only host and path are allowed")
	}
	if scheme == "file" {
		return p.checkFile(u)
	}
	if u.User != nil {
		if _, hasPassword := u.User.Password(); hasPassword || scheme != "ssh" {
			return badURL("holds a user name or a password; leave them out and use the git credentials of the server instead")
		}
		if !userName.MatchString(u.User.Username()) {
			return badURL("has a user name other than letters, digits and . _ + -")
		}
	}
	if err := checkHost(u); err != nil {
		return err
	}
	if strings.Trim(u.Path, "/") == "" {
		return badURL("has no path after the host")
	}
	return nil
}

func checkHost(u *url.URL) error {
	host, port := u.Host, u.Port()
	if port != "" {
		host = strings.TrimSuffix(host, ":"+port)
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return badURL("has a port that is not between 1 and 65535")
		}
	}
	if !hostName.MatchString(host) {
		return badURL("has no host, or one with other characters than letters, digits and . - _")
	}
	return nil
}

func checkSCP(user, host, path string) error {
	if !userName.MatchString(user) {
		return badURL("has a user name other than letters, digits and . _ + -")
	}
	if !hostName.MatchString(host) {
		return badURL("has no host, or one with other characters than letters, digits and . - _")
	}
	if strings.Trim(path, "/") == "" || path[0] == '-' {
		return badURL("has no path after the colon, or one that begins with a hyphen")
	}
	return nil
}

// checkFile checks an address of this machine. Its error is the same whether a directory does not exist or may not be used.
func (p Policy) checkFile(u *url.URL) error {
	if len(p.FileRoots) == 0 {
		return badURL("uses file://, which the operator has not allowed; %s", allowedURLs)
	}
	notAllowed := badURL("must be file:// and the absolute path of a repository below a directory that the operator has allowed")
	if u.Host != "" || u.User != nil || !filepath.IsAbs(u.Path) {
		return notAllowed
	}
	path, err := filepath.EvalSymlinks(u.Path)
	if err != nil {
		return notAllowed
	}
	for _, root := range p.FileRoots {
		if root, err := filepath.EvalSymlinks(root); err == nil {
			if rel, err := filepath.Rel(root, path); err == nil && rel != "." && filepath.IsLocal(rel) {
				return nil
			}
		}
	}
	return notAllowed
}
