package signature_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"atelier/internal/iam/signature"
)

// FuzzStrangers sends whatever bytes a server may receive. Without the secret none of them may be believed.
func FuzzStrangers(f *testing.F) {
	data, err := os.ReadFile("testdata/go-sdk.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range txtar.Parse(data).Files {
		f.Add(file.Data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(data)))
		if err != nil {
			return
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
		if err != nil {
			return
		}
		claim, err := signature.Parse(r)
		if err != nil {
			return
		}
		if claim.Access == "" {
			t.Error("no access key, and no error")
		}
		if claim.Verify(r, body, "the server's own secret", now) == nil {
			t.Error("believed without the secret")
		}
	})
}

// FuzzTampered signs a request, changes one thing about it, and expects that the change is found out.
func FuzzTampered(f *testing.F) {
	f.Add("/v1/a/b", "/v1/a%2Fb", "a=1&b=2", "a=1&b=%32", "{}", "{ }", "h1", "h2")
	f.Add("/", "//", "a", "a=", "", "x", "é", "e")
	f.Add("/a", "/a/", "q=a+b", "q=a%2Bb", "x", "", "", " ")
	f.Fuzz(func(t *testing.T, path, path2, query, query2, body, body2, header, header2 string) {
		compose := func(path, query, header string) *http.Request {
			u, err := url.Parse("http://build.example.com")
			if err != nil {
				t.Fatal(err)
			}
			escaped := "/" + strings.TrimLeft(path, "/")
			if u.Path, err = url.PathUnescape(escaped); err != nil {
				t.Skip()
			}
			u.RawPath, u.RawQuery = escaped, query
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			r.URL = u
			r.Header.Set("X-Note", header)
			return r
		}
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Skip()
		}
		values2, err2 := url.ParseQuery(query2)
		signed := compose(path, query, header)
		signature.Sign(signed, []byte(body), key, now)
		try := func(what string, r *http.Request, body string, same bool) {
			t.Helper()
			for _, name := range []string{"Authorization", "X-Sdk-Date"} {
				r.Header.Set(name, signed.Header.Get(name))
			}
			if err := verify(r, body, secret, now); (err == nil) != same {
				t.Errorf("%s: verified %v, want %v", what, err == nil, same)
			}
		}
		try("nothing changed", compose(path, query, header), body, true)
		try("path", compose(path2, query, header), body, equalSegments(signed.URL, compose(path2, query, header).URL))
		try("query", compose(path, query2, header), body, err2 == nil && values2.Encode() == sortedLike(values, values2))
		try("header", compose(path, query, header2), body, strings.TrimSpace(header) == strings.TrimSpace(header2))
		try("body", compose(path, query, header), body2, body == body2)
	})
}

// equalSegments reports whether two addresses lead a handler to the same path. A slash at the end makes no difference.
func equalSegments(a, b *url.URL) bool {
	parts, parts2 := strings.Split(strings.TrimSuffix(a.EscapedPath(), "/"), "/"), strings.Split(strings.TrimSuffix(b.EscapedPath(), "/"), "/")
	if len(parts) != len(parts2) {
		return false
	}
	for i := range parts {
		p, _ := url.PathUnescape(parts[i])
		q, _ := url.PathUnescape(parts2[i])
		if p != q {
			return false
		}
	}
	return true
}

// sortedLike returns v encoded, with the values of every name in the order of other when they are the same set.
func sortedLike(v, other url.Values) string {
	for name, values := range v {
		if sameSet(values, other[name]) {
			v[name] = other[name]
		}
	}
	return v.Encode()
}

func sameSet(a, b []string) bool {
	count := map[string]int{}
	for _, s := range a {
		count[s]++
	}
	for _, s := range b {
		count[s]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

func BenchmarkVerify(b *testing.B) {
	r := request(b, "GET /v3/jobs/cb5fa20de5fd4cf8be681d4bd6fdd2f6/61/record-info", "", "Host", "build.example.com", "X-Project-Id", project, "User-Agent", usdk)
	signature.Sign(r, nil, key, now)
	b.ReportAllocs()
	for b.Loop() {
		if err := verify(r, "", secret, now); err != nil {
			b.Fatal(err)
		}
	}
}
