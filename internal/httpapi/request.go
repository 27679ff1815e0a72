package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"atelier/internal/build"
)

// A request struct says what an operation takes:
//
//	type stopRequest struct {
//		JobID   jobID    `path:"job_id"`
//		BuildNo buildNo  `query:"build_no"`
//		Body    stopBody `body:"optional"`
//	}
//
// The types of its fields carry the rules. A query parameter that is not given leaves its field at the zero value, unless the
// tag `required:"true"` stands beside it.

// parser is a field type that reads itself from a path or a query. The error says what is allowed; name is the parameter's.
type parser interface {
	parse(name, value string) error
}

// field is one field of a request struct.
type field struct {
	index    int
	name     string
	inPath   bool
	required bool
	list     bool
}

// decoder fills request structs of one type.
type decoder struct {
	fields       []field
	body         int // index of the field with the body, -1 when there is none
	bodyOptional bool
}

// newDecoder reads the tags of a request struct. It panics at start-up when they make no sense.
func newDecoder(t reflect.Type) decoder {
	d := decoder{body: -1}
	for i := range t.NumField() {
		f := t.Field(i)
		if mode, ok := f.Tag.Lookup("body"); ok {
			d.body, d.bodyOptional = i, mode == "optional"
			continue
		}
		path, inPath := f.Tag.Lookup("path")
		query, inQuery := f.Tag.Lookup("query")
		if inPath == inQuery {
			panic(fmt.Sprintf("httpapi: field %s.%s has no place in a request", t, f.Name))
		}
		item := f.Type
		if item.Kind() == reflect.Slice {
			item = item.Elem()
		}
		if !reflect.PointerTo(item).Implements(reflect.TypeFor[parser]()) {
			panic(fmt.Sprintf("httpapi: field %s.%s cannot be read from a request", t, f.Name))
		}
		d.fields = append(d.fields, field{
			index: i, name: path + query, inPath: inPath, required: f.Tag.Get("required") == "true", list: f.Type.Kind() == reflect.Slice,
		})
	}
	return d
}

// maxListed is how many values a list in a query may have.
const maxListed = 100

// decode fills v, a struct of the decoder's type, from a request.
func (d decoder) decode(r *http.Request, body []byte, v reflect.Value) error {
	var query url.Values
	if r.URL.RawQuery != "" {
		var err error
		if query, err = url.ParseQuery(r.URL.RawQuery); err != nil {
			return invalid(codeInvalid, "query", "is not well escaped")
		}
	}
	var absent []string
	for _, f := range d.fields {
		if f.required && len(query[f.name]) < 2 && query.Get(f.name) == "" {
			absent = append(absent, f.name)
			continue
		}
		if f.inPath {
			value := r.PathValue(f.name)
			if r.URL.RawPath != "" { // the router matched the path as it was sent
				value, _ = url.PathUnescape(value) // the server has parsed it once
			}
			if err := v.Field(f.index).Addr().Interface().(parser).parse(f.name, value); err != nil {
				return err
			}
			continue
		}
		if err := f.decodeQuery(query[f.name], v.Field(f.index)); err != nil {
			return err
		}
	}
	if err := missing(absent...); err != nil {
		return err
	}
	if d.body < 0 || (d.bodyOptional && len(body) == 0) {
		return nil
	}
	return decodeBody(body, v.Field(d.body).Addr().Interface())
}

// missing is the error about what is not given, with the names of all of it; nil without any.
func missing(names ...string) error {
	switch len(names) {
	case 0:
		return nil
	case 1:
		return invalid(codeInvalid, names[0], "is missing")
	default:
		return invalid(codeInvalid, strings.Join(names, ", "), "are missing")
	}
}

// without returns the names for which there says no.
func without(names []string, there func(name string) bool) []string {
	return slices.DeleteFunc(slices.Clone(names), there)
}

func (f field) decodeQuery(values []string, v reflect.Value) error {
	if f.list {
		if len(values) > maxListed {
			return invalid(codeInvalid, f.name, "has %d values, at most %d are allowed", len(values), maxListed)
		}
		for _, value := range values {
			item := reflect.New(v.Type().Elem())
			if err := item.Interface().(parser).parse(f.name, value); err != nil {
				return err
			}
			v.Set(reflect.Append(v, item.Elem()))
		}
		return nil
	}
	switch {
	case len(values) > 1:
		return invalid(codeInvalid, f.name, "is given %d times, once is allowed", len(values))
	case len(values) == 1 && values[0] != "":
		return v.Addr().Interface().(parser).parse(f.name, values[0])
	default:
		return nil
	}
}

// The types of path and query parameters.
type (
	jobID          build.JobID
	projectID      build.ProjectID
	recordID       build.RecordID
	buildProjectID build.BuildProjectID
	buildNo        int // 1 … 2³¹−1
	pageIndex      int // from 0
	pageNo         int // from 1; 0 stands for the first
	pageSize       int // at most 100; 0 stands for the default
	count          int // 0 … 2³¹−1
	word           string
	flag           bool
)

var formUUID = regexp.MustCompile(`^[0-9a-z-]{36}$`)

func (id *jobID) parse(name, value string) error {
	if !isForm32(value) {
		return invalid(codeInvalidJobID, name, "must be 32 lower-case letters or digits, found %q", shorten(value))
	}
	*id = jobID(value)
	return nil
}

// isForm32 does without a regular expression, since it is asked in every request for a record.
func isForm32(s string) bool {
	if len(s) != 32 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

func (id *projectID) parse(name, value string) error {
	if !isForm32(value) {
		return invalid(codeInvalidID, name, "must be 32 lower-case letters or digits, found %q", shorten(value))
	}
	*id = projectID(value)
	return nil
}

func (id *recordID) parse(name, value string) error {
	if !formUUID.MatchString(value) {
		return invalid(codeInvalidID, name, "must be 36 lower-case letters, digits or hyphens, found %q", shorten(value))
	}
	*id = recordID(value)
	return nil
}

func (id *buildProjectID) parse(name, value string) error {
	var r recordID
	err := r.parse(name, value)
	*id = buildProjectID(r)
	return err
}

func (n *buildNo) parse(name, value string) error {
	i, err := parseNumber(name, value, 1, 1<<31-1)
	*n = buildNo(i)
	return err
}

func (n *pageIndex) parse(name, value string) error {
	i, err := parseNumber(name, value, 0, 999_999_999)
	*n = pageIndex(i)
	return err
}

func (n *pageNo) parse(name, value string) error {
	return (*pageIndex)(n).parse(name, value)
}

// offset returns how many rows stand before the page.
func (n pageNo) offset(size pageSize) int { return max(0, int(n)-1) * size.rows() }

func (n *pageSize) parse(name, value string) error {
	i, err := parseNumber(name, value, 0, 100)
	*n = pageSize(i)
	return err
}

// rows returns the page size, 10 when none was given.
func (n pageSize) rows() int {
	if n == 0 {
		return 10
	}
	return int(n)
}

func (n *count) parse(name, value string) error {
	i, err := parseNumber(name, value, 0, 1<<31-1)
	*n = count(i)
	return err
}

func (w *word) parse(name, value string) error {
	const longest = 1000 // characters
	if n := utf8.RuneCountInString(value); n > longest {
		return invalid(codeInvalid, name, "has %d characters, at most %d are allowed", n, longest)
	}
	if !utf8.ValidString(value) || strings.Contains(value, "\x00") { // which not every database takes
		return invalid(codeInvalid, name, "must be UTF-8 text without zero bytes")
	}
	*w = word(value)
	return nil
}

func (b *flag) parse(name, value string) error {
	v, err := strconv.ParseBool(value)
	if err != nil {
		return invalid(codeInvalid, name, "must be true or false, found %q", shorten(value))
	}
	*b = flag(v)
	return nil
}

// parseNumber takes plain decimal digits only: no sign, no exponent, no blank.
func parseNumber(name, value string, least, most int64) (int64, error) {
	n, err := strconv.ParseUint(value, 10, 63)
	if err != nil || int64(n) < least || int64(n) > most {
		return 0, invalid(codeInvalid, name, "must be a whole number from %d to %d, found %q", least, most, shorten(value))
	}
	return int64(n), nil
}
