// Package build is the domain of Atelier: build tasks, builds, their records, and the rules that hold for them.
//
// A job (the vendor's "build task") is configuration. A build is one run of a job; a [Record] is what is kept of it.
// The package knows nothing of HTTP, SQL, YAML or git. What it needs from outside it asks for through the small interfaces
// in service.go; the rooms around it implement them.
package build
