package report

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// Tests are the results of the tests in one file, or in several.
type Tests struct {
	Succeeded int
	Failed    int // an assertion did not hold
	Errors    int // a test broke in another way
	Skipped   int // and everything else that was not run
	Time      time.Duration
	Bad       []string // names of tests that failed or broke, the first of them
}

// Total is how many tests there are.
func (t Tests) Total() int { return t.Succeeded + t.Failed + t.Errors + t.Skipped }

// Add counts other results with these.
func (t *Tests) Add(other Tests) {
	t.Succeeded += other.Succeeded
	t.Failed += other.Failed
	t.Errors += other.Errors
	t.Skipped += other.Skipped
	t.Time = min(t.Time+other.Time, maxTime)
	t.Bad = append(t.Bad, other.Bad[:min(len(other.Bad), maxBad-len(t.Bad))]...)
}

const (
	maxBad  = 20  // names that are kept of tests that did not succeed
	maxName = 200 // bytes of one
	maxTime = 1000 * time.Hour
)

// ReadJUnit reads results as JUnit's reporters write them, and those of most other tools do: suites, also within suites, with one element
// for each test. The counts that a suite states are not used, because suites around suites state them again.
func ReadJUnit(r io.Reader) (Tests, error) {
	e := newElements(r)
	root, err := e.root()
	switch name := root.Name.Local; {
	case errors.Is(err, io.EOF):
		return Tests{}, errors.New("is empty")
	case err != nil:
		return Tests{}, err
	case name != "testsuites" && name != "testsuite":
		return Tests{}, fmt.Errorf("begins with <%.40s>; the results of JUnit begin with <testsuites> or <testsuite>", name)
	}
	var j junit
	err = e.each(func(start xml.StartElement) error {
		j.element(e, start)
		return nil
	})
	j.endTest()
	return j.tests, err
}

// junit counts the tests of a file.
type junit struct {
	tests  Tests
	name   string // of the test that was read last
	result string // of it: failure, error, skipped, todo, passed; empty when it has been counted
}

// todo is the result of a test that may fail since it is known to.
const todo = "todo"

func (j *junit) element(e *elements, start xml.StartElement) {
	switch name := start.Name.Local; {
	case name == "testcase":
		j.endTest()
		j.name, j.result = nameOf(start), "passed"
		if status := attribute(start, "status"); status == "notrun" || status == "disabled" { // GoogleTest has no element for it
			j.result = "skipped"
		}
		j.tests.Time = min(j.tests.Time+duration(attribute(start, "time")), maxTime)
	case name != "failure" && name != "error" && name != "skipped":
	case e.parent(1) == "testcase":
		switch {
		case name == "skipped" && attribute(start, "type") == todo: // Node; that it fails is known
			j.result = todo
		case j.result != "error" && j.result != "failure" && j.result != todo: // several are one
			j.result = name
		}
	case e.parent(1) == "testsuite" && name != "skipped": // it broke before its tests began
		j.endTest()
		j.name, j.result = attribute(start, "message"), name
		j.endTest()
	}
}

// endTest counts the test that was read last.
func (j *junit) endTest() {
	switch j.result {
	case "":
		return
	case "failure":
		j.tests.Failed++
	case "error":
		j.tests.Errors++
	case "skipped", todo:
		j.tests.Skipped++
	default:
		j.tests.Succeeded++
	}
	if (j.result == "failure" || j.result == "error") && len(j.tests.Bad) < maxBad {
		j.tests.Bad = append(j.tests.Bad, shorten(j.name))
	}
	j.result = ""
}

// nameOf returns the name of a test with that of its class.
func nameOf(test xml.StartElement) string {
	name := attribute(test, "name")
	if class := attribute(test, "classname"); class != "" && !strings.HasPrefix(name, class) {
		name = class + "." + name
	}
	return name
}

// shorten cuts a text to what can be read.
func shorten(s string) string {
	if len(s) > maxName {
		s = strings.ToValidUTF8(s[:maxName], "") + "…"
	}
	return s
}

// duration reads a time in seconds, as tools of all countries write it: 1.5, 1,234.5, 0,5. What is no number takes no time.
func duration(text string) time.Duration {
	text = strings.TrimSuffix(strings.TrimSpace(text), "s")
	whole, rest, comma := strings.Cut(text, ",")
	switch {
	case !comma:
	case strings.Contains(text, "."), whole != "0" && len(rest) == 3, strings.Contains(rest, ","):
		text = strings.ReplaceAll(text, ",", "")
	default:
		text = whole + "." + rest
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(seconds) || seconds <= 0 {
		return 0
	}
	return time.Duration(min(seconds, maxTime.Seconds()) * float64(time.Second))
}
