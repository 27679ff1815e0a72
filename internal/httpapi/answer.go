package httpapi

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"time"
)

const requestIDHeader = "X-Request-Id"

// newRequestID returns 32 hexadecimal digits. They only have to differ, so the generator need not be a secure one.
func newRequestID() string {
	const digits = "0123456789abcdef"
	var id [32]byte
	for i := 0; i < len(id); i += 16 {
		n := rand.Uint64()
		for j := range 16 {
			id[i+j] = digits[n&15]
			n >>= 4
		}
	}
	return string(id[:])
}

var jsonType = []string{"application/json;charset=UTF-8"}

// writeJSON answers with an encoded body.
func writeJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["Content-Type"] = jsonType
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away needs no answer
}

// encode returns v as JSON, without the escaping of <, > and & that only old browsers need.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// encoded is an answer that is JSON already, in one of two forms.
type encoded[A, B any] []byte

func (e encoded[A, B]) raw() []byte { return e }

func (encoded[A, B]) forms() []reflect.Type {
	return []reflect.Type{reflect.TypeFor[A](), reflect.TypeFor[B]()}
}

// Answers with another status than 200.
type (
	created[T any]  struct{ body T }
	accepted[T any] struct{ body T }
	noContent       struct{}
)

func (a created[T]) status() (int, any)  { return http.StatusCreated, a.body }
func (a accepted[T]) status() (int, any) { return http.StatusAccepted, a.body }
func (noContent) status() (int, any)     { return http.StatusNoContent, nil }

// download is an answer that is a file. SDKs take a body for a file only when its type is this one.
type download struct {
	name string
	size int64 // -1 when it is not known
	body io.ReadCloser
}

func (d *download) write(w http.ResponseWriter) error {
	defer d.body.Close()
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": d.name}))
	if d.size >= 0 {
		h.Set("Content-Length", strconv.FormatInt(d.size, 10))
	}
	w.WriteHeader(http.StatusOK)
	_, err := io.Copy(w, d.body)
	return err
}

// envelope wraps most answers.
type envelope[T any] struct {
	Result T      `json:"result"`
	Error  *error `json:"error"` // always null: failures have a body of their own
	Status string `json:"status"`
}

func wrap[T any](result T) *envelope[T] { return &envelope[T]{Result: result, Status: "success"} }

// success is the answer of operations that have nothing to say.
type success struct {
	Status string `json:"status"`
}

// text is a string that is null when it is empty.
type text string

// MarshalJSON implements [json.Marshaler].
func (t text) MarshalJSON() ([]byte, error) {
	if t == "" {
		return []byte("null"), nil
	}
	return encode(string(t))
}

// The layouts of times on the wire.
const (
	layoutMillis = "2006-01-02T15:04:05.000-07:00"
	layoutLocal  = "2006-01-02T15:04:05-07:00"
	layoutPlain  = "2006-01-02 15:04:05"
	layoutDay    = "2006-01-02"
)

// isoTime is a moment in UTC with milliseconds, null when it has not come.
type isoTime time.Time

// MarshalJSON implements [json.Marshaler].
func (t isoTime) MarshalJSON() ([]byte, error) {
	at := time.Time(t)
	if at.IsZero() {
		return []byte("null"), nil
	}
	return at.UTC().AppendFormat(make([]byte, 0, 32), `"`+layoutMillis+`"`), nil
}

// floatMillis is a number of milliseconds that is a float on the wire: 52261.0.
type floatMillis int64

// MarshalJSON implements [json.Marshaler].
func (m floatMillis) MarshalJSON() ([]byte, error) {
	return append(strconv.AppendInt(nil, int64(m), 10), ".0"...), nil
}

// epochMillis returns a moment in milliseconds since 1970; nil when it has not come.
func epochMillis(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	ms := t.UnixMilli()
	return &ms
}
