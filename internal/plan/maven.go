package plan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"atelier/internal/build"
)

// SettingsVariable leads the commands of a step to Maven's settings.
const SettingsVariable = "ATELIER_MAVEN_SETTINGS"

// Repository is where Maven takes dependencies and plug-ins from.
type Repository struct {
	URL       string
	Private   bool // a service endpoint of the project opens it
	Releases  bool // it is asked for them
	Snapshots bool
}

// mavenSettings is the input by which a step names repositories.
var mavenSettings = input{name: "settings", kind: mapping, fields: []input{{name: publicRepos, kind: texts}, {name: privateRepos, kind: texts}}}

const (
	publicRepos  = "public_repos"
	privateRepos = "private_repos"
)

// settingMode is the property of ACTION steps that says where Maven's settings come from.
const settingMode = "settingMode"

// repositoryLists are the inputs with repositories, and the properties that stand for them.
var repositoryLists = []struct {
	input, property string
	private         bool
}{{publicRepos, "userPublicRepositories", false}, {privateRepos, "userPrivateRepositories", true}}

var repositoryURL = regexp.MustCompile(`^https?://[^/@\s?#]+(/[^\s?#]*)?$`)

func repositoryProblem(address string) string {
	if repositoryURL.MatchString(addressWithPlaceholders(address)) {
		return ""
	}
	if strings.Contains(address, "@") {
		return "holds a user name or a password; a service endpoint of the project has them"
	}
	return "must be the address of a repository, https://host/path or http://host/path, found " + shown(address)
}

// withRepository adds a repository to a list. One that is in it already is asked for what either says.
func withRepository(list []Repository, next Repository) []Repository {
	next.URL = strings.TrimRight(next.URL, "/")
	i := slices.IndexFunc(list, func(r Repository) bool { return r.URL == next.URL })
	if i < 0 {
		return append(list, next)
	}
	r := &list[i]
	r.Private, r.Releases, r.Snapshots = r.Private || next.Private, r.Releases || next.Releases, r.Snapshots || next.Snapshots
	return list
}

// repositories reads the input of a build file's step.
func (r *reader) repositories(settings value) (list []Repository) {
	for _, in := range repositoryLists {
		for _, v := range settings.fields[in.input].list {
			if why := repositoryProblem(v.text); why != "" {
				r.report(v.value, v.path, "%s", why)
				continue
			}
			list = withRepository(list, Repository{URL: v.text, Private: in.private, Releases: true, Snapshots: true})
		}
	}
	return list
}

// repositoriesAction reads the properties of an ACTION step. The keys of an entry are documented nowhere: its address and what it serves
// are taken, and other keys left alone.
func (s *scope) repositoriesAction(step build.ActionStep, problem func(key, message string)) (list []Repository) {
	if mode := s.property(step, settingMode, problem); mode != "" && mode != "auto" {
		return nil // the step has a file of its own
	}
	for _, in := range repositoryLists {
		value := step.Properties[in.property]
		entries, ok := value.([]any)
		if !ok && value != nil {
			problem(".properties."+in.property, "must be a list of repositories, found "+shown(fmt.Sprint(value)))
		}
		for i, entry := range entries {
			key := fmt.Sprintf(".properties.%s[%d]", in.property, i)
			next := Repository{Private: in.private, Releases: true, Snapshots: true}
			switch e := entry.(type) {
			case string:
				next.URL = s.expand(e)
			case map[string]any:
				address, _ := e["url"].(string)
				next.URL = s.expand(address)
				next.Releases, next.Snapshots = !isFalse(e["release"]), !isFalse(e["snapshot"])
			}
			if why := repositoryProblem(next.URL); why != "" {
				problem(key, why)
				continue
			}
			list = withRepository(list, next)
		}
	}
	return list
}

// isFalse reports whether a property is switched off, in either way of writing that.
func isFalse(value any) bool { return strings.EqualFold(fmt.Sprint(value), "false") }

// convertRepositories is the input of a build file that an ACTION step's repositories stand for.
func convertRepositories(list []Repository, problem func(key, message string)) []any {
	lists := map[bool]*yaml.Node{}
	for _, r := range list {
		if !r.Releases || !r.Snapshots {
			problem("", "the repository "+shown(r.URL)+" serves releases or snapshots only, which a build file cannot say")
		}
		if lists[r.Private] == nil {
			lists[r.Private] = &yaml.Node{Kind: yaml.SequenceNode}
		}
		lists[r.Private].Content = append(lists[r.Private].Content, textNode(r.URL))
	}
	var pairs []any
	for _, in := range repositoryLists {
		if n := lists[in.private]; n != nil {
			pairs = append(pairs, in.input, n)
		}
	}
	if pairs == nil {
		return nil
	}
	return []any{mavenSettings.name, mappingOf(pairs...)}
}
