package plan

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"atelier/internal/build"
)

// steps reads the stages and, when no step of theirs downloads code, puts the job's repository before them.
func (r *reader) steps(steps entry) {
	before := len(r.problems)
	stages := make(map[string]entry)
	for _, e := range r.mapping(steps.value, steps.path, "a map with the keys "+stagePrepare+" and "+stageBuild) {
		switch e.key {
		case stagePrepare, stageBuild:
			stages[e.key] = e
		case "POST_BUILD":
			r.report(e.at, e.path, "there is no such stage; write these steps at the end of %s", stageBuild)
		default:
			r.unknown(e, []string{stagePrepare, stageBuild})
		}
	}
	count := 0
	for _, stage := range []string{stagePrepare, stageBuild} {
		if e, ok := stages[stage]; ok {
			list := r.list(e.value, e.path, "steps")
			for i, n := range list {
				r.step(stage, at(n, index(e.path, i)))
			}
			count += len(list)
		}
	}
	switch {
	case count > cmp.Or(r.in.Steps, build.MaxSteps):
		r.report(steps.at, steps.path, "has %d steps, at most %d are allowed", count, cmp.Or(r.in.Steps, build.MaxSteps))
	case count == 0 && len(r.problems) == before:
		r.report(steps.at, steps.path, "has no steps")
	}
	downloads := slices.ContainsFunc(r.plan.Steps, func(s Step) bool { return s.Checkout != nil || s.Manifest != nil })
	if !downloads && r.in.Source.URL != "" {
		r.plan.Steps = slices.Insert(r.plan.Steps, 0, r.in.ownCheckout())
	}
}

// step reads one element of a stage: a keyword, alone or with its settings.
func (r *reader) step(stage string, item entry) {
	n := r.follow(item.value)
	if n.Kind == yaml.ScalarNode && !isNull(n) {
		r.keyword(stage, entry{key: n.Value, at: n, value: &yaml.Node{Kind: yaml.MappingNode, Line: n.Line, Column: n.Column}, path: join(item.path, n.Value)})
		return
	}
	entries := r.mapping(n, item.path, "a keyword with its settings")
	if len(entries) > 1 {
		r.report(entries[1].at, item.path, "has the keywords %s and %s; each step is an element of its own", entries[0].key, entries[1].key)
	}
	for _, e := range entries {
		if isNull(r.follow(e.value)) {
			e.value = &yaml.Node{Kind: yaml.MappingNode, Line: e.at.Line, Column: e.at.Column}
		}
		r.keyword(stage, e)
	}
}

// keyword reads the settings of a step.
func (r *reader) keyword(stage string, e entry) {
	act, ok := actionOf(e.key)
	switch {
	case slices.Contains(lookAlikeKeywords, e.key):
		r.report(e.at, e.path, "is a keyword of a look-alike product; known are: %s", strings.Join(slices.Sorted(slices.Values(keywords())), ", "))
		return
	case !ok:
		r.unknown(e, keywords())
		return
	}
	stages := act.stages
	if len(stages) == 0 {
		stages = []string{stageBuild}
	}
	if !slices.Contains(stages, stage) {
		r.report(e.at, e.path, "cannot stand in %s, only in %s", stage, strings.Join(stages, " and "))
	}
	step := Step{Keyword: act.keyword, Name: act.keyword}
	inputs := entry{at: e.at, path: e.path + ".inputs", value: &yaml.Node{Kind: yaml.MappingNode, Line: e.at.Line, Column: e.at.Column}}
	if kind := r.follow(e.value).Kind; kind != yaml.MappingNode {
		r.mapping(e.value, e.path, "a map with the keys name, image and inputs") // reports it
		return
	}
	misplaced := false
	for _, setting := range r.mapping(e.value, e.path, "a map") {
		switch setting.key {
		case "name":
			r.name(setting, &step)
		case "image":
			r.image(setting, &step)
		case "inputs":
			if !isNull(r.follow(setting.value)) {
				inputs = setting
			}
		default:
			if _, isInput := act.input(setting.key); isInput && !act.others {
				r.report(setting.at, setting.path, "belongs below inputs")
				misplaced = true
			} else {
				r.unknown(setting, []string{"name", "image", "inputs"})
			}
		}
	}
	if misplaced && len(inputs.value.Content) == 0 {
		return // what seems to be missing stands there
	}
	values := r.inputs(act, inputs)
	step.IgnoreFail = values[ignoreFail].text == "true"
	step.Caches = act.cachesOf(values[cacheSwitch.name].text)
	switch act.keyword {
	case "checkout":
		step.Checkout = r.checkout(e, values)
		step.EndpointID = r.endpoint(values["endpoint_id"])
	case "upload_artifact":
		step.Upload = r.upload(values)
	case "download_artifact":
		step.Download = r.download(values)
	case "download_file":
		step.Fetch = r.fetch(values)
	case "docker":
		step.Docker = r.docker(values["command"])
	default:
		if act.plain {
			r.scope.plain(act, r.settings(inputs, values), r.in.Job, &step)
			break
		}
		step.Script = &Script{Command: values["command"].text, Tests: r.tests(act.keyword, values[unitTest.name])}
		if act.keyword == "maven" {
			step.Script.Repositories = r.repositories(values[mavenSettings.name])
		}
	}
	if act.service && step.Image != "" {
		r.warn("has no effect: the service carries out this step, without an image", e.at, e.path+".image")
		step.Image = ""
	}
	r.warnIdle(e, act, values)
	if act.keyword == "swr" && step.Image == "" {
		r.warn("has no image; the executor's default is used", e.at, e.path)
	}
	r.plan.Steps = append(r.plan.Steps, step)
}

// docker checks the commands of a docker step.
func (r *reader) docker(command value) *Docker {
	docker := &Docker{Commands: command.text}
	for _, problem := range docker.problems() {
		r.report(command.value, command.path, "%s", problem)
	}
	return docker
}

// warnIdle says which inputs of a step change nothing.
func (r *reader) warnIdle(e entry, act action, values map[string]value) {
	var idle []string
	for _, in := range act.inputs {
		if _, given := values[in.name]; given && in.idle {
			idle = append(idle, in.name)
		}
	}
	if len(idle) > 0 {
		r.warn("understood, but without an effect in this version: "+strings.Join(idle, ", "), e.at, e.path+".inputs")
	}
}

func (r *reader) name(e entry, step *Step) {
	name, ok := r.expanded(e)
	if !ok || name == "" {
		return
	}
	checked := reference.ReplaceAllString(name, "$1") // a reference that stays is a warning, and no reason to fail
	if why := build.CheckStepName(checked); why != "" {
		r.report(e.value, e.path, "%s", why)
		return
	}
	step.Name = name
}

// catalogue begins the name of an image that the installation provides; everything else is an image's full address.
const catalogue = "cloudbuild@"

var imageName = regexp.MustCompile(`^(cloudbuild@)?[A-Za-z0-9][A-Za-z0-9._:/@-]{0,254}$`)

func (r *reader) image(e entry, step *Step) {
	image, ok := r.expanded(e)
	switch {
	case !ok || image == "":
	case !imageName.MatchString(withPlaceholders(image)):
		r.report(e.value, e.path, "must be cloudbuild@<tool and version> or the address of an image, found %s", shown(image))
	default:
		step.Image = image
	}
}

// value is an input as it stands in the file, with references replaced.
type value struct {
	entry
	text   string
	pairs  []Param          // of a map with any keys
	fields map[string]value // of a map whose keys are known
	list   []value          // of a list
	wrong  bool             // reported; nothing is known of it
}

// inputs reads the inputs of a step.
func (r *reader) inputs(act action, inputs entry) map[string]value {
	values := make(map[string]value)
	entries := r.mapping(inputs.value, inputs.path, "a map")
	if r.follow(inputs.value).Kind != yaml.MappingNode {
		return values // reported
	}
	for _, e := range entries {
		in, known := act.input(e.key)
		switch {
		case !known && !act.nested && (e.key == "name" || e.key == "image"):
			r.report(e.at, e.path, "stands beside inputs, not below it")
		case !known:
			r.unknown(e, act.inputNames())
		case len(in.fields) > 0:
			v := value{entry: e}
			if !isNull(r.follow(e.value)) {
				v.fields = r.inputs(action{inputs: in.fields, nested: true}, e)
			}
			values[e.key] = v
		case in.kind == texts:
			values[e.key] = value{entry: e, list: r.texts(e)}
		default:
			v, ok := r.input(in, act, e)
			if v.wrong = !ok; v.wrong {
				v.text = ""
			}
			values[e.key] = v
		}
	}
	for _, in := range act.inputs {
		if v, ok := values[in.name]; in.required && (!ok || strings.TrimSpace(v.text) == "" && (in.kind == text || in.kind == commands) && !v.wrong) {
			r.report(inputs.at, inputs.path+"."+in.name, "is missing")
		}
	}
	return values
}

// texts reads a list of texts.
func (r *reader) texts(e entry) (list []value) {
	for i, n := range r.list(e.value, e.path, "texts") {
		item := at(n, index(e.path, i))
		if text, ok := r.expanded(item); ok {
			list = append(list, value{entry: item, text: text})
		}
	}
	return list
}

// input reads one input.
func (r *reader) input(in input, act action, e entry) (value, bool) {
	v := value{entry: e}
	switch {
	case in.kind == mapping:
		v.pairs = r.pairs(e)
		return v, true
	case act.others && in.name != command.name && in.name != ignoreFail:
		return v, true // nothing is known of it
	case in.kind == commands:
		raw, ok := r.scalar(e.value, e.path)
		v.text = r.commands(e, raw)
		return v, ok
	}
	text, ok := r.expanded(e)
	v.text = text
	if !ok || text == "" {
		return v, ok
	}
	switch in.kind {
	case flag:
		v.text = strings.ToLower(text)
		if in.name != ignoreFail && v.text != "true" && v.text != "false" {
			r.report(e.value, e.path, "must be true or false, found %s", shown(text))
			return v, false
		}
	case number:
		if n, err := strconv.Atoi(text); err != nil || n < 1 || n > 1_000_000 {
			r.report(e.value, e.path, "must be a whole number of 1 or more, found %s", shown(text))
			return v, false
		}
	}
	return v, true
}

// commands returns the commands of a step as they are run.
func (r *reader) commands(e entry, script string) string {
	c := r.scope.command(script)
	for _, why := range c.problems {
		r.report(e.value, e.path, "%s", why)
	}
	for _, text := range c.advice {
		r.advise(text, e.value, e.path)
	}
	return c.script
}

// pairs reads a map of texts.
func (r *reader) pairs(e entry) (pairs []Param) {
	if isNull(r.follow(e.value)) {
		return nil
	}
	for _, pair := range r.mapping(e.value, e.path, "a map") {
		if text, ok := r.expanded(pair); ok {
			pairs = append(pairs, Param{Name: pair.key, Value: text})
		}
	}
	return pairs
}
