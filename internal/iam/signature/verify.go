package signature

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Window is how far the date of a request may be from the server's clock, either way.
const Window = 15 * time.Minute

// unsigned stands in place of the payload's hash in requests whose body is not signed.
const unsigned = "UNSIGNED-PAYLOAD"

// Limits of what a client may write into Authorization. They are far above what any client does.
const (
	maxAccess = 128
	maxSigned = 100
)

// Why a signature is refused.
var (
	// ErrMalformed is a header or an address that cannot be read, or a signature that leaves out the date.
	ErrMalformed = errors.New("the signature cannot be read")
	// ErrExpired is a date that is none, or too far from the server's clock.
	ErrExpired = errors.New("the signature's date is too far from the server's clock")
	// ErrMismatch is a signature that was not made of this request with this secret.
	ErrMismatch = errors.New("the signature does not match the request")
)

// AlgorithmError is a signature of a kind that is not offered.
type AlgorithmError struct{ Algorithm string }

func (e *AlgorithmError) Error() string {
	return fmt.Sprintf("the signature algorithm %.40q is not offered, use %s", e.Algorithm, Algorithm)
}

// algorithms are the kinds of signature that clients of the vendor's can be told to make.
var algorithms = []string{Algorithm, "V11-HMAC-SHA256", "SDK-HMAC-SM3", "SDK-ECDSA-P256-SHA256", "SDK-SM2-SM3"}

// Present reports whether a request carries a signature of any kind, so that it is to be judged by it.
func Present(r *http.Request) bool {
	values := r.Header[authorizationHeader]
	if len(values) == 0 {
		return false
	}
	word, _, _ := strings.Cut(values[0], " ")
	return slices.Contains(algorithms, word)
}

// Claim is what a signed request says of itself. Nothing in it is true before [Claim.Verify] says so.
type Claim struct {
	Access string // the access key that the request says it was signed with

	signed    []string
	signature []byte
	date      string
}

// Parse reads the signature of a request. It is lenient about the order of the parts and the spaces around them. The error is
// [ErrMalformed] or an [AlgorithmError].
func Parse(r *http.Request) (Claim, error) {
	values := r.Header[authorizationHeader]
	if len(values) != 1 {
		return Claim{}, ErrMalformed
	}
	algorithm, rest, _ := strings.Cut(strings.TrimSpace(values[0]), " ")
	if algorithm != Algorithm {
		return Claim{}, &AlgorithmError{algorithm}
	}
	parts, err := parseParts(rest)
	if err != nil {
		return Claim{}, err
	}
	c := Claim{Access: parts["Access"]}
	if len(c.Access) == 0 || len(c.Access) > maxAccess {
		return Claim{}, ErrMalformed
	}
	c.signed = strings.Split(parts["SignedHeaders"], ";")
	if len(c.signed) > maxSigned || !c.covers(DateHeader) {
		return Claim{}, ErrMalformed
	}
	if c.signature, err = hex.DecodeString(parts["Signature"]); err != nil || len(c.signature) != sha256.Size {
		return Claim{}, ErrMalformed
	}
	// Two dates could be read as either; none is found out below, when the access key has been looked up.
	if dates := r.Header[DateHeader]; len(dates) == 1 {
		c.date = strings.TrimSpace(dates[0])
	}
	return c, nil
}

// parseParts reads name=value, separated by commas.
func parseParts(text string) (map[string]string, error) {
	parts := make(map[string]string, 3)
	for part := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		if _, twice := parts[name]; !ok || twice || len(parts) == 3 {
			return nil, ErrMalformed
		}
		parts[name] = strings.TrimSpace(value)
	}
	return parts, nil
}

// VerifyHead verifies the signature of a request whose body is not there yet. It can only do so when the signature covers a
// header that states the payload's hash; decided is false otherwise, and [Claim.Verify] has to wait for the body. A signature
// that holds says what the hash of the body has to be, so [Claim.Verify] follows in any case. The date is judged either way.
func (c Claim) VerifyHead(r *http.Request, secret string, now time.Time) (decided bool, err error) {
	if err := c.checkDate(now); err != nil {
		return true, err
	}
	stated := r.Header[PayloadHeader]
	if len(stated) != 1 || !c.covers(PayloadHeader) {
		return false, nil
	}
	head, err := canonicalHead(r, c.signed)
	if err != nil {
		return true, err
	}
	payloads := []string{strings.TrimSpace(stated[0])}
	if payloads[0] == unsigned {
		payloads = append(payloads, payloadHash(nil)) // what some clients sign when there is nothing to send
	}
	return true, c.match(head, payloads, secret)
}

// Verify checks that the request, with the body that came with it, was signed with the secret not too long ago. The error is
// [ErrExpired], [ErrMalformed] or [ErrMismatch]. How long it takes does not depend on the secret.
func (c Claim) Verify(r *http.Request, body []byte, secret string, now time.Time) error {
	if err := c.checkDate(now); err != nil {
		return err
	}
	head, err := canonicalHead(r, c.signed)
	if err != nil {
		return err
	}
	payloads, err := c.payloads(r, body)
	if err != nil {
		return err
	}
	return c.match(head, payloads, secret)
}

// checkDate is [ErrExpired] for a date that is not a date or too far away. The date is no secret, so it may be judged first.
func (c Claim) checkDate(now time.Time) error {
	at, err := time.Parse(dateFormat, c.date)
	if err != nil || len(c.date) != len(dateFormat) || at.Sub(now).Abs() > Window {
		return ErrExpired
	}
	return nil
}

// match is nil when the canonical text was signed with one of the payloads on its last line.
func (c Claim) match(head []byte, payloads []string, secret string) error {
	for _, payload := range payloads {
		if hmac.Equal(sum(append(bytes.Clone(head), payload...), c.date, secret), c.signature) {
			return nil
		}
	}
	return ErrMismatch
}

// covers reports whether the signature covers a header.
func (c Claim) covers(header string) bool {
	return slices.ContainsFunc(c.signed, func(s string) bool { return strings.EqualFold(s, header) })
}

// payloads returns what may stand on the last line of the canonical text. A header may say what does; it must tell the truth,
// or say that the body is unsigned, which only a header that the signature covers can.
func (c Claim) payloads(r *http.Request, body []byte) ([]string, error) {
	values := r.Header[PayloadHeader]
	switch {
	case len(values) == 0:
		return []string{payloadHash(body)}, nil
	case len(values) > 1:
		return nil, ErrMismatch
	}
	switch said := strings.TrimSpace(values[0]); {
	case said == unsigned && !c.covers(PayloadHeader):
		return nil, ErrMismatch
	case said == unsigned && len(body) == 0:
		return []string{unsigned, payloadHash(body)}, nil // clients differ in what they sign when there is nothing to send
	case said == unsigned:
		return []string{unsigned}, nil
	case said == payloadHash(body):
		return []string{said}, nil
	default:
		return nil, ErrMismatch
	}
}
