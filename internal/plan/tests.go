package plan

import (
	"fmt"
	"strings"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/glob"
)

// Tests says what the commands of a step leave behind that becomes part of the build's reports.
type Tests struct {
	Results  string // pattern of the files with results; empty for none
	Gate     bool   // a test that does not succeed fails the step
	Coverage string // pattern of the coverage reports, or of the directories that they are in; empty for none
}

// unitTest is the input of every step with commands that says what they leave.
var unitTest = input{name: "unit_test", kind: mapping, fields: []input{
	{name: "enable", kind: flag},
	{name: "ignore_errors", kind: flag},
	{name: "report_path"},
	{name: "coverage", kind: flag},
	{name: "coverage_report_path"},
}}

// mavenCoverage is where Maven's plug-in for coverage writes unless it is told otherwise. No other keyword has one such place.
const mavenCoverage = "**/site/jacoco"

// newTests puts the settings together; nil when nothing is to be collected. Problems are reported by the name of the build file's input.
func newTests(keyword string, enable, coverage bool, t Tests, report func(input, why string)) *Tests {
	if keyword == "maven" && t.Coverage == "" {
		t.Coverage = mavenCoverage
	}
	t.Coverage = strings.TrimSuffix(t.Coverage, "/")
	check := func(input, pattern string) {
		if _, err := glob.Parse(pattern); pattern != "" && err != nil {
			why, _ := fault.Public(err)
			report(input, why)
		}
	}
	check("report_path", t.Results)
	check("coverage_report_path", t.Coverage)
	switch {
	case !enable:
		return nil
	case t.Results == "" && !coverage:
		report("report_path", "is missing")
	case t.Coverage == "" && coverage:
		report("coverage_report_path", "is missing")
	}
	if !coverage {
		t.Coverage = ""
	}
	return &t
}

// tests reads the input of a build file's step. It is on where it is given.
func (r *reader) tests(keyword string, given value) *Tests {
	in := given.fields
	if in == nil {
		return nil
	}
	t := Tests{Results: in["report_path"].text, Gate: in["ignore_errors"].text == "false", Coverage: in["coverage_report_path"].text}
	enable := in["enable"].text != "false"
	for _, v := range in {
		enable = enable && !v.wrong // it is not known what is missing
	}
	return newTests(keyword, enable, in["coverage"].text == "true", t, func(input, why string) {
		at := given.at
		if v, ok := in[input]; ok && v.text != "" {
			at = v.value
		}
		r.report(at, given.path+"."+input, "%s", why)
	})
}

// testsAction reads the properties of an ACTION step. Only deal switches them on, because the vendor's page sends the others in any case;
// of its values one is known, which switches them off.
func (s *scope) testsAction(keyword string, step build.ActionStep, problem func(key, message string)) *Tests {
	deal := s.property(step, "deal", problem)
	if deal == "" {
		return nil
	}
	is := func(name string) bool {
		value := step.Properties[name]
		switch text := strings.ToLower(fmt.Sprint(value)); {
		case value == nil, text == "", text == "false":
		case text == "true":
			return true
		default:
			problem(".properties."+name, "must be true or false, found "+shown(text))
		}
		return false
	}
	t := Tests{
		Results: s.property(step, "file", problem), Coverage: s.property(step, "coverageReportPath", problem),
		Gate: step.Properties["ignoreTest"] != nil && !is("ignoreTest"),
	}
	return newTests(keyword, deal != "notDeal", is("junitCoverageSwitch"), t, func(input, why string) {
		problem(".properties."+map[string]string{"report_path": "file", "coverage_report_path": "coverageReportPath"}[input], why)
	})
}
