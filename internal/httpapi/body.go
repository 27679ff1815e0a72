package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"
)

// maxDepth is how deep the JSON of a body may be nested.
const maxDepth = 64

// decodeBody decodes a JSON body into v. Keys that v does not have are ignored, since clients send more than the models say;
// keys that stand twice, deep nesting and wrong types are errors.
func decodeBody(body []byte, v any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return invalid(codeInvalid, "body", "is empty, JSON is expected")
	}
	if !utf8.Valid(body) {
		return invalid(codeInvalid, "body", "is not UTF-8")
	}
	if err := checkJSON(body); err != nil {
		return err
	}
	err := json.Unmarshal(body, v)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		// The value may be a number of any length.
		return invalid(codeInvalid, fieldName(wrong.Field), "must be %s, found %s", typeWord(wrong.Type.Kind()), shorten(wrong.Value))
	}
	if err != nil {
		return invalid(codeInvalid, "body", "cannot be decoded")
	}
	return nil
}

func fieldName(path string) string {
	if path == "" {
		return "body"
	}
	return path
}

// checkJSON reports what encoding/json accepts but nobody means.
func checkJSON(body []byte) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := checkValue(d, 0); err != nil {
		if e, ok := errors.AsType[*apiError](err); ok {
			return e
		}
		return invalid(codeInvalid, "body", "is not JSON (near byte %d)", d.InputOffset())
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return invalid(codeInvalid, "body", "goes on after the JSON value (at byte %d)", d.InputOffset())
	}
	return nil
}

func checkValue(d *json.Decoder, depth int) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	if depth == maxDepth {
		return invalid(codeInvalid, "body", "is nested more than %d levels deep", maxDepth)
	}
	var seen map[string]bool
	if delim == '{' {
		seen = make(map[string]bool)
	}
	for d.More() {
		if seen != nil {
			key, err := d.Token()
			if err != nil {
				return err
			}
			name, _ := key.(string)
			if seen[name] {
				return invalid(codeInvalid, "body", "has the key %q twice in one object (near byte %d)", shorten(name), d.InputOffset())
			}
			seen[name] = true
		}
		if err := checkValue(d, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token() // the closing bracket
	return err
}

// looseText is a string that clients also send as a boolean or a number.
type looseText string

// UnmarshalJSON implements [json.Unmarshaler]. The decoder adds the field's name to its error.
func (t *looseText) UnmarshalJSON(data []byte) error {
	switch data[0] {
	case '"':
		var s string
		if err := json.Unmarshal(data, &s); err != nil {
			return err
		}
		*t = looseText(s)
	case '{':
		return &json.UnmarshalTypeError{Value: "object", Type: reflect.TypeFor[string]()}
	case '[':
		return &json.UnmarshalTypeError{Value: "array", Type: reflect.TypeFor[string]()}
	case 'n':
		*t = ""
	default:
		*t = looseText(data)
	}
	return nil
}

// looseBool is a boolean that clients also send as a text; nil when it is null or not there.
type looseBool struct{ value *bool }

// UnmarshalJSON implements [json.Unmarshaler]. The decoder adds the field's name to its error.
func (b *looseBool) UnmarshalJSON(data []byte) error {
	value := false
	switch strings.ToLower(strings.Trim(string(data), `"`)) {
	case "true":
		value = true
	case "false":
	case "null", "":
		b.value = nil
		return nil
	default:
		return &json.UnmarshalTypeError{Value: string(data), Type: reflect.TypeFor[bool]()}
	}
	b.value = &value
	return nil
}

// properties are values of any kind that are read back as they were written, so numbers keep their digits.
type properties map[string]any

// UnmarshalJSON implements [json.Unmarshaler].
func (p *properties) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return d.Decode((*map[string]any)(p))
}

// shorten cuts a client's text to what can be shown in an error.
func shorten(s string) string {
	const longest = 60
	if utf8.RuneCountInString(s) > longest {
		return string([]rune(s)[:longest]) + "…"
	}
	return s
}

// typeWord is what JSON calls the kind of a field.
func typeWord(k reflect.Kind) string {
	switch k {
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Map, reflect.Struct, reflect.Pointer:
		return "an object"
	default:
		return "a number"
	}
}
