package template

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/source"
)

// recipe is an official template, and the files by which a repository is known to be one for it.
type recipe struct {
	name, description, tool, language, module string
	command                                   string
	pattern                                   string // of the files to upload; empty for none
	signs                                     []string
}

// recipes are the official templates. Each builds with what its tool's own documentation has a new project do.
var recipes = []recipe{
	{"Go", "Test a Go module and build its commands.", "go", "go", "", "go test ./...\nmkdir -p bin\ngo build -o bin/ ./...", "bin/*", []string{"go.mod"}},
	{"Maven", "Build and test a Java project with Maven.", "maven", "java", "devcloud2018.codeci_action_20043.action", "mvn -B package", "**/target/*.?ar", []string{"pom.xml"}},
	{"Gradle", "Build and test a Java or Kotlin project with the Gradle wrapper.", "gradle", "java", "", "./gradlew build", "**/build/libs/*.jar", []string{"build.gradle", "build.gradle.kts"}},
	{"npm", "Install, test and build a JavaScript project with npm.", "npm", "javaScript", "devcloud2018.codeci_action_20014.action", "npm ci\nnpm test --if-present\nnpm run build --if-present", "", []string{"package-lock.json", "package.json"}},
	{"Yarn", "Install and build a JavaScript project with Yarn.", "yarn", "javaScript", "", "yarn install --frozen-lockfile\nyarn build", "", []string{"yarn.lock"}},
	{"Python", "Install a Python project with its dependencies and run its tests.", "python", "python", "", "python3 -m venv .venv\n. .venv/bin/activate\nif [ -f requirements.txt ]; then pip install -r requirements.txt; else pip install .; fi\npython -m unittest discover", "", []string{"pyproject.toml", "setup.py", "requirements.txt"}},
	{"CMake", "Configure, build and test a C or C++ project with CMake.", "cmake", "c++", "devcloud2018.codeci_action_20005.action", "cmake -S . -B build\ncmake --build build --parallel\nctest --test-dir build", "", []string{"CMakeLists.txt"}},
	{"Shell", "Run commands of your own.", "shell", "shell", shellModule, "echo hello", "", nil},
}

const (
	shellModule  = "devcloud2018.codeci_action_20017.action"
	uploadModule = "devcloud2018.codeci_action_20018.action"
)

// officials are the templates that the recipes come to.
var officials = func() []Template {
	out := make([]Template, len(recipes))
	for i, r := range recipes {
		id := sha256.Sum256([]byte("official template " + r.tool))
		// A tool without a module of its own is run by a shell step, which does the same.
		steps := []build.ActionStep{{ModuleID: cmp.Or(r.module, shellModule), Name: r.name, Properties: map[string]any{"command": r.command}}}
		if r.pattern != "" {
			steps = append(steps, build.ActionStep{ModuleID: uploadModule, Name: "Upload", Properties: map[string]any{"file": r.pattern}})
		}
		out[i] = Template{
			UUID: hex.EncodeToString(id[:16]), Name: r.name, Description: r.description, Tool: r.tool, Language: r.language,
			Parameters: build.DefaultParameters(), Steps: steps,
		}
	}
	return out
}()

// officialOf returns the official template that has one of the ids.
func officialOf(id string) (Template, bool) {
	i := slices.IndexFunc(officials, func(t Template) bool { return t.UUID == id || t.ID() == id })
	if i < 0 {
		return Template{}, false
	}
	return officials[i], true
}

// Officials returns the official templates whose names hold a text, case ignored; those that tasks of the actor's tenant use most come first.
func (s *Service) Officials(ctx context.Context, actor build.Actor, name string) ([]Template, error) {
	var found []Template
	for _, t := range officials {
		if strings.Contains(strings.ToLower(t.Name), strings.ToLower(name)) {
			found = append(found, t)
		}
	}
	return found, s.addUse(ctx, actor, found)
}

// addUse fills in what the actor and its tenant do with official templates, and orders them by that.
func (s *Service) addUse(ctx context.Context, actor build.Actor, templates []Template) error {
	uuids := make([]string, len(templates))
	for i, t := range templates {
		uuids[i] = t.UUID
	}
	liked, uses, err := s.Store.TemplateUse(ctx, actor.DomainID, actor.UserID, uuids)
	for i := range templates {
		templates[i].Favourite, templates[i].Uses = liked[uuids[i]], uses[uuids[i]]
	}
	slices.SortStableFunc(templates, func(a, b Template) int { return cmp.Compare(b.Uses, a.Uses) })
	return err
}

// maxSign is how much of a file is read to find that it is there.
const maxSign = 1 << 20

// Recommend returns the official templates that fit a repository, by the files at its root.
func (s *Service) Recommend(ctx context.Context, actor build.Actor, url string, ref source.Ref) ([]Template, error) {
	commit, err := s.Repositories.Resolve(ctx, url, ref)
	if err != nil {
		return nil, err
	}
	var found []Template
	for i, r := range recipes {
		fits, err := s.hasOne(ctx, url, commit.ID, r.signs)
		if err != nil {
			return nil, err
		}
		if fits {
			found = append(found, officials[i])
		}
	}
	return found, s.addUse(ctx, actor, found)
}

// hasOne reports whether a commit has one of some files.
func (s *Service) hasOne(ctx context.Context, url, commit string, names []string) (bool, error) {
	for _, name := range names {
		_, err := s.Repositories.ReadFile(ctx, url, commit, name, maxSign)
		if err == nil || fault.Is(err, fault.Limit) {
			return true, nil
		}
		if !fault.Is(err, fault.NotFound) {
			return false, err
		}
	}
	return false, nil
}
