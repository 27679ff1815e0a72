// Package signature makes and checks request signatures of the kind SDK-HMAC-SHA256, with which clients prove that they hold
// an access key without sending its secret.
//
// Both halves build the same canonical text of a request: method, path, query, the headers that were chosen, and the hash of the
// body. The secret itself is the key of the HMAC over that text and the date. There is no nonce: a signed request is good for
// as long as its date is.
package signature
