package api_test

import (
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/server/servertest"
	"atelier/internal/source/sourcetest"
)

// TestManifestCheckout checks out what a manifest names, from a real git server that wants a password.
func TestManifestCheckout(t *testing.T) {
	t.Parallel()
	const password = "correct-horse"
	dir := t.TempDir()
	server := httptest.NewServer(sourcetest.Guarded("robot", password, sourcetest.Handler(t, dir)))
	t.Cleanup(server.Close)
	repository := func(name string, files ...string) *sourcetest.Repository {
		repo := sourcetest.New(t, filepath.Join(dir, name))
		for i := 0; i < len(files); i += 2 {
			repo.Write(files[i], files[i+1])
		}
		repo.Commit("init")
		return repo
	}
	repository("app", "app.txt", "app")
	lib := repository("libs/lib", "lib.txt", "first")
	first := strings.TrimSpace(lib.Git("rev-parse", "HEAD"))
	lib.Write("lib.txt", "second")
	lib.Commit("second")
	lib.Git("tag", "v1")
	repository("manifests", "default.xml", `<manifest>
  <remote name="here" fetch=".."/><default remote="here" revision="main"/>
  <project name="libs/lib" path="deps/it's lib" revision="`+first+`"><copyfile src="lib.txt" dest="copies/lib.txt"/><linkfile src="lib.txt" dest="links/deep/lib.txt"/></project>
  <project name="libs/lib" path="deps/tagged" revision="refs/tags/v1" clone-depth="1"/>
  <include name="more.xml"/>
</manifest>`, "more.xml", `<manifest><project name="app"/></manifest>`, "bad.xml", `<manifest><include name="none.xml"/></manifest>`)

	s := servertest.Start(t)
	c := s.Client(s.Developer)
	repo := s.NewRepository("manifest")
	input := "manifest_url: " + server.URL + "/manifests, username: robot, password: '${password}'"
	repo.Write(".cloudbuild/build.yml", `version: 2.0
steps:
  PRE_BUILD:
    - manifest_checkout: {inputs: {`+input+`, path: src, manifest_branch: refs/heads/main}}
    - sh: {inputs: {command: "cd src; cat app/app.txt \"deps/it's lib/lib.txt\" deps/tagged/lib.txt copies/lib.txt links/deep/lib.txt; echo; env; grep -r horse . ~ && exit 1; test ! -e ../.cloudbuild"}}
    - manifest_checkout: {inputs: {`+input+`, path: bad, manifest_file: bad.xml, ignore_fail: true}}
    - manifest_checkout: {inputs: {manifest_url: `+server.URL+`/manifests, path: closed, ignore_fail: true}}
  BUILD:
    - sh: {inputs: {command: "true"}}
`)
	repo.Git("add", "--all")
	repo.Git("commit", "--quiet", "--message", "init")
	task := fromFile(s, "manifest", repo.URL())
	task.Parameters = &[]model.CreateBuildJobParameter{parameter("password", password, "sensitiveVar", "true")}
	job := create(t, c, task)
	run(t, c, &model.RunJobRequestBody{JobId: job})
	r := await(t, c, job, 1)
	text := timestamp.ReplaceAllString(fullLog(s, *r.BuildRecordId), "")
	if *r.Status != "SUCCESS" || strings.Contains(text, password) {
		t.Errorf("%s\n%s", *r.Status, text)
	}
	for _, want := range []string{"appfirstsecondfirstfirst\n", `"bad/.repo/manifests/none.xml" of the workspace cannot be read`, "endpoint_id"} {
		if !strings.Contains(text, want) {
			t.Errorf("the log does not say %q:\n%s", want, text)
		}
	}
}
