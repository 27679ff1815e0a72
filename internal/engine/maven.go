package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"strings"

	"atelier/internal/fault"
	"atelier/internal/plan"
	"atelier/internal/source"
)

// useSettings makes the commands of a step use Maven's settings, wherever they do not name others: of two, Maven takes the first. It
// is no line of its own, so that the shell counts lines as the user does.
const useSettings = `mvn() { command mvn "$@" -s "$` + plan.SettingsVariable + `"; }; `

// withSettings returns a step with Maven's settings, if it has repositories.
func (r *run) withSettings(step plan.Step) (plan.Step, error) {
	if step.Script == nil || len(step.Script.Repositories) == 0 || r.Endpoints == nil {
		return step, nil
	}
	settings, err := mavenSettings(step.Script.Repositories, r.what.dependencies)
	if err != nil {
		return step, err
	}
	script := *step.Script // the plan's has no passwords
	script.Private = []plan.PrivateFile{{Variable: plan.SettingsVariable, Content: settings}}
	script.Command = useSettings + script.Command
	step.Script = &script
	return step, nil
}

// openDependencies finds the credentials of the private repositories of Maven's.
func (r *run) openDependencies(steps []plan.Step, p *prepared) error {
	for _, step := range steps {
		if step.Script == nil || len(step.Script.Repositories) == 0 {
			continue
		}
		if r.Endpoints == nil {
			r.note(r.log.Warn, "Step %q names repositories, which a server makes Maven's settings of; here your own are used.", step.Name)
			continue
		}
		for _, repository := range step.Script.Repositories {
			if _, known := p.dependencies[repository.URL]; known || !repository.Private {
				continue
			}
			if err := r.openDependency(repository.URL, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *run) openDependency(repository string, p *prepared) error {
	if err := r.checkEndpoints(); err != nil {
		return err
	}
	var c source.Credential
	err := r.retry(r.ctx, func(ctx context.Context) (err error) {
		c, err = r.Endpoints.Dependencies(ctx, r.record.ProjectID, repository)
		return err
	})
	if err != nil {
		return err
	}
	r.hide(p, c.Password)
	if escaped := escapedXML(c.Password); escaped != c.Password {
		r.hide(p, escaped)
	}
	// In its settings Maven puts values in the place of ${…}, and takes {…} for something that it encrypted.
	if strings.ContainsAny(c.User+c.Password, "{}") {
		return fault.New(fault.Invalid, "the service endpoint %q has a brace in its user name or password, which Maven does not take as it is; give it another one", c.Name)
	}
	if p.dependencies == nil {
		p.dependencies = make(map[string]source.Credential)
	}
	p.dependencies[repository] = c
	return nil
}

func escapedXML(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // a Buffer takes everything
	return b.String()
}

// settingsXML is a settings file of Maven's.
type settingsXML struct {
	XMLName xml.Name    `xml:"http://maven.apache.org/SETTINGS/1.0.0 settings"`
	Servers []serverXML `xml:"servers>server"`
	Profile profileXML  `xml:"profiles>profile"`
	Active  string      `xml:"activeProfiles>activeProfile"`
}

type serverXML struct {
	ID       string `xml:"id"`
	User     string `xml:"username"`
	Password string `xml:"password"`
}

type profileXML struct {
	ID           string          `xml:"id"`
	Repositories []repositoryXML `xml:"repositories>repository"`
	Plugins      []repositoryXML `xml:"pluginRepositories>pluginRepository"`
}

type repositoryXML struct {
	ID        string `xml:"id"`
	URL       string `xml:"url"`
	Releases  bool   `xml:"releases>enabled"`
	Snapshots bool   `xml:"snapshots>enabled"`
}

// mavenSettings returns a settings file with repositories, and the credentials of those that have some.
func mavenSettings(repositories []plan.Repository, credentials map[string]source.Credential) (string, error) {
	const profile = "atelier"
	s := settingsXML{Profile: profileXML{ID: profile}, Active: profile}
	for _, r := range repositories {
		// Maven's cache knows by this id where something came from, so it must be the same in the next build.
		sum := sha256.Sum256([]byte(r.URL))
		id := "atelier-" + hex.EncodeToString(sum[:6])
		if c, ok := credentials[r.URL]; ok {
			s.Servers = append(s.Servers, serverXML{ID: id, User: c.User, Password: c.Password})
		}
		s.Profile.Repositories = append(s.Profile.Repositories, repositoryXML{ID: id, URL: r.URL, Releases: r.Releases, Snapshots: r.Snapshots})
	}
	s.Profile.Plugins = s.Profile.Repositories
	text, err := xml.MarshalIndent(s, "", "  ")
	if err != nil {
		return "", fmt.Errorf("write Maven's settings: %w", err)
	}
	return xml.Header + string(text) + "\n", nil
}
