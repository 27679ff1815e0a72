package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"atelier/internal/build"
	"atelier/internal/logs/mask"
)

func private(name, value string) build.Parameter {
	return build.Parameter{Definition: build.StringDefinition, Properties: []build.Property{
		{Name: "name", Value: name}, {Name: "defaultValue", Value: value}, {Name: "sensitiveVar", Value: "true"},
	}}
}

// wantSecret checks that nothing which is kept of a build has a secret in it.
func (w *world) wantSecret(r build.Record, secrets ...string) {
	w.t.Helper()
	for what, text := range map[string]string{
		"record": fmt.Sprintf("%+v", r), "steps": fmt.Sprintf("%+v", w.steps(r.ID)), "log": w.log(r.ID), "server's log": w.server.String(),
	} {
		for _, s := range secrets {
			if strings.Contains(text, s) {
				w.t.Errorf("%q is in the %s:\n%s", s, what, text)
			}
		}
	}
}

func TestPrivateParameters(t *testing.T) {
	t.Parallel()
	const token = "tok-8271-hush"
	const buildFile = "hidden/place.yml"
	w := newStarted(t)
	repo := w.repository()
	repo.Write(buildFile, `version: 2.0
steps:
  BUILD:
    - sh:
        name: Deploy with ${TOKEN}
        image: ${NOBODY}`+token+`
        inputs:
          command: |
            echo "the token is $TOKEN"
            echo ${TOKEN} >&2
            printf tok- ; printf 8271-hush
            exit 4
`)
	repo.Commit("Use " + token + " now")
	r := w.run(w.job(build.Config{Kind: build.YAML, Sources: sourceOf(repo), Parameters: []build.Parameter{
		private("TOKEN", token), private("CB_BUILD_YAML_PATH", buildFile),
	}}))
	w.wantEnd(r, build.Failed, `Step "Deploy with `+mask.Mask+`" failed with exit code 4.`)
	w.wantSecret(r, token, buildFile)
	log := w.log(r.ID)
	for _, text := range []string{"] the token is ******\n] ******\n] ******\n", "refers to a parameter that is not defined"} {
		for line := range strings.SplitSeq(text, "\n") {
			if !strings.Contains(log, line) {
				t.Errorf("the log lacks %q:\n%s", line, log)
			}
		}
	}
	if r.CommitMessage != "Use "+mask.Mask+" now" || r.BuildFile != mask.Mask {
		t.Errorf("commit message %q, build file %q", r.CommitMessage, r.BuildFile)
	}
}

// A message that quotes a long value cuts it. What is left of a secret is still one.
func TestPrivateParameterThatIsQuotedInPart(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{
		strings.Repeat("q1w2e3r4t5", 10), // longer than what is quoted
		`a "quoted" \ ` + strings.Repeat("secret of many words ", 10),
	} {
		w := newStarted(t)
		repo := w.repository()
		repo.Write(".cloudbuild/build.yml", `version: 2.0
steps:
  PRE_BUILD:
    - checkout:
        inputs:
          depth: some ${TOKEN}
  BUILD:
    - sh:
        image: "!${TOKEN}"
        inputs:
          command: make
`)
		repo.Commit("Build file")
		r := w.run(w.job(build.Config{Kind: build.YAML, Sources: sourceOf(repo), Parameters: []build.Parameter{private("TOKEN", secret)}}))
		w.wantNeverBegan(r, `must be a whole number of 1 or more, found "some `+mask.Mask)
		w.wantSecret(r, secret[:9])
	}
}
