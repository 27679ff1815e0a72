// Package fault is the language in which the rooms of Atelier tell each other what went wrong.
//
// An error made here has a kind, which decides what a client is told, and a sentence that is safe to show to that client.
// Every other error is internal: its text goes to the server's log and never leaves the server.
package fault

import (
	"errors"
	"fmt"
)

// Kind says what sort of failure an error is. The outer layers map it to an HTTP status and a vendor code, in one table.
type Kind int

const (
	// Internal is everything unexpected; its text must not leave the server.
	Internal Kind = iota
	// Invalid is an argument that breaks a rule; the message names it, what was found and what is allowed.
	Invalid
	// Unauthenticated is a caller that did not prove who it is.
	Unauthenticated
	// Forbidden is a caller that may see a thing but not do this with it.
	Forbidden
	// NotFound is a thing that does not exist, or that the caller may not see. The two look alike on purpose.
	NotFound
	// Exists is a name or a key that is already taken.
	Exists
	// Disabled is a build task that has been switched off.
	Disabled
	// Finished is an attempt to change a build whose state is final.
	Finished
	// NoHistory is a build that never ran, asked for what it would have left behind.
	NoHistory
	// Period is a range of time that is longer than a query may cover.
	Period
	// Limit is a configured maximum that has been reached.
	Limit
	// Unavailable is a dependency, such as the database, that is briefly away; trying again may help.
	Unavailable
)

// Error is a failure with a kind and a sentence for the client.
type Error struct {
	Kind    Kind
	Field   string // the argument at fault, as the client spells it; empty when it is not about one
	Message string // safe to show
	cause   error  // for the log only
}

// New returns an error of the given kind whose sentence may be shown to the client.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Field returns an Invalid error about one argument; the sentence says what was found and what is allowed.
func Field(name, format string, args ...any) *Error {
	return &Error{Kind: Invalid, Field: name, Message: fmt.Sprintf(format, args...)}
}

// Wrap returns an error of the given kind that remembers cause for the server's log. The client sees only the sentence.
func Wrap(cause error, kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...), cause: cause}
}

// Error implements error. The text includes the cause, so it is for logs; Message is for clients.
func (e *Error) Error() string {
	text := e.Message
	if e.Field != "" {
		text = e.Field + ": " + text
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// KindOf returns the kind of the first [Error] in err's chain, or Internal.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// Is reports whether err is a failure of the given kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// Public returns the sentence of err that a client may see, and false when there is none.
func Public(err error) (string, bool) {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Kind == Internal {
		return "", false
	}
	if e.Field != "" {
		return e.Field + ": " + e.Message, true
	}
	return e.Message, true
}
