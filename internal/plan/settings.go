package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// settings are what a step says, wherever it says it: the inputs of a build file's step, or the properties of a task's. Inputs that are not
// given, or are empty, are not in the maps.
type settings struct {
	texts  map[string]string // flags and numbers too
	lists  map[string][]string
	pairs  map[string][]Param
	report func(input, format string, args ...any)
}

// settings returns the inputs of a build file's step, which stand at e.
func (r *reader) settings(e entry, in map[string]value) settings {
	s := settings{texts: make(map[string]string), lists: make(map[string][]string), pairs: make(map[string][]Param)}
	for name, v := range in {
		if v.text != "" {
			s.texts[name] = v.text
		}
		for _, element := range v.list {
			s.lists[name] = append(s.lists[name], element.text)
		}
		if len(v.pairs) > 0 {
			s.pairs[name] = v.pairs
		}
	}
	s.report = func(input, format string, args ...any) {
		at := e.at
		if v, ok := in[input]; ok {
			at = v.value
		}
		r.report(at, e.path+"."+input, format, args...)
	}
	return s
}

// plain makes the step of an action whose settings are the same in build files and tasks.
func (s *scope) plain(act action, in settings, job build.Config, step *Step) {
	switch act.keyword {
	case "android_sign":
		step.Sign = apkSigning(in)
	case "manifest_checkout":
		step.Manifest = manifestCheckout(in)
	case "build_image":
		step.Build = s.imageBuild(in, job.Name)
	case "upload_obs":
		step.Store = objectUpload(in)
	}
}

// property is the name under which a task has an input: that of build files in camelCase, unless the vendor has another one.
func (in input) property() string {
	if in.vendors != "" {
		return in.vendors
	}
	words := strings.Split(in.name, "_")
	for i, word := range words[1:] {
		words[i+1] = strings.ToUpper(word[:1]) + word[1:]
	}
	return strings.Join(words, "")
}

// settings returns the properties of a task's step, as far as its action has inputs for them.
func (s *scope) settings(act action, step build.ActionStep, problem func(key, message string)) settings {
	out := settings{texts: make(map[string]string), lists: make(map[string][]string), pairs: make(map[string][]Param)}
	out.report = func(name, format string, args ...any) {
		in, _ := act.input(name)
		problem(".properties."+in.property(), fmt.Sprintf(format, args...))
	}
	for _, in := range act.inputs {
		switch in.kind {
		case texts:
			out.lists[in.name] = s.listProperty(in, step, out.report)
		case mapping:
			out.pairs[in.name] = s.pairsProperty(in, step, out.report)
		case flag:
			if text := strings.ToLower(fmt.Sprint(step.Properties[in.property()])); text == "true" || text == "false" {
				out.texts[in.name] = text
			} else if value := step.Properties[in.property()]; value != nil && text != "" {
				out.report(in.name, "must be true or false, found %s", shown(fmt.Sprint(value)))
			}
		case commands:
			text, _, err := textProperty(step, in.property())
			if why, isWrong := fault.Public(err); isWrong {
				problem("", why)
			}
			if text != "" {
				out.texts[in.name] = s.commandProperty(text, in, problem)
			}
		default:
			if text := s.property(step, in.property(), problem); text != "" {
				out.texts[in.name] = text
			}
		}
	}
	return out
}

// require reports the inputs that a task's step must have and has not. Those of a build file are looked for when it is read.
func (s settings) require(act action) {
	for _, in := range act.inputs {
		if in.required && strings.TrimSpace(s.texts[in.name]) == "" {
			s.report(in.name, "is missing")
		}
	}
}

// listProperty returns a property that is a list of texts, or a single one.
func (s *scope) listProperty(in input, step build.ActionStep, report func(input, format string, args ...any)) (list []string) {
	switch value := step.Properties[in.property()].(type) {
	case nil:
	case string:
		if value != "" {
			list = []string{s.expand(value)}
		}
	case []any:
		for _, element := range value {
			text, ok := element.(string)
			if !ok {
				report(in.name, "must be a list of texts, found %s in it", shown(fmt.Sprint(element)))
				return nil
			}
			list = append(list, s.expand(text))
		}
	default:
		report(in.name, "must be a list of texts, found %s", shown(fmt.Sprint(value)))
	}
	return list
}

// headerPair is how a task writes an entry of a map.
type headerPair struct {
	Key   *string `json:"headerKey"`
	Value string  `json:"headerValue"`
}

// pairsProperty returns a property that stands for a map.
func (s *scope) pairsProperty(in input, step build.ActionStep, report func(input, format string, args ...any)) (pairs []Param) {
	value := step.Properties[in.property()]
	if value == nil || value == "" {
		return nil
	}
	var entries []headerPair
	data, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(data, &entries)
	}
	if err != nil || slices.ContainsFunc(entries, func(p headerPair) bool { return p.Key == nil }) {
		report(in.name, `must be a list of {"headerKey": …, "headerValue": …}, found %s`, shown(string(data)))
		return nil
	}
	for _, p := range entries {
		if *p.Key != "" {
			pairs = append(pairs, Param{Name: *p.Key, Value: s.expand(p.Value)})
		}
	}
	return pairs
}

// converted returns the settings as the inputs of a build file's step.
func (s settings) converted(act action) []any {
	var out []any
	for _, in := range act.inputs {
		text := s.texts[in.name]
		switch {
		case in.kind == flag && text == "true":
			out = append(out, in.name, boolNode(true))
		case in.kind == texts && len(s.lists[in.name]) > 0:
			list := &yaml.Node{Kind: yaml.SequenceNode}
			for _, element := range s.lists[in.name] {
				list.Content = append(list.Content, textNode(element))
			}
			out = append(out, in.name, list)
		case in.kind == mapping && len(s.pairs[in.name]) > 0:
			var pairs []any
			for _, p := range s.pairs[in.name] {
				pairs = append(pairs, p.Name, textNode(p.Value))
			}
			out = append(out, in.name, mappingOf(pairs...))
		case in.kind != flag && text != "":
			out = append(out, in.name, textNode(text))
		}
	}
	return out
}
