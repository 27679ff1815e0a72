package engine_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/artifact"
	"atelier/internal/build"
	"atelier/internal/engine"
	"atelier/internal/fault"
)

// step is a step with some properties in pairs.
func step(module string, properties ...string) build.ActionStep {
	s := build.ActionStep{ModuleID: module, Name: module, Properties: make(map[string]any)}
	for i := 0; i < len(properties); i += 2 {
		s.Properties[properties[i]] = properties[i+1]
	}
	return s
}

// content returns a file of the release repository.
func (w *world) content(version, name string) string {
	w.t.Helper()
	f, err := w.artifacts.Open(w.t.Context(), project, version, name)
	if err != nil {
		w.t.Error(err)
		return ""
	}
	defer f.Close()
	text, err := io.ReadAll(f.Checked())
	if err != nil {
		w.t.Error(err)
	}
	return string(text)
}

func (w *world) wantLog(id build.RecordID, lines ...string) {
	w.t.Helper()
	log := w.log(id)
	for _, line := range lines {
		if !strings.Contains(log, line) {
			w.t.Errorf("the log has no %q:\n%s", line, log)
		}
	}
}

func TestUploadAndDownload(t *testing.T) {
	t.Parallel()
	w := newStarted(t)
	first := w.run(w.job(build.Config{Steps: []build.ActionStep{
		sh("Make", `mkdir -p a/target b/target; printf jar > a/target/App.JAR; printf war > b/target/b.war; touch a/target/app.txt`),
		step("upload_artifact", "file", "**/target/*.?ar"),
		step("upload_artifact", "file", "a/target/app.txt", "buildVersion", "latest", "name", "größe 1.txt", "customUploadPath", "/docs"),
	}}))
	w.wantEnd(first, build.Succeeded, "")
	got, err := w.artifacts.Of(t.Context(), first.ID)
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	for _, a := range got {
		shown = append(shown, fmt.Sprintf("%s %s %s %d %v", a.Version, a.Name, a.Path, a.Size, a.ProjectID == project && a.RecordID == first.ID))
	}
	if diff := cmp.Diff([]string{
		first.DailyNumber + " App.JAR a/target/App.JAR 3 true",
		first.DailyNumber + " b.war b/target/b.war 3 true",
		"docs/latest größe 1.txt a/target/app.txt 0 true",
	}, shown); diff != "" {
		t.Errorf("uploaded (-want +got):\n%s", diff)
	}
	w.wantLog(first.ID,
		fmt.Sprintf("Uploaded a/target/App.JAR: 3 bytes, SHA-256 %x, to /v1/artifacts/%s/%s/App.JAR\n", sha256.Sum256([]byte("jar")), project, first.DailyNumber),
		"to /v1/artifacts/"+string(project)+"/docs/latest/gr%C3%B6%C3%9Fe%201.txt\n")

	second := w.run(w.job(build.Config{Steps: []build.ActionStep{
		step("download_artifact", "url", "https://artifacts.example.org/x/${PROJECT_ID}/"+first.DailyNumber+"/App.JAR?a=b"),
		step("download_artifact", "url", "/${PROJECT_ID}/docs/latest/gr%C3%B6%C3%9Fe%201.txt"),
		sh("Use", `test "$(cat App.JAR)" = jar; test -f 'größe 1.txt'; printf new > App.JAR`),
		step("upload_artifact", "file", "app.jar", "buildVersion", first.DailyNumber),
	}}))
	w.wantEnd(second, build.Succeeded, "")
	w.wantLog(second.ID, fmt.Sprintf("Downloaded App.JAR: 3 bytes, SHA-256 %x, from /v1/", sha256.Sum256([]byte("jar"))))
	if got := w.content(first.DailyNumber, "App.JAR"); got != "new" {
		t.Errorf("the second build has uploaded %q", got)
	}
	if got, err := w.artifacts.Of(t.Context(), first.ID); len(got) != 3 || err != nil {
		t.Errorf("of the first build are left %v, %v", got, err)
	}
}

func TestOneNameForSeveralFiles(t *testing.T) {
	t.Parallel()
	w := newStarted(t)
	r := w.run(w.job(build.Config{Steps: []build.ActionStep{
		sh("Make", `mkdir a b; printf 1 > a/x; printf 2 > b/x; printf 3 > $'b/y\nz'`),
		step("upload_artifact", "file", "*/x", "buildVersion", "own"),
		step("upload_artifact", "file", "*/*", "buildVersion", "given", "name", "file"),
	}}))
	w.wantEnd(r, build.Succeeded, "")
	w.wantLog(r.ID, "[WARN] a/x is not uploaded: b/x gets the same name, x.", `Uploaded "b/y\nz": 1 bytes`)
	if got := w.content("own", "x") + w.content("given", "file"); got != "23" {
		t.Errorf("%q", got)
	}
}

func TestArtifactProblems(t *testing.T) {
	t.Parallel()
	w := newStarted(t)
	for name, test := range map[string]struct {
		steps []build.ActionStep
		want  string
	}{
		"no match":        {[]build.ActionStep{step("upload_artifact", "file", "out/*.jar")}, "no file of the workspace matches the pattern out/*.jar"},
		"a link out":      {[]build.ActionStep{sh("Link", "ln -s /etc/passwd x; ln -s /etc etc"), step("upload_artifact", "file", "**")}, "no file of the workspace matches"},
		"a name":          {[]build.ActionStep{sh("Make", `touch $'a\nb'`), step("upload_artifact", "file", "*")}, `the file "a\nb" cannot be uploaded under its name, which must be a name without`},
		"no workspace":    {[]build.ActionStep{sh("Remove", `cd /; rmdir "$WORKSPACE"`), step("upload_artifact", "file", "*")}, "an earlier step removed the workspace"},
		"not there":       {[]build.ActionStep{step("download_artifact", "url", "http://h/${PROJECT_ID}/1/x")}, "the release repository of project " + string(project) + " has no file 1/x"},
		"another project": {[]build.ActionStep{step("download_artifact", "url", "http://h/fedcba9876543210fedcba9876543210/1/x")}, "the address is none of this project's release repository"},
		"no address":      {[]build.ActionStep{step("download_artifact", "url", "http://h/${PROJECT_ID}/x")}, "the address is none of this project's"},
		"a way out":       {[]build.ActionStep{step("download_artifact", "url", "http://h/${PROJECT_ID}/1/%2e%2e")}, "the address is none of this project's"},
		"in the way": {[]build.ActionStep{
			sh("Make", "mkdir -p x/y; touch file"), step("upload_artifact", "file", "file", "name", "x", "buildVersion", "way"), step("download_artifact", "url", "http://h/${PROJECT_ID}/way/x"),
		}, `the file "x" of the workspace cannot be written: something is in its way`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w.wantEnd(w.run(w.job(build.Config{Steps: test.steps})), build.Failed, test.want)
			last := &test.steps[len(test.steps)-1]
			last.Properties["ignore_fail"] = true
			r := w.run(w.job(build.Config{Steps: test.steps}))
			w.wantEnd(r, build.Succeeded, "")
			w.wantLog(r.ID, test.want, "The build goes on, as the step says.")
		})
	}
}

// stopping is a release repository where an upload waits until its build is stopped.
type stopping struct {
	engine.Artifacts
	begun chan struct{}
}

func (s stopping) Write(ctx context.Context, a build.Artifact, content io.Reader) (build.Artifact, error) {
	close(s.begun)
	<-ctx.Done()
	return s.Artifacts.Write(ctx, a, content)
}

func TestStopUpload(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	w := newStarted(t, func(p *engine.Parts) { p.Artifacts = stopping{p.Artifacts, begun} })
	r := w.begin(w.job(build.Config{Steps: []build.ActionStep{sh("Make", "echo x > x"), step("upload_artifact", "file", "x")}}))
	<-begun
	w.halt(r)
	w.wantEnd(w.end(r.ID), build.Aborted, build.StoppedMessage)
	if got, err := w.artifacts.Of(t.Context(), r.ID); len(got) > 0 || err != nil {
		t.Errorf("uploaded were %v, %v", got, err)
	}
}

// restarting is a release repository whose database is away every other time, and once does not answer although it has published.
type restarting struct {
	engine.Artifacts
	calls *int
}

func (s restarting) away() error {
	if *s.calls++; *s.calls%2 == 1 {
		return fault.New(fault.Unavailable, "the database is away")
	}
	return nil
}

func (s restarting) Publish(ctx context.Context, a build.Artifact, fence int64) error {
	away := s.away()
	if away != nil && *s.calls > 1 {
		return away
	}
	return errors.Join(away, s.Artifacts.Publish(ctx, a, fence))
}

func (s restarting) Open(ctx context.Context, project build.ProjectID, version, name string) (*artifact.File, error) {
	if err := s.away(); err != nil {
		return nil, err
	}
	return s.Artifacts.Open(ctx, project, version, name)
}

func TestArtifactsWhileDatabaseIsAway(t *testing.T) {
	t.Parallel()
	w := newStarted(t, func(p *engine.Parts) { p.Artifacts = restarting{p.Artifacts, new(int)} })
	r := w.run(w.job(build.Config{Steps: []build.ActionStep{
		sh("Make", "echo 1 > x; echo 2 > y"), step("upload_artifact", "file", "?", "buildVersion", "v"),
		step("download_artifact", "url", "/${PROJECT_ID}/v/x"), step("download_artifact", "url", "/${PROJECT_ID}/v/y"),
	}}))
	w.wantEnd(r, build.Succeeded, "")
	if got := w.content("v", "x") + w.content("v", "y"); got != "1\n2\n" {
		t.Errorf("%q", got)
	}
}

func TestSecretInAddress(t *testing.T) {
	t.Parallel()
	w := newStarted(t)
	sealed, err := w.sealer.Seal("hunter22")
	if err != nil {
		t.Fatal(err)
	}
	r := w.run(w.job(build.Config{
		Parameters: []build.Parameter{{Definition: build.StringDefinition, Properties: []build.Property{
			{Name: "name", Value: "KEY"}, {Name: "sensitiveVar", Value: "true"}, {Name: "defaultValue", Value: sealed, Sealed: true},
		}}},
		Steps: []build.ActionStep{sh("Make", "echo x > x"), step("upload_artifact", "file", "x", "buildVersion", "${KEY}")},
	}))
	w.wantEnd(r, build.Succeeded, "")
	w.wantLog(r.ID, "hold the value of a private parameter", "Uploaded x: 2 bytes")
	if strings.Contains(w.log(r.ID), "hunter22") {
		t.Errorf("the log shows it:\n%s", w.log(r.ID))
	}
}

// away is a release repository whose bucket does not answer.
type away struct{ engine.Artifacts }

func (away) Write(context.Context, build.Artifact, io.Reader) (build.Artifact, error) {
	return build.Artifact{}, errors.New("dial secret.example.org")
}

func (away) Open(context.Context, build.ProjectID, string, string) (*artifact.File, error) {
	return nil, errors.New("dial secret.example.org")
}

func TestArtifactsAway(t *testing.T) {
	t.Parallel()
	w := newStarted(t, func(p *engine.Parts) { p.Artifacts = away{} })
	for _, last := range []build.ActionStep{step("upload_artifact", "file", "x"), step("download_artifact", "url", "http://h/${PROJECT_ID}/1/x")} {
		r := w.run(w.job(build.Config{Steps: []build.ActionStep{sh("Make", "echo x > x"), last}}))
		w.wantEnd(r, build.Failed, "Internal error. Its details are in the server's log under the record id.")
		if strings.Contains(w.log(r.ID), "secret.example.org") || !strings.Contains(w.server.String(), "dial secret.example.org") {
			t.Errorf("the build's log says\n%s", w.log(r.ID))
		}
	}
}
