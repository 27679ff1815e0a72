package api_test

import (
	"strings"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/objects"
	"atelier/internal/objects/objectstest"
	"atelier/internal/server"
	"atelier/internal/server/servertest"
)

// TestUploadOBS puts files into the buckets of a real S3 server.
func TestUploadOBS(t *testing.T) {
	t.Parallel()
	store := objectstest.Start(t, "builds")
	s := servertest.Start(t, func(c *server.Config) {
		var err error
		if c.Objects, err = objects.New(objects.Config{Endpoint: store.URL, Credentials: store.Credentials}); err != nil {
			t.Fatal(err)
		}
	})
	c := s.Client(s.Developer)
	task := shell(s, "objects", "mkdir -p bin/sub other && echo one > bin/one.txt && echo two > bin/sub/two.txt && echo three > other/three.txt")
	step := func(properties map[string]any) {
		task.Steps = append(task.Steps, model.CreateBuildJobSteps{ModuleId: "devcloud2018.codeci_action_20057.action", Name: "Upload", Properties: properties})
	}
	step(map[string]any{
		"backetName": "builds", "objectKey": "./", "uploadDirectory": "false", "authorizationUser": map[string]any{"displayName": "current user", "value": "build"},
		"obsHeaders": []any{map[string]any{"headerKey": "x-obs-meta-job", "headerValue": "${BUILDNUMBER}"}, map[string]any{"headerKey": "", "headerValue": ""}},
	})
	step(map[string]any{"artifactSourcePath": "bin", "backetName": "builds", "objectKey": "/trees/${BUILDNUMBER}/", "uploadDirectory": true})
	step(map[string]any{"artifactSourcePath": "other/*", "backetName": "builds", "artifactDestName": "renamed.txt"})
	step(map[string]any{"artifactSourcePath": "other/*", "backetName": "nobody"})
	job := create(t, c, task)
	run(t, c, &model.RunJobRequestBody{JobId: job})
	r := await(t, c, job, 1)
	checkStatus(t, r, "FAILURE")
	text := fullLog(s, *r.BuildRecordId)
	tree := "trees/" + *r.DailyBuildNum + "/bin/"
	for key, want := range map[string]string{"one.txt": "one\n", tree + "one.txt": "one\n", tree + "sub/two.txt": "two\n", "renamed.txt": "three\n", "two.txt": "", "three.txt": ""} {
		if got, header := store.Get(t, "builds", key); string(got) != want || key == "one.txt" && header.Get("X-Amz-Meta-Job") != *r.DailyBuildNum {
			t.Errorf("%s: %q with %v\n%s", key, got, header, text)
		}
	}
	for _, want := range []string{"obs://builds/" + tree + "sub/two.txt", "NoSuchBucket"} {
		if !strings.Contains(text, want) {
			t.Errorf("the log does not say %q:\n%s", want, text)
		}
	}
	outputs := ok(t, c.ShowOutputInfo, &model.ShowOutputInfoRequest{JobId: job, BuildNo: 1}).Result
	one := outputs.PackageInfos["obs://builds/one.txt"]
	if len(outputs.PackageInfos) != 4 || *one.Name != "one.txt" || *one.Type != "obs" || outputs.PackageInfo != nil {
		t.Errorf("the outputs are %v", outputs)
	}
}

// TestUploadNowhere runs such a step at a service that has no store.
func TestUploadNowhere(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	task := shell(s, "objects", "true")
	task.Steps[0].ModuleId, task.Steps[0].Properties = "upload_obs", map[string]any{"backetName": "builds"}
	job := create(t, c, task)
	run(t, c, &model.RunJobRequestBody{JobId: job})
	r := await(t, c, job, 1)
	checkStatus(t, r, "FAILURE")
	if text := fullLog(s, *r.BuildRecordId); !strings.Contains(text, "there is no object store here; whoever runs the service sets --object-store") {
		t.Error(text)
	}
}
