// Package report reads what test tools leave behind: results in the form of JUnit, and coverage as JaCoCo, Cobertura and Go write it.
//
// The files come from builds, so they may be anything. A reader takes as much memory as the largest single element, not the file,
// and what has more bytes, levels or attributes than any tool writes is refused. Errors are sentences to put behind a file's name.
package report
