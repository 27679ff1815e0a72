package build

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Artifact is a file that a build has put into the release repository of its project. Project, version and name are its address:
// the newest upload to an address is what stands there.
type Artifact struct {
	ID        string // of the upload, a UUID
	ProjectID ProjectID
	Version   string // a directory of the repository; segments are separated by slashes
	Name      string
	Path      string // of the file in the workspace of the build
	Size      int64
	SHA256    string // in hexadecimal digits
	RecordID  RecordID
	CreatedAt time.Time
}

// NewArtifactID returns an id that sorts by the time it was made.
func NewArtifactID() string { return newUUID() }

// The longest version and name of an artifact, in bytes.
const (
	MaxArtifactVersion = 512
	MaxArtifactName    = 255
)

// CheckArtifactVersion returns why version cannot be a directory of the release repository, or an empty string.
func CheckArtifactVersion(version string) string {
	if len(version) > MaxArtifactVersion {
		return "has more than 512 bytes"
	}
	for segment := range strings.SplitSeq(version, "/") {
		if CheckArtifactName(segment) != "" {
			return "must be names with / between them, without . and .. and control characters, found " + quote(version)
		}
	}
	return ""
}

// CheckArtifactName returns why name cannot be the name of an artifact, or an empty string.
func CheckArtifactName(name string) string {
	switch {
	case len(name) > MaxArtifactName:
		return "has more than 255 bytes"
	case name == "" || name == "." || name == ".." || strings.Contains(name, "/") || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return "must be a name without / and control characters, and not . or .., found " + quote(name)
	default:
		return ""
	}
}
