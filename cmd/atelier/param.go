package main

import (
	"errors"
	"strings"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// paramFlags are those of commands that read build files as a build would.
type paramFlags struct {
	Param []string `help:"Set a parameter. May be repeated." placeholder:"NAME=VALUE" sep:"none" env:"-"`
}

// params returns what --param says, or all that is wrong with it.
func (f paramFlags) params() ([]build.NameValue, error) {
	var params []build.NameValue
	var errs []error
	for _, p := range f.Param {
		name, value, ok := strings.Cut(p, "=")
		if !ok {
			errs = append(errs, fault.Field("--param", "must be NAME=VALUE, found %q", p))
		} else if why := build.CheckParameterName(name); why != "" {
			errs = append(errs, fault.Field("--param", "the name %s", why))
		}
		params = append(params, build.NameValue{Name: name, Value: value})
	}
	return params, errors.Join(errs...)
}
