package httpapi

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestParametersKeepTheirSchemas checks that the types of parameters take what their schemas allow, and no more.
func TestParametersKeepTheirSchemas(t *testing.T) {
	t.Parallel()
	types := map[reflect.Type]bool{}
	for _, o := range (&API{}).operations() {
		for i := range o.in.NumField() {
			f := o.in.Field(i).Type
			if f.Kind() == reflect.Slice {
				f = f.Elem()
			}
			if reflect.PointerTo(f).Implements(reflect.TypeFor[parser]()) {
				types[f] = true
			}
		}
	}
	if len(types) < 20 {
		t.Errorf("only %d types were found", len(types))
	}
	for kind := range types {
		parses := func(value string, want bool) {
			t.Helper()
			if err := reflect.New(kind).Interface().(parser).parse("x", value); (err == nil) != want {
				t.Errorf("%s: %.50q: %v", kind, value, err)
			}
		}
		s := reflect.Zero(kind).Interface().(described).schema()
		if s.Minimum != nil {
			parses(strconv.Itoa(*s.Minimum), true)
			parses(strconv.Itoa(*s.Maximum), true)
			parses(strconv.Itoa(*s.Minimum-1), false)
			parses(strconv.Itoa(*s.Maximum+1), false)
		}
		if s.MaxLength > 0 {
			parses(strings.Repeat("ä", s.MaxLength), true)
			parses(strings.Repeat("ä", s.MaxLength+1), false)
		}
		for _, word := range s.Enum {
			parses(word, true)
		}
		if s.Pattern != "" {
			parses("no slash/", false)
			parses("", false)
		}
	}
}

// TestDocumentWords checks that people find a word about everything in the document whose name does not say enough.
func TestDocumentWords(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for path, methods := range (&API{}).document().Paths {
		for _, p := range methods {
			for _, parameter := range p.Parameters {
				used[parameter.Name] = true
				if parameter.In == "path" && !strings.Contains(path, "{"+parameter.Name+"}") {
					t.Errorf("%s has no %s", path, parameter.Name)
				}
				if parameter.Description == "" {
					t.Errorf("%s: nothing is said about %s", p.ID, parameter.Name)
				}
			}
			if strings.Count(path, "{") > len(p.Parameters) {
				t.Errorf("%s lacks parameters", path)
			}
		}
	}
	ids := map[string]bool{}
	for _, o := range (&API{}).operations() {
		ids[o.id] = true
	}
	of := slices.Concat(slices.Collect(maps.Keys(headers)), slices.Collect(maps.Keys(demands)), slices.Collect(maps.Keys(refusals)))
	for _, more := range moreCodes {
		of = append(of, more.operations...)
	}
	for _, id := range of {
		if !ids[id] {
			t.Errorf("something is said about %s, which there is not", id)
		}
	}
	for name := range parameterWords {
		if !used[name] {
			t.Errorf("there are words about %s, which there is not", name)
		}
	}
}

func TestComponentName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"jobInfoAnswer": "JobInfoAnswer",
		"envelope[atelier/internal/httpapi.jobInfoAnswer]": "JobInfoAnswerEnvelope",
		"envelope[[]string]": "StringListEnvelope",
		"envelope[*string]":  "StringEnvelope",
	} {
		if got := componentName(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
