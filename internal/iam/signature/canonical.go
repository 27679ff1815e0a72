package signature

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
)

// canonicalHead returns the canonical text of a request up to the hash of the payload, which stands on the last line.
func canonicalHead(r *http.Request, signed []string) ([]byte, error) {
	text := make([]byte, 0, 512)
	text = append(append(text, r.Method...), '\n')
	text, err := appendPath(text, r.URL.EscapedPath())
	if err != nil {
		return nil, err
	}
	text, err = appendQuery(append(text, '\n'), r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	text = append(text, '\n')
	for _, name := range signed {
		text = appendHeader(text, r, name)
	}
	text = append(text, '\n')
	for i, name := range signed {
		if i > 0 {
			text = append(text, ';')
		}
		text = append(text, name...)
	}
	return append(text, '\n'), nil
}

// appendPath writes every segment of the path escaped in the one canonical way, with a slash after the last. It looks for the
// slashes before it decodes, so that an escaped slash, which handlers take for part of a segment, is never taken for a real one.
func appendPath(text []byte, escaped string) ([]byte, error) {
	if escaped == "" {
		return append(text, '/'), nil
	}
	for segment := range strings.SplitSeq(strings.TrimSuffix(escaped, "/"), "/") {
		plain, err := url.PathUnescape(segment)
		if err != nil {
			return nil, ErrMalformed
		}
		text = append(appendEscaped(text, plain), '/')
	}
	return text, nil
}

type parameter struct{ name, value string }

// appendQuery writes the parameters sorted by name, then value. A plus sign is a blank, as it is for the handlers.
func appendQuery(text []byte, raw string) ([]byte, error) {
	if raw == "" {
		return text, nil
	}
	var parameters []parameter
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		p, err := parseParameter(part)
		if err != nil {
			return nil, err
		}
		parameters = append(parameters, p)
	}
	slices.SortFunc(parameters, func(a, b parameter) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.value, b.value))
	})
	for i, p := range parameters {
		if i > 0 {
			text = append(text, '&')
		}
		text = appendEscaped(append(appendEscaped(text, p.name), '='), p.value)
	}
	return text, nil
}

func parseParameter(part string) (p parameter, err error) {
	name, value, _ := strings.Cut(part, "=")
	if strings.Contains(part, ";") { // net/url drops such a parameter, so handlers would not see what was signed
		return p, ErrMalformed
	}
	if p.name, err = url.QueryUnescape(name); err != nil {
		return p, ErrMalformed
	}
	if p.value, err = url.QueryUnescape(value); err != nil {
		return p, ErrMalformed
	}
	return p, nil
}

// appendHeader writes a header, one line for each of its values in order. One that the request does not have is empty.
func appendHeader(text []byte, r *http.Request, name string) []byte {
	lower := strings.ToLower(name)
	line := func(value string) {
		text = append(append(append(text, lower...), ':'), strings.TrimSpace(value)...)
		text = append(text, '\n')
	}
	if lower == "host" {
		line(hostOf(r))
		return text
	}
	switch values := r.Header[textproto.CanonicalMIMEHeaderKey(lower)]; {
	case len(values) > 1:
		for _, v := range slices.Sorted(slices.Values(values)) {
			line(v)
		}
	case len(values) == 1:
		line(values[0])
	default:
		line("")
	}
	return text
}

// hostOf returns the host as a server receives it, also for a request that is yet to be sent.
func hostOf(r *http.Request) string {
	if r.Host == "" && r.URL != nil {
		return r.URL.Host
	}
	return r.Host
}

const upperHex = "0123456789ABCDEF"

// appendEscaped writes everything but letters, digits and -_.~ as a percent sign and two digits.
func appendEscaped(text []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == '~':
			text = append(text, c)
		default:
			text = append(text, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return text
}

// sum returns the signature of a canonical text.
func sum(canonical []byte, date, secret string) []byte {
	hash := sha256.Sum256(canonical)
	text := make([]byte, 0, len(Algorithm)+len(date)+2+2*sha256.Size)
	text = append(append(text, Algorithm...), '\n')
	text = append(append(text, date...), '\n')
	text = hex.AppendEncode(text, hash[:])
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(text)
	return mac.Sum(nil)
}

func payloadHash(body []byte) string {
	hash := sha256.Sum256(body)
	return hex.EncodeToString(hash[:])
}
