package build

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"atelier/internal/fault"
	"atelier/internal/logs/mask"
)

// Limits of parameters, from the vendor's guide (an operator can allow longer values, or shorter ones only), and the least length of a private value.
const (
	MaxParameterName  = 128
	MaxParameterValue = 8192
	MinPrivateValue   = mask.MinSecret
)

// BranchParameter is the parameter that every job may take: the branch to build.
const BranchParameter = "codeBranch"

// StringDefinition is the only documented name of a parameter's definition.
const StringDefinition = "hudson.model.StringParameterDefinition"

// The types of a parameter, as they stand in its "type" property.
const (
	TypeText      = "normalparam"
	TypeChoice    = "customizeparam"
	TypeIncrement = "autoincrementparam"
)

// SystemParameters are the parameters that every build has and no user may define.
var SystemParameters = []string{
	"BUILDNUMBER", "TIMESTAMP", "INCREASENUM", "PROJECT_ID", "WORKSPACE", "GIT_TAG", "COMMIT_ID", "COMMIT_ID_SHORTER",
	"JOB_NAME", "EXECUTOR",
}

// reservedNames would change how every program of a build runs.
var reservedNames = []string{"LD_PRELOAD", "LD_LIBRARY_PATH", "PATH", "path", "BASH_ENV", "GIT_SSH_COMMAND"}

// ParameterNamePattern is what the name of a parameter looks like, in the syntax that all regular expressions share.
const ParameterNamePattern = `^[A-Za-z0-9_]{1,128}$`

var parameterName = regexp.MustCompile(ParameterNamePattern)

// DefaultParameters are what a new task begins with: the branch, which can be chosen at the start of a build.
func DefaultParameters() []Parameter {
	return []Parameter{{Definition: StringDefinition, Properties: []Property{
		{Name: "name", Value: BranchParameter},
		{Name: "type", Value: TypeText},
		{Name: "defaultValue", Value: "master"},
		{Name: "description", Value: "Code branch, predefined parameter"},
		{Name: "deletion", Value: "false"},
		{Name: "defaults", Value: "true"},
		{Name: "staticVar", Value: "true"},
		{Name: "sensitiveVar", Value: "false"},
	}}}
}

// CheckParameterName returns why name cannot be a parameter of a user's, or an empty string.
func CheckParameterName(name string) string {
	switch {
	case !parameterName.MatchString(name):
		return "must be 1 to 128 letters, digits or underscores, found " + quote(name)
	case slices.Contains(reservedNames, name):
		return quote(name) + " is reserved; it would change how every program runs"
	case slices.Contains(SystemParameters, name) || strings.HasPrefix(name, servicePrefix):
		return quote(name) + " is set by the service and cannot be defined"
	default:
		return ""
	}
}

// Parameter is a parameter of a job as the client wrote it: named properties, all of them text.
type Parameter struct {
	Definition string
	Properties []Property
}

// Property is one property of a [Parameter].
type Property struct {
	Name    string
	Value   string
	Sealed  bool // Value is encrypted; so is the default of a private parameter
	Choices []Choice
}

// Choice is one value that an enumeration offers.
type Choice struct {
	Name        string
	DisplayName string
	Disabled    string // "1" when it is not offered
}

func (p Parameter) property(name string) Property {
	for _, q := range p.Properties {
		if q.Name == name {
			return q
		}
	}
	return Property{}
}

// Name returns the parameter's name.
func (p Parameter) Name() string { return p.property("name").Value }

// Type returns the parameter's type, text when none was given.
func (p Parameter) Type() string {
	if t := p.property("type").Value; t != "" {
		return t
	}
	return TypeText
}

// Private reports whether values of the parameter are secrets.
func (p Parameter) Private() bool { return strings.EqualFold(p.property("sensitiveVar").Value, "true") }

// Runtime reports whether the parameter's value may be chosen when a build is started.
func (p Parameter) Runtime() bool { return strings.EqualFold(p.property("staticVar").Value, "true") }

// Default returns the parameter's default value; sealed when the parameter is private.
func (p Parameter) Default() string { return p.property("defaultValue").Value }

// Offers reports whether an enumeration offers value.
func (p Parameter) Offers(value string) bool {
	return slices.ContainsFunc(p.property("defaultValue").Choices, func(c Choice) bool {
		return c.Name == value && c.Disabled != "1"
	})
}

func (p Parameter) offered() string {
	var names []string
	for _, c := range p.property("defaultValue").Choices {
		if c.Disabled != "1" {
			names = append(names, c.Name)
		}
	}
	return strings.Join(names, ", ")
}

// Sealer encrypts what must not be stored in plain text.
type Sealer interface {
	Seal(plain string) (string, error)
	Open(sealed string) (string, error)
}

// resolution is what the parameters of a build come to.
type resolution struct {
	values   []Value
	counters map[string]string // the auto-increment parameters' values for the next build
}

// valueRights say which values somebody may give who starts a build.
type valueRights struct {
	edits    bool // may edit the task, and so give values to all parameters, and to others
	maxValue int  // characters
}

// resolveParameters works out what a build of job runs with when it is started with the given values. What cannot be used is an error: nothing
// is left out in silence. Who may not edit the task chooses values, and never what a program is or does.
func resolveParameters(job Job, given []NameValue, by valueRights, sealer Sealer) (resolution, error) {
	out := resolution{counters: make(map[string]string, len(job.Counters))}
	chosen, err := checkGiven(given, by.maxValue)
	if err != nil {
		return resolution{}, err
	}
	for _, p := range job.Config.Parameters {
		name := p.Name()
		value := Value{Name: name, Value: p.Default(), Private: p.Private()}
		if p.Type() == TypeIncrement && job.Counters[name] != "" {
			value.Value = job.Counters[name]
		}
		if v, ok := chosen[name]; ok {
			delete(chosen, name)
			if err := p.checkChoice(v, by); err != nil {
				return resolution{}, err
			}
			value.Chosen = !by.edits
			if value.Value, err = sealPrivate(name, v, p.Private(), sealer); err != nil {
				return resolution{}, err
			}
		}
		if p.Type() == TypeIncrement {
			out.counters[name] = increment(value.Value)
		}
		out.values = append(out.values, value)
	}
	for _, g := range given { // what the job does not define is passed on; the order of the request is kept
		v, left := chosen[g.Name]
		switch {
		case !left:
		case !by.edits && g.Name != BranchParameter:
			return resolution{}, fault.Field("parameter."+g.Name, "the task does not define this parameter, and only who may edit the task can give it others")
		default:
			out.values = append(out.values, Value{Name: g.Name, Value: v, Chosen: !by.edits})
		}
	}
	return out, nil
}

// checkChoice reports why a parameter cannot have a value that is given at the start.
func (p Parameter) checkChoice(value string, by valueRights) error {
	field := "parameter." + p.Name()
	switch {
	case !by.edits && !p.Runtime() && p.Name() != BranchParameter:
		return fault.Field(field, "the parameter has no runtime setting; only who may edit the task can give it a value at the start")
	case !by.edits && changesPrograms(p.Name()):
		return fault.Field(field, "a parameter of this name changes what programs do; only who may edit the task can give it a value")
	case p.Type() == TypeChoice && !p.Offers(value) && p.Private():
		return fault.Field(field, "the value is not one of those that the parameter, which is private, offers")
	case p.Type() == TypeChoice && !p.Offers(value):
		return fault.Field(field, "found %s, allowed are: %s", quote(value), p.offered())
	default:
		return nil
	}
}

// checkGiven returns the values of a start request by name.
func checkGiven(given []NameValue, maxValue int) (map[string]string, error) {
	chosen := make(map[string]string, len(given))
	for i, g := range given {
		field := "parameter[" + strconv.Itoa(i) + "]"
		if why := CheckParameterName(g.Name); why != "" {
			return nil, fault.Field(field+".name", "%s", why)
		}
		if _, twice := chosen[g.Name]; twice {
			return nil, fault.Field(field+".name", "%s is given twice", quote(g.Name))
		}
		if n := utf8.RuneCountInString(g.Value); n > maxValue {
			return nil, fault.Field(field+".value", "has %d characters, at most %d are allowed", n, maxValue)
		}
		if strings.Contains(g.Value, "\x00") {
			return nil, fault.Field(field+".value", "holds a zero byte, which no environment variable can")
		}
		chosen[g.Name] = g.Value
	}
	return chosen, nil
}

func sealPrivate(name, value string, private bool, sealer Sealer) (string, error) {
	if !private || value == "" {
		return value, nil
	}
	if n := utf8.RuneCountInString(value); n < MinPrivateValue {
		return "", fault.Field("parameter."+name, "a private value of %d characters cannot be hidden in a log; use at least %d", n, MinPrivateValue)
	}
	return sealer.Seal(value)
}

// increment returns the value that follows s: its last run of digits plus one, or ".1" behind it when it has none.
// The run keeps its leading zeros: v007 becomes v008.
func increment(s string) string {
	end := strings.LastIndexAny(s, "0123456789") + 1
	if end == 0 {
		return s + ".1"
	}
	start := end
	for start > 0 && s[start-1] >= '0' && s[start-1] <= '9' {
		start--
	}
	digits := []byte(s[start:end])
	i := len(digits) - 1
	for ; i >= 0 && digits[i] == '9'; i-- {
		digits[i] = '0'
	}
	if i < 0 {
		return s[:start] + "1" + string(digits) + s[end:]
	}
	digits[i]++
	return s[:start] + string(digits) + s[end:]
}

// quote shows a value of a client's in an error, cut to a length that can be read.
func quote(s string) string {
	const longest = 80
	if utf8.RuneCountInString(s) > longest {
		s = string([]rune(s)[:longest]) + "…"
	}
	return strconv.Quote(s)
}
