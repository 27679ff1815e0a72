package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"atelier/internal/fault"
)

// Problem is one thing that is wrong with a build file or a task.
type Problem struct {
	File    string // empty for a task
	Line    int    // from 1; 0 when it is about no place in the file
	Column  int
	Path    string // to the key, such as steps.BUILD[1].npm.inputs.command
	Message string // what was found and what is allowed
}

// String returns the problem as compilers print theirs.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File + ":")
	}
	if p.Line > 0 {
		fmt.Fprintf(&b, "%d:%d:", p.Line, p.Column)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	return b.String() + p.Message
}

// Problems are all that is wrong, in the order of the file. They are a fault of the kind Invalid.
type Problems []Problem

// Error implements error: one problem a line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the problems as the rooms that know nothing of files see them.
func (p Problems) Unwrap() error { return fault.New(fault.Invalid, "%s", p.Error()) }

// maxProblems is how many problems are told. A file with more of them is of another kind altogether.
const maxProblems = 50

// sorted returns the problems in the order of the file, each once; nil when there are none.
func (p Problems) sorted() error {
	if len(p) == 0 {
		return nil
	}
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(p).capped()
}

// capped returns the problems that are told.
func (p Problems) capped() Problems {
	if more := len(p) - maxProblems; more > 0 {
		return append(p[:maxProblems:maxProblems], Problem{File: p[0].File, Message: fmt.Sprintf("and %d more problems", more)})
	}
	return p
}

// shown quotes what was found, cut to what can be read.
func shown(s string) string {
	const longest = 60
	if r := []rune(s); len(r) > longest {
		s = string(r[:longest]) + "…"
	}
	return fmt.Sprintf("%q", s)
}

// suggestion returns ` (did you mean "x"?)` when one of the known words is close to what was found.
func suggestion(found string, known []string) string {
	best, least := "", 3
	for _, word := range known {
		if d := distance(strings.ToLower(found), strings.ToLower(word), least); d < least && d < len(word) {
			best, least = word, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// distance is how many characters have to be changed, added or removed to make b of a; at most limit.
func distance(a, b string, limit int) int {
	if len(a) > 64 || len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return min(limit, row[len(b)])
}
