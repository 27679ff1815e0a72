package executor

import (
	"slices"
	"strings"

	"atelier/internal/plan"
)

// Cache is a directory in which a tool keeps what later builds would otherwise download or make again. Only steps that use the cache
// of the tool are told of it, or see it where the executor can hide it.
type Cache struct {
	Tool string // as in [plan.Step]
	Dir  string // on the executor
}

// cachePlace says how a tool finds its cache.
type cachePlace struct {
	inside    string // where containers have it: the vendor's place, as far as there is one
	variables []plan.Param
}

// dirMark stands for the directory in the value of a variable.
const dirMark = "{}"

var cachePlaces = map[string]cachePlace{
	"go":     {"/cache/go", []plan.Param{{Name: "GOMODCACHE", Value: dirMark + "/mod"}, {Name: "GOCACHE", Value: dirMark + "/build"}}},
	"gradle": {"/cache/android", []plan.Param{{Name: "GRADLE_USER_HOME", Value: dirMark}}},
	"maven":  {"/repository/local/maven", []plan.Param{{Name: mavenOptions, Value: "-Dmaven.repo.local=" + dirMark}}},
	"npm":    {"/npmcache", []plan.Param{{Name: "npm_config_cache", Value: dirMark}}},
	"pip":    {"/cache/pip", []plan.Param{{Name: "PIP_CACHE_DIR", Value: dirMark}}},
	"yarn":   {"/yarncache", []plan.Param{{Name: "YARN_CACHE_FOLDER", Value: dirMark}}},
}

// mavenOptions is a variable with many options, of which the cache is one. Maven splits it at blanks, whatever is quoted.
const mavenOptions = "MAVEN_OPTS"

// Inside returns the directory as containers see it.
func (c Cache) Inside() string { return cachePlaces[c.Tool].inside }

// CachesOf returns those of a build's caches that a step uses.
func CachesOf(step plan.Step, all []Cache) []Cache {
	return slices.DeleteFunc(slices.Clone(all), func(c Cache) bool { return !slices.Contains(step.Caches, c.Tool) })
}

// Environ returns env with what points the tool to its cache in a directory. What the build sets itself wins.
func (c Cache) Environ(env []string, dir string) []string {
	env = slices.Clone(env)
	for _, v := range cachePlaces[c.Tool].variables {
		value := strings.ReplaceAll(v.Value, dirMark, dir)
		i := slices.IndexFunc(env, func(e string) bool { return strings.HasPrefix(e, v.Name+"=") })
		switch {
		case v.Name == mavenOptions && strings.ContainsAny(dir, " \t\n"):
		case i < 0:
			env = append(env, v.Name+"="+value)
		case v.Name == mavenOptions:
			env[i] = v.Name + "=" + value + " " + strings.TrimPrefix(env[i], v.Name+"=")
		}
	}
	return env
}
