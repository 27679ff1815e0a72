package api_test

import (
	"strings"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/executor/container"
	"atelier/internal/executor/container/podmantest"
	"atelier/internal/server"
	"atelier/internal/server/servertest"
)

// TestBuildImage builds images with a real engine and pushes them to a real registry.
func TestBuildImage(t *testing.T) {
	t.Parallel()
	engine, registry := podmantest.Start(t), podmantest.StartDistribution(t)
	s := servertest.Start(t, func(c *server.Config) {
		c.Images = &container.BuilderConfig{
			Registries: map[string]string{c.Region: registry.Host, "elsewhere": registry.Host + "/mirror"},
			Socket:     engine.Socket, Network: "none", RegistryConfig: registry.Config(t),
		}
	})
	c := s.Client(s.Developer)
	repo := s.NewRepository("images")
	repo.Write("app/Dockerfile", "FROM "+podmantest.Small+"\nCOPY Dockerfile /\n")
	repo.Write(".cloudbuild/build.yml", `version: 2.0
steps:
  BUILD:
    - build_image:
        inputs: {organization: team, image_name: "main-app", image_tag: 1.10, context_path: app, regions: [`+servertest.Region+`, elsewhere], set_meta_data: true}
    - build_image:
        inputs: {organization: none, context_path: nowhere}
`)
	repo.Git("add", "--all")
	repo.Git("commit", "--quiet", "--message", "init")
	job := create(t, c, fromFile(s, "images", repo.URL()))
	run(t, c, &model.RunJobRequestBody{JobId: job})
	r := await(t, c, job, 1)
	checkStatus(t, r, "FAILURE")
	digest, labels := registry.Digest(t, "team/main-app", "1.10")
	mirrored, _ := registry.Digest(t, "mirror/team/main-app", "1.10")
	if digest == "" || mirrored == "" || labels["org.opencontainers.image.revision"] != repo.Git("rev-parse", "HEAD") || labels["atelier.job"] != job {
		t.Errorf("digests %q and %q, labels %v", digest, mirrored, labels)
	}
	text := fullLog(s, *r.BuildRecordId)
	for _, want := range []string{"Pushed " + registry.Host + "/team/main-app:1.10, digest " + digest, "there is no Dockerfile at nowhere/Dockerfile in the workspace"} {
		if !strings.Contains(text, want) {
			t.Errorf("the log does not say %q:\n%s", want, text)
		}
	}
	outputs := ok(t, c.ShowOutputInfo, &model.ShowOutputInfoRequest{JobId: job, BuildNo: 1}).Result
	image := outputs.ImageInfos[registry.Host+"/team/main-app:1.10"]
	if len(outputs.ImageInfos) != 2 || *image.Uri != registry.Host+"/team/main-app@"+digest || *image.Version != "1.10" || *image.Name != registry.Host+"/team/main-app" {
		t.Errorf("the outputs are %v", outputs)
	}
	if left := engine.Images(t); len(left) > 0 {
		t.Errorf("the images %v are left in the engine", left)
	}
}

// TestDockerStep has docker commands use what an earlier step has made, and the variables of the build.
func TestDockerStep(t *testing.T) {
	t.Parallel()
	engine, registry := podmantest.Start(t), podmantest.StartDistribution(t)
	s := servertest.Start(t, func(c *server.Config) {
		c.Images = &container.BuilderConfig{Registries: map[string]string{c.Region: registry.Host}, Socket: engine.Socket, Network: "none", RegistryConfig: registry.Config(t)}
	})
	c := s.Client(s.Developer)
	repo := s.NewRepository("docker")
	repo.Write("Dockerfile", "FROM "+podmantest.Small+"\nRUN echo of the base > /text\n")
	repo.Write("app/Dockerfile", "FROM "+registry.Host+"/team/base:1\nARG WHAT\nRUN cat /text; echo \"$WHAT\"\n")
	repo.Write(".cloudbuild/build.yml", `version: 2.0
params: [{name: what, value: a parameter}]
steps:
  BUILD:
    - build_image: {inputs: {organization: team, image_name: base, image_tag: 1}}
    - docker:
        inputs:
          command: |
            docker build -t `+registry.Host+`/team/app:$BUILDNUMBER --build-arg WHAT="$what" $WORKSPACE/app
            docker push `+registry.Host+`/team/app:${BUILDNUMBER}
            docker save -o app.tar `+registry.Host+`/team/app:$BUILDNUMBER
    - upload_artifact: {inputs: {path: app.tar}}
    - docker: {inputs: {command: docker push nothing}}
`)
	repo.Git("add", "--all")
	repo.Git("commit", "--quiet", "--message", "init")
	job := create(t, c, fromFile(s, "docker", repo.URL()))
	run(t, c, &model.RunJobRequestBody{JobId: job})
	r := await(t, c, job, 1)
	checkStatus(t, r, "FAILURE")
	text := fullLog(s, *r.BuildRecordId)
	app := registry.Host + "/team/app:"
	for _, want := range []string{"of the base\na parameter\n", "Pushed " + app, "there is no image nothing:latest; this build has " + app} {
		if !strings.Contains(timestamp.ReplaceAllString(text, ""), want) {
			t.Errorf("the log does not say %q:\n%s", want, text)
		}
	}
	outputs := ok(t, c.ShowOutputInfo, &model.ShowOutputInfoRequest{JobId: job, BuildNo: 1}).Result
	if len(outputs.ImageInfos) != 2 || len(outputs.PackageInfos) != 1 {
		t.Errorf("the outputs are %v", outputs)
	}
	if left := engine.Images(t); len(left) > 0 {
		t.Errorf("the images %v are left in the engine", left)
	}
}

// TestBuildImageNowhere runs such a step at a service that has no registries.
func TestBuildImageNowhere(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	task := shell(s, "images", "true")
	task.Steps[0].ModuleId = "devcloud2018.codeci_action_20004.action"
	task.Steps[0].Properties = map[string]any{"organization": "team"}
	job := create(t, c, task)
	run(t, c, &model.RunJobRequestBody{JobId: job})
	r := await(t, c, job, 1)
	checkStatus(t, r, "FAILURE")
	if text := fullLog(s, *r.BuildRecordId); !strings.Contains(text, "this service has no container engine for images; whoever runs it sets --container-socket or --image-registries") {
		t.Error(text)
	}
}
