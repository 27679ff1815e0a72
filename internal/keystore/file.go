// Package keystore keeps the small files that builds need and nobody should read: keys for signing, settings with passwords. Their content
// is sealed before it is stored.
package keystore

import (
	"path"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// Limits of files, as the vendor's guide has them.
const (
	MaxFiles = 20        // of a tenant, where nobody says otherwise
	MaxSize  = 100 << 10 // bytes of one, where nobody says otherwise

	maxName        = 500
	maxDescription = 1000
)

// Extensions are what the names of files end with.
var Extensions = []string{".xml", ".key", ".keystore", ".jks", ".crt", ".pem"}

// File is what is known of a file, apart from its content.
type File struct {
	ID          string // 32 hexadecimal digits
	DomainID    string
	Name        string // unique in the domain: builds ask for it
	Description string
	Shared      bool // everybody of the domain may use it

	CreatorID, CreatorName string
	UpdaterID, UpdaterName string
	CreatedAt, UpdatedAt   time.Time
}

// Grant is what one user may do with one file.
type Grant struct {
	ID       string // 32 hexadecimal digits
	FileID   string
	UserID   string
	UserName string
	Rights   Rights
	Creator  bool // of the file: the grant cannot be changed or removed
	Fixed    bool // whoever gave it does not want it changed or removed
}

// Rights are what a user may do with a file.
type Rights struct {
	Use    bool // in builds, and download it
	Modify bool
	Delete bool
	Assign bool // give rights to others
}

var allRights = Rights{true, true, true, true}

// Seen is a file together with what the one who looks may do with it.
type Seen struct {
	File
	Rights Rights
}

// rightsOf adds up what a user may do: its grant, what the file lets everybody do, and that an administrator may do everything.
func rightsOf(f File, granted Rights, administrator bool) Rights {
	if administrator {
		return allRights
	}
	granted.Use = granted.Use || f.Shared
	return granted
}

func checkName(name string) error {
	switch {
	case name == "" || utf8.RuneCountInString(name) > maxName:
		return fault.Field("name", "must have 1 to %d characters, found %d", maxName, utf8.RuneCountInString(name))
	case strings.ContainsAny(name, `/\`) || strings.ContainsFunc(name, unicode.IsControl) || !utf8.ValidString(name):
		return fault.Field("name", "must have no slashes and no control characters, found %.60q", name)
	case !slices.Contains(Extensions, strings.ToLower(path.Ext(name))):
		return fault.Field("name", "must end with one of %s, found %.60q", strings.Join(Extensions, ", "), name)
	case len(name) == len(path.Ext(name)):
		return fault.Field("name", "must have something before %s", path.Ext(name))
	}
	return nil
}

func checkDescription(text string) error {
	if n := utf8.RuneCountInString(text); n > maxDescription || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return fault.Field("description", "must have at most %d characters and no zero bytes, found %d", maxDescription, n)
	}
	return nil
}

// who is the creator's grant on its file.
func creatorsGrant(f File) Grant {
	return Grant{ID: build.NewHexID(), FileID: f.ID, UserID: f.CreatorID, UserName: f.CreatorName, Rights: allRights, Creator: true, Fixed: true}
}
