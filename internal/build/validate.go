package build

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"atelier/internal/fault"
)

// Limits of a job, from the vendor's guide. An operator can allow more or fewer steps.
const (
	MaxSteps         = 50
	MaxJobName       = 115
	MaxStepName      = 128
	MaxDisableReason = 256
	MaxWord          = 64 // of texts that the vendor does not describe, such as host_type
)

// JobNamePattern is what the name of a job looks like, with the escapes of JavaScript and Java, for clients.
const JobNamePattern = `^[\u4e00-\u9fa5A-Za-z0-9_-]{1,115}$`

var (
	jobName  = regexp.MustCompile(strings.NewReplacer(`\u4e00`, `\x{4e00}`, `\u9fa5`, `\x{9fa5}`).Replace(JobNamePattern))
	stepName = regexp.MustCompile(`^[\x{4e00}-\x{9fa5}A-Za-z0-9 ,;:./()（）_-]{1,128}$`)
	hexID    = regexp.MustCompile(`^[0-9a-z]{32}$`)
)

// Architectures are the values of a job's arch.
var Architectures = []string{"x86-64", "arm"}

// Classes are the executor classes, smallest first. A job writes them in any case.
var Classes = []string{"2U8G", "4U8G", "8U16G", "16U32G", "16U64G"}

// CheckStepName returns why name cannot be the name of a step, or an empty string.
func CheckStepName(name string) string {
	if !stepName.MatchString(name) {
		return "must be 1 to 128 letters, digits, spaces or -_,;:./(), found " + quote(name)
	}
	return ""
}

// problems collects everything that is wrong with a request, so that the client learns it at once.
type problems []string

func (p *problems) add(field, format string, args ...any) {
	*p = append(*p, field+": "+fmt.Sprintf(format, args...))
}

func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return fault.New(fault.Invalid, "%s", strings.Join(p, "; "))
}

// rules are the parts of a job's validation that other rooms know.
type rules struct {
	stored     []ActionStep // the steps of a copy's original: what they do may have become unknown since
	sources    Sources
	steps      Steps
	triggers   Triggers
	maxTimeout time.Duration
	maxSteps   int
	maxValue   int
}

// validate checks a configuration that a client sent. It reports every problem, each with the name of its field.
func (r rules) validate(project ProjectID, c Config) error {
	var p problems
	if !hexID.MatchString(string(project)) {
		p.add("project_id", "must be 32 lower-case letters or digits, found %s", quote(string(project)))
	}
	if !jobName.MatchString(c.Name) {
		p.add("job_name", "must be 1 to %d letters, digits, hyphens or underscores, found %s", MaxJobName, quote(c.Name))
	}
	if !slices.Contains(Architectures, c.Arch) {
		p.add("arch", "must be %s, found %s", strings.Join(Architectures, " or "), quote(c.Arch))
	}
	if c.Flavor != "" && !strings.EqualFold(c.Flavor, "DEFAULT") &&
		!slices.ContainsFunc(Classes, func(s string) bool { return strings.EqualFold(s, c.Flavor) }) {
		p.add("flavor", "must be DEFAULT or one of %s, found %s", strings.Join(Classes, ", "), quote(c.Flavor))
	}
	if c.Kind != "" && c.Kind != YAML && c.Kind != Action {
		p.add("build_config_type", "must be YAML or ACTION, found %s", quote(string(c.Kind)))
	}
	if c.AutoUpdateSubmodules != "" && c.AutoUpdateSubmodules != "true" && c.AutoUpdateSubmodules != "false" {
		p.add("auto_update_sub_module", `must be "true" or "false", found %s`, quote(c.AutoUpdateSubmodules))
	}
	for _, f := range []NameValue{{"host_type", c.HostType}, {"build_environment_type", c.EnvironmentType}} {
		if n := utf8.RuneCountInString(f.Value); n > MaxWord {
			p.add(f.Name, "has %d characters, at most %d are allowed", n, MaxWord)
		}
	}
	if c.GroupID != "" && !hexID.MatchString(c.GroupID) {
		p.add("group_id", "must be 32 lower-case letters or digits, found %s", quote(c.GroupID))
	}
	r.validateParameters(&p, c.Parameters)
	r.validateSources(&p, c)
	r.validateSteps(&p, c.Steps)
	r.validateTriggers(&p, c.Triggers)
	r.validateTimeout(&p, c.Timeout)
	return p.err()
}

// CheckSteps reports everything that is wrong with the parameters and the steps of a task, each with the name of its field.
func (s *Service) CheckSteps(parameters []Parameter, steps []ActionStep) error {
	var p problems
	s.rules.validateParameters(&p, parameters)
	s.rules.validateSteps(&p, steps)
	return p.err()
}

func (r rules) validateParameters(p *problems, parameters []Parameter) {
	seen := make(map[string]bool)
	for i, q := range parameters {
		field := fmt.Sprintf("parameters[%d]", i)
		if q.Definition != StringDefinition {
			p.add(field+".name", "must be %s, found %s", StringDefinition, quote(q.Definition))
		}
		name := q.Name()
		if why := CheckParameterName(name); why != "" {
			p.add(field+".params.name", "%s", why)
			continue
		}
		if seen[name] {
			p.add(field+".params.name", "%s is defined twice", quote(name))
		}
		seen[name] = true
		if q.Private() && name == BranchParameter {
			p.add(field+".params.sensitiveVar", "%s cannot be private: the name of the branch stands in every record", BranchParameter)
		}
		if q.Private() && q.Type() == TypeIncrement {
			p.add(field+".params.sensitiveVar", "%s cannot be private: who knows one build's value knows the next", name)
		}
		switch q.Type() {
		case TypeText, TypeIncrement:
		case TypeChoice:
			switch v := q.property("defaultValue"); {
			case v.Value == "" || v.Sealed || v.Value == Mask || q.Offers(v.Value):
			case q.Private():
				p.add(field+".params.defaultValue", "is not one of the values that the parameter, which is private, offers")
			default:
				p.add(field+".params.defaultValue", "found %s, allowed are: %s", quote(v.Value), q.offered())
			}
		default:
			p.add(field+".params.type", "must be %s, %s or %s, found %s", TypeText, TypeChoice, TypeIncrement, quote(q.Type()))
		}
		def := q.property("defaultValue")
		if def.Sealed {
			continue // checked when it was given
		}
		switch n := utf8.RuneCountInString(def.Value); {
		case n > r.maxValue:
			p.add(field+".params.defaultValue", "has %d characters, at most %d are allowed", n, r.maxValue)
		case q.Private() && n > 0 && n < MinPrivateValue:
			p.add(field+".params.defaultValue", "a private value of %d characters cannot be hidden in a log; use at least %d", n, MinPrivateValue)
		}
	}
}

func (r rules) validateSources(p *problems, c Config) {
	if len(c.Sources) > 1 {
		p.add("scms", "has %d entries, one is allowed", len(c.Sources))
	}
	if c.Kind == YAML && len(c.Sources) == 0 {
		p.add("scms", "is empty; a YAML task needs the repository that holds its build file")
	}
	for i, s := range c.Sources {
		field := fmt.Sprintf("scms[%d]", i)
		if err := r.sources.CheckURL(s.URL); err != nil {
			p.add(field+".url", "%s", message(err))
		}
		if s.Kind == "" || len(s.Kind) > MaxWord {
			p.add(field+".scm_type", "must be 1 to %d characters such as codehub, found %s", MaxWord, quote(s.Kind))
		}
		switch s.RefKind {
		case "", ByBranch, ByTag, ByCommit:
		default:
			p.add(field+".build_type", "must be branch, tag or commitId, found %s", quote(string(s.RefKind)))
		}
		if s.Branch != "" {
			if err := r.sources.CheckRef(s.Branch); err != nil {
				p.add(field+".branch", "%s", message(err))
			}
		}
		if s.Depth != "" {
			if n, err := strconv.Atoi(s.Depth); err != nil || n < 1 {
				p.add(field+".depth", "must be a whole number of 1 or more, found %s", quote(s.Depth))
			}
		}
	}
}

func (r rules) validateSteps(p *problems, steps []ActionStep) {
	if len(steps) > r.maxSteps {
		p.add("steps", "has %d entries, at most %d are allowed", len(steps), r.maxSteps)
		return
	}
	for i, s := range steps {
		field := fmt.Sprintf("steps[%d]", i)
		if why := CheckStepName(s.Name); why != "" {
			p.add(field+".name", "%s", why)
		}
		isStored := slices.ContainsFunc(r.stored, func(o ActionStep) bool { return reflect.DeepEqual(o, s) })
		if err := r.steps.CheckStep(s); err != nil && !isStored {
			p.add(field, "%s", message(err))
		}
	}
}

func (r rules) validateTriggers(p *problems, triggers []TriggerConfig) {
	for i, t := range triggers {
		field := fmt.Sprintf("triggers[%d]", i)
		if err := r.triggers.CheckTrigger(t); err != nil {
			p.add(field, "%s", message(err))
		}
		for j, v := range t.Parameters {
			if v.Name == "" {
				p.add(fmt.Sprintf("%s.parameters[%d].name", field, j), "is empty")
			}
		}
	}
}

func (r rules) validateTimeout(p *problems, t *Timeout) {
	if t == nil || *t == (Timeout{}) {
		return
	}
	d, err := t.Duration()
	if err != nil {
		p.add("timeout", "%s", message(err))
		return
	}
	if d > r.maxTimeout {
		p.add("timeout", "is %s, at most %s is allowed", d, r.maxTimeout)
	}
}

// Duration returns the timeout as a length of time.
func (t Timeout) Duration() (time.Duration, error) {
	n, err := strconv.Atoi(t.Limit)
	if err != nil || n < 1 || n > 1_000_000 {
		return 0, fault.Field("limit", "must be a whole number of 1 or more, found %s", quote(t.Limit))
	}
	switch {
	case strings.EqualFold(t.Unit, "minute"):
		return time.Duration(n) * time.Minute, nil
	case strings.EqualFold(t.Unit, "hour"):
		return time.Duration(n) * time.Hour, nil
	default:
		return 0, fault.Field("unit", "must be minute or hour, found %s", quote(t.Unit))
	}
}

// message returns what a client may read of err.
func message(err error) string {
	if text, ok := fault.Public(err); ok {
		return text
	}
	return "cannot be used"
}
