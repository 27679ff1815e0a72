package plan

import (
	"strings"

	"atelier/internal/build"
)

// cacheSwitch is the input by which a step says whether it uses the caches of its tools.
var cacheSwitch = input{name: "cache", kind: flag}

// cachesOf returns the tools whose caches a step uses that says so, or not, or nothing.
func (a action) cachesOf(choice string) []string {
	if choice == "false" || choice == "" && a.cacheAsked {
		return nil
	}
	return a.caches
}

// cachesAction reads what an ACTION step says of caches, in the vendor's words.
func (s *scope) cachesAction(act action, step build.ActionStep, problem func(key, message string)) []string {
	if act.caches == nil {
		return nil
	}
	switch option := s.property(step, cacheOption, problem); strings.ToLower(option) {
	case "":
		return act.cachesOf("")
	case "cached":
		return act.cachesOf("true")
	case "nocache":
		return act.cachesOf("false")
	default:
		problem(".properties."+cacheOption, "must be cached or noCache, found "+shown(option))
		return nil
	}
}

// cacheOption is the property of ACTION steps that stands for the input cache.
const cacheOption = "cacheOption"
