package plan

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// environment reads env or envs: where the build runs.
func (r *reader) environment(keys map[string]entry) {
	one, hasOne := keys["env"]
	many, hasMany := keys["envs"]
	switch {
	case hasOne && hasMany:
		r.report(many.at, "envs", "stands beside env; use one of them")
	case hasOne && !isNull(one.value):
		r.env(one)
	case hasMany:
		r.envs(many)
	}
	if r.in.Flow != nil && r.plan.Resource == (Resource{}) {
		r.plan.Resource = r.in.Flow.Resource
	}
}

func (r *reader) env(env entry) {
	for _, e := range r.mapping(env.value, env.path, "a map with the key resource") {
		switch e.key {
		case "resource":
			r.plan.Resource = r.resource(e)
		case "cache":
			r.codeCache(e)
		default:
			r.unknown(e, []string{"resource", "cache"})
		}
	}
}

// codeCache checks what a file says of the vendor's cache of code, which is optional there too, and not here.
func (r *reader) codeCache(cache entry) {
	known := []string{"type", "local_path", "command", "branch", "url"}
	for i, n := range r.list(cache.value, cache.path, "maps with the keys "+strings.Join(known, ", ")) {
		path := index(cache.path, i)
		has := make(map[string]bool)
		for _, e := range r.mapping(n, path, "a map with the keys "+strings.Join(known, ", ")) {
			if !slices.Contains(known, e.key) {
				r.unknown(e, known)
				continue
			}
			value, ok := r.expanded(e)
			has[e.key] = !ok || value != ""
			if e.key == "type" && ok && value != "" && value != "code" {
				r.report(e.value, e.path, "must be code, found %s", shown(value))
			}
		}
		for _, key := range known[:3] {
			if r.follow(n).Kind == yaml.MappingNode && !has[key] {
				r.report(n, join(path, key), "is missing")
			}
		}
	}
	r.warn("the code cache does not exist here and is ignored", cache.at, cache.path)
}

// envs takes the resource of the first entry whose condition holds. All entries are checked.
func (r *reader) envs(envs entry) {
	taken := false
	for i, n := range r.list(envs.value, envs.path, "maps with the keys condition and resource") {
		path := index(envs.path, i)
		holds, conditional, complete := false, false, false
		var resource Resource
		for _, e := range r.mapping(n, path, "a map with the keys condition and resource") {
			switch e.key {
			case "condition":
				holds, conditional = r.condition(e), true
			case "resource":
				resource, complete = r.resource(e), true
			default:
				r.unknown(e, []string{"condition", "resource"})
			}
		}
		if r.follow(n).Kind == yaml.MappingNode {
			if !conditional {
				r.report(n, path+".condition", "is missing")
			}
			if !complete {
				r.report(n, path+".resource", "is missing")
			}
		}
		if holds && !taken {
			r.plan.Resource, taken = resource, true
		}
	}
}

func (r *reader) condition(e entry) bool {
	raw, ok := r.scalar(e.value, e.path)
	if !ok {
		return false
	}
	holds, err := evaluate(raw, r.scope.value)
	if err != nil {
		r.report(e.value, e.path, "%s", err)
	}
	return holds
}

func (r *reader) resource(res entry) Resource {
	var out Resource
	known := []string{"type", "arch", "class", "pool"}
	for _, e := range r.mapping(res.value, res.path, "a map with the keys "+strings.Join(known, ", ")) {
		field := map[string]*string{"type": &out.Type, "arch": &out.Arch, "class": &out.Class, "pool": &out.Pool}[e.key]
		if field == nil {
			r.unknown(e, known)
			continue
		}
		value, ok := r.expanded(e)
		if !ok || value == "" {
			continue
		}
		*field = value
		switch e.key {
		case "type":
			*field = r.resourceType(e, value)
		case "arch":
			*field = r.oneOf(e, value, []string{"X86", "ARM"})
		case "class":
			*field = r.oneOf(e, value, r.in.Classes)
		}
	}
	if out.Type == "custom" && out.Pool == "" {
		r.report(res.at, res.path+".pool", "is missing; a custom executor is chosen by its pool")
	}
	return out
}

// resourceType also takes the names that older guides list as types of pools.
func (r *reader) resourceType(e entry, value string) string {
	switch strings.ToLower(value) {
	case "docker":
		return "docker"
	case "custom", "linux", "mac":
		return "custom"
	default:
		r.report(e.value, e.path, "must be docker or custom, found %s", shown(value))
		return ""
	}
}

// index returns the path of an element of a list.
func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// at returns an entry without a key, for an element of a list.
func at(n *yaml.Node, path string) entry { return entry{at: n, value: n, path: path} }
