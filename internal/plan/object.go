package plan

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"golang.org/x/net/http/httpguts"

	"atelier/internal/glob"
)

// ObjectUpload puts files of the workspace into a bucket of an object store.
type ObjectUpload struct {
	Pattern   string
	Bucket    string
	Directory string // of the objects; empty for the root of the bucket
	Name      string // of the objects in it; empty for those of the files
	Tree      bool   // keep the directories of the files, and take what is in directories that the pattern matches
	Headers   []Param
}

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// objectUpload puts the settings of an upload_obs step together.
func objectUpload(in settings) *ObjectUpload {
	u := &ObjectUpload{
		Pattern: in.texts["artifact_path"], Bucket: in.texts["bucket_name"], Name: in.texts["artifact_dest_name"],
		Tree: in.texts["upload_directory"] == "true", Headers: in.pairs["headers"],
	}
	if u.Pattern == "" {
		u.Pattern = "bin/*"
	}
	if _, err := glob.Parse(withPlaceholders(u.Pattern)); err != nil {
		in.report("artifact_path", "%v", err)
	}
	if u.Bucket != "" && !bucketName.MatchString(withPlaceholders(u.Bucket)) {
		in.report("bucket_name", "must be 3 to 63 lower case letters, digits, . and -, found %s", shown(u.Bucket))
	}
	if dir := path.Clean(strings.TrimLeft(in.texts["obs_directory"], "/")); dir != "." {
		u.Directory = dir
	}
	if !below(u.Directory) {
		in.report("obs_directory", "must be names with / between them, without .., found %s", shown(in.texts["obs_directory"]))
	}
	if strings.ContainsAny(u.Name, "/\x00") || u.Name == "." || u.Name == ".." {
		in.report("artifact_dest_name", "must be a name without /, found %s", shown(u.Name))
	}
	if u.Name != "" && u.Tree {
		in.report("artifact_dest_name", "cannot be given together with upload_directory, whose files keep their names")
	}
	for _, h := range u.Headers {
		if why := headerProblem(h.Name, h.Value); why != "" {
			in.report("headers", "%s: %s", shown(h.Name), why)
		}
	}
	return u
}

// objectHeaders are those that are kept with an object and sent with it, besides those of its owner.
var objectHeaders = []string{"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type"}

// metaHeaders begin the names of the headers that the owner of an object makes up.
var metaHeaders = []string{"x-obs-meta-", "x-amz-meta-"}

func headerProblem(name, value string) string {
	if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
		return "is not a header that can be sent"
	}
	for _, known := range objectHeaders {
		if strings.EqualFold(name, known) {
			return ""
		}
	}
	for _, prefix := range metaHeaders {
		if own, ok := strings.CutPrefix(strings.ToLower(name), prefix); ok && own != "" {
			return ""
		}
	}
	return fmt.Sprintf("is not one of an object; there are %s, and names that begin with %s", strings.Join(objectHeaders, ", "), strings.Join(metaHeaders, " or "))
}
