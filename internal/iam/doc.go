// Package iam knows who calls and what they may do: domains, users, access keys, tokens and request signatures on one side,
// projects, members and roles on the other.
//
// Whoever calls proves it by a token or by a signature made with an access key; both end in a [Caller]. What the caller may do
// with a build task is asked of [Service.Check], which implements [build.Access].
//
// Two things are called project by the vendor and must not be mixed up. A [Project] holds build tasks and has members. What the
// vendor's identity service calls a project stands for a region of a domain; here it is a [Region].
package iam
