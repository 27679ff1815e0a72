package httpapi

import (
	"encoding/json"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// schema is a JSON Schema, in as many of its words as the document needs.
type schema struct {
	Ref         string             `json:"$ref,omitempty"`
	Type        kinds              `json:"type,omitempty"`
	Format      string             `json:"format,omitempty"`
	Description string             `json:"description,omitempty"`
	Pattern     string             `json:"pattern,omitempty"`
	Minimum     *int               `json:"minimum,omitempty"`
	Maximum     *int               `json:"maximum,omitempty"`
	MinLength   int                `json:"minLength,omitempty"`
	MaxLength   int                `json:"maxLength,omitempty"`
	MaxItems    int                `json:"maxItems,omitempty"`
	Enum        []string           `json:"enum,omitempty"`
	Default     any                `json:"default,omitempty"`
	Items       *schema            `json:"items,omitempty"`
	Properties  map[string]*schema `json:"properties,omitempty"`
	Required    []string           `json:"required,omitempty"`
	Additional  *schema            `json:"additionalProperties,omitempty"`
	AnyOf       []*schema          `json:"anyOf,omitempty"`
	AllOf       []*schema          `json:"allOf,omitempty"`
}

// kinds are the JSON types that a value may have.
type kinds []string

// MarshalJSON implements [json.Marshaler]. One type is a text, as people write it.
func (k kinds) MarshalJSON() ([]byte, error) {
	if len(k) == 1 {
		return json.Marshal(k[0])
	}
	return json.Marshal([]string(k))
}

// described is a type that says itself what it is like on the wire. All types of parameters do, and all that have an encoding of their own.
type described interface{ schema() *schema }

func typed(types ...string) *schema { return &schema{Type: types} }

func whole(least, most int) *schema {
	return &schema{Type: kinds{"integer"}, Minimum: &least, Maximum: &most}
}

func matching(pattern string) *schema { return &schema{Type: kinds{"string"}, Pattern: pattern} }

func short(most int) *schema { return &schema{Type: kinds{"string"}, MaxLength: most} }

// by gives a schema a default.
func (s *schema) by(value any) *schema {
	s.Default = value
	return s
}

// orNull returns a schema that also allows null.
func (s *schema) orNull() *schema {
	switch {
	case s.Ref != "":
		return &schema{AnyOf: []*schema{s, typed("null")}}
	case len(s.AnyOf) > 0:
		if !slices.ContainsFunc(s.AnyOf, func(one *schema) bool { return slices.Contains(one.Type, "null") }) {
			s.AnyOf = append(s.AnyOf, typed("null"))
		}
	case len(s.Type) > 0 && !slices.Contains(s.Type, "null"):
		s.Type = append(s.Type, "null")
	}
	return s
}

const form32 = "^[0-9a-z]{32}$"

func (jobID) schema() *schema          { return matching(form32) }
func (projectID) schema() *schema      { return matching(form32) }
func (hexID) schema() *schema          { return matching(form32) }
func (groupID) schema() *schema        { return matching(form32) }
func (recordID) schema() *schema       { return matching(formUUID.String()) }
func (buildProjectID) schema() *schema { return matching(formUUID.String()) }
func (rootID) schema() *schema         { return matching(formRootID.String()) }
func (templateUUID) schema() *schema   { return matching(formTemplateUUID.String()) }
func (groupPath) schema() *schema      { return matching(`^[0-9a-z]{32}(\.[0-9a-z]{32}){0,4}$`) }
func (buildNo) schema() *schema        { return whole(1, 1<<31-1) }
func (pageIndex) schema() *schema      { return whole(0, 999_999_999).by(0) }
func (pageNo) schema() *schema         { return whole(0, 999_999_999).by(1) }
func (pageSize) schema() *schema       { return whole(0, 100).by(10) }
func (page) schema() *schema           { return whole(1, 5000) }
func (count) schema() *schema          { return whole(0, 1<<31-1) }
func (logOffset) schema() *schema      { return whole(0, maxLogOffset) }
func (lines) schema() *schema          { return whole(1, 100_000).by(1000) }
func (period) schema() *schema         { return whole(1, 30) }
func (days) schema() *schema           { return whole(0, 30).by(7) }
func (word) schema() *schema           { return short(1000) }
func (repositoryName) schema() *schema { return short(128) }
func (trendBranch) schema() *schema    { return short(200) }
func (flag) schema() *schema           { return typed("boolean") }

func (fileName) schema() *schema {
	s := short(500)
	s.MinLength = 1
	return s
}

func (listedName) schema() *schema {
	s := short(1000)
	s.Description = "No Chinese characters."
	return s
}

func (level) schema() *schema {
	return &schema{Type: kinds{"string"}, Enum: []string{"INFO", "DEBUG"}, Default: "INFO"}
}

func (text) schema() *schema { return typed("string", "null") }

func (isoTime) schema() *schema {
	return &schema{Type: kinds{"string", "null"}, Format: "date-time"}
}
func (identityTime) schema() *schema { return &schema{Type: kinds{"string"}, Format: "date-time"} }
func (floatMillis) schema() *schema {
	return &schema{Type: kinds{"number"}, Description: "Milliseconds."}
}
func (millis) schema() *schema { return floatMillis(0).schema() }

func (looseText) schema() *schema { return typed("string", "number", "boolean", "null") }
func (properties) schema() *schema {
	return &schema{Type: kinds{"object", "null"}, Additional: &schema{}}
}

func (looseBool) schema() *schema {
	return &schema{AnyOf: []*schema{typed("boolean", "null"), {Type: kinds{"string"}, Enum: []string{"true", "false", ""}}}}
}

func (commaList) schema() *schema {
	return &schema{AnyOf: []*schema{{Type: kinds{"string"}, Description: "Ids with commas between them."}, {Type: kinds{"array"}, Items: typed("string")}}}
}

// schemas makes schemas of types. Structs with a name become components, each once.
type schemas struct {
	components map[string]*schema
	names      map[reflect.Type]string
	answers    bool // of answers, which have all their keys; requests need not
}

// of returns the schema of a type. It panics when a type has an encoding that nobody has described.
func (s *schemas) of(t reflect.Type) *schema {
	if d, ok := reflect.Zero(t).Interface().(described); ok && t.Kind() != reflect.Pointer {
		return d.schema()
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem()).orNull()
	case reflect.String:
		return typed("string")
	case reflect.Bool:
		return typed("boolean")
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint64:
		return typed("integer")
	case reflect.Float64:
		return typed("number")
	case reflect.Interface:
		if t.Implements(reflect.TypeFor[error]()) {
			return typed("null")
		}
		return &schema{}
	case reflect.Slice:
		if t == reflect.TypeFor[json.RawMessage]() {
			return &schema{}
		}
		return s.orNone(&schema{Type: kinds{"array"}, Items: s.of(t.Elem())})
	case reflect.Map:
		return s.orNone(&schema{Type: kinds{"object"}, Additional: s.of(t.Elem())})
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return &schema{Type: kinds{"string"}, Format: "date-time"}
		}
		if t.Name() == "" {
			return s.object(t)
		}
		return s.component(t)
	}
	panic(fmt.Sprintf("httpapi: the document cannot say what %s is like", t))
}

// orNone returns the schema of a list or a map, for which requests may have null.
func (s *schemas) orNone(of *schema) *schema {
	if s.answers {
		return of
	}
	return of.orNull()
}

// component returns a reference to the schema of a struct.
func (s *schemas) component(t reflect.Type) *schema {
	name, ok := s.names[t]
	if !ok {
		name = componentName(t.Name())
		for base, n := name, 2; s.components[name] != nil; n++ {
			name = base + strconv.Itoa(n)
		}
		s.names[t] = name
		s.components[name] = &schema{} // a struct may hold itself
		*s.components[name] = *s.object(t)
	}
	return &schema{Ref: "#/components/schemas/" + name}
}

// componentName makes a name of a type's: envelope[atelier/internal/httpapi.jobInfoAnswer] becomes JobInfoAnswerEnvelope.
func componentName(name string) string {
	outer, inner, generic := strings.Cut(name, "[")
	if !generic {
		return strings.Map(func(r rune) rune {
			if unicode.IsLetter(r) || unicode.IsDigit(r) {
				return r
			}
			return -1
		}, strings.ToUpper(outer[:1])+outer[1:])
	}
	inner = strings.TrimSuffix(inner, "]")
	list := strings.HasPrefix(inner, "[]")
	inner = path.Base(strings.Trim(inner, "[]*"))
	if dot := strings.LastIndexByte(inner, '.'); dot >= 0 {
		inner = inner[dot+1:]
	}
	if list {
		inner += "List"
	}
	return componentName(inner) + componentName(outer)
}

func (s *schemas) object(t reflect.Type) *schema {
	o := &schema{Type: kinds{"object"}, Properties: make(map[string]*schema)}
	s.fields(t, o)
	return o
}

// fields adds the fields of a struct to an object, those of embedded structs as encoding/json has them.
func (s *schemas) fields(t reflect.Type, o *schema) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if tag == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		if f.Anonymous && tag == "" {
			s.fields(f.Type, o)
			continue
		}
		if tag == "" {
			tag = f.Name
		}
		field := s.of(f.Type)
		words := strings.Split(f.Tag.Get("doc"), ",")
		for _, word := range words[1:] {
			if word == "null" {
				field = &schema{AnyOf: []*schema{field, typed("null")}}
				continue
			}
			field.limit(word)
		}
		o.Properties[tag] = field
		if s.answers && !strings.Contains(options, "omitempty") || words[0] == "required" {
			o.Required = append(o.Required, tag)
		}
	}
}

// form returns the schema of a text that its operation reads as something else: a time, a day, or one of several words.
func (s *schema) form(tag string) *schema {
	switch tag {
	case "":
		return s
	case "time":
		return matching(`^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$`)
	case "day":
		return &schema{Type: kinds{"string"}, Format: "date"}
	}
	return &schema{Type: kinds{"string"}, Enum: strings.Split(tag, "|")}
}

// limit puts a limit of a field's tag into its schema: 1..115 of a number's value or of the length of a text.
func (s *schema) limit(word string) {
	low, high, ok := strings.Cut(word, "..")
	least, err1 := strconv.Atoi(low)
	most, err2 := strconv.Atoi(high)
	if !ok || err1 != nil || err2 != nil {
		panic(fmt.Sprintf("httpapi: %q is no limit", word))
	}
	if s.Type[0] == "integer" {
		s.Minimum, s.Maximum = &least, &most
		return
	}
	s.MinLength, s.MaxLength = least, most
}
