// Package httpapi is the wire: it decodes requests, calls a service, and encodes the answer.
//
// The contract is the vendor's, down to its misspelt keys, so the package has handlers and wire structs of its own rather than
// a framework's: error bodies, nulls, two spellings of one answer and lenient types are what it is about. One table,
// [API.operations], lists every operation with the vendor's name, method and path; routing, authentication and documentation
// are made from it. A wire struct never reaches a service, and a domain struct is never encoded.
package httpapi
