package signature

import (
	"cmp"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Algorithm names the one kind of signature that is offered.
const Algorithm = "SDK-HMAC-SHA256"

// Names of headers, in the form that [http.Header] keeps them.
const (
	DateHeader          = "X-Sdk-Date"
	PayloadHeader       = "X-Sdk-Content-Sha256"
	SecurityTokenHeader = "X-Security-Token"

	authorizationHeader = "Authorization"
)

// dateFormat is the form of the date, which is always in UTC.
const dateFormat = "20060102T150405Z"

// Key is an access key with its secret. A temporary one comes with a security token.
type Key struct {
	Access        string
	Secret        string
	SecurityToken string
}

// Sign signs a request that carries body: it sets the date, the security token of a temporary key, and Authorization.
// The host, the content type and every X- header that the request has by now are signed, so set them before and leave them alone. What
// [PayloadHeader] says stands for the hash of the body.
func Sign(r *http.Request, body []byte, key Key, at time.Time) {
	date := at.UTC().Format(dateFormat)
	r.Header.Set(DateHeader, date)
	if key.SecurityToken != "" {
		r.Header.Set(SecurityTokenHeader, key.SecurityToken)
	}
	signed := []string{"host"}
	for name := range r.Header {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-") || name == "content-type" {
			signed = append(signed, name)
		}
	}
	slices.Sort(signed)
	head, err := canonicalHead(r, signed)
	if err != nil {
		head = nil // a query that is not well escaped has no canonical form, and the server will say so
	}
	mac := sum(append(head, cmp.Or(r.Header.Get(PayloadHeader), payloadHash(body))...), date, key.Secret)
	r.Header.Set(authorizationHeader, Algorithm+" Access="+key.Access+", SignedHeaders="+strings.Join(signed, ";")+
		", Signature="+hex.EncodeToString(mac))
}
