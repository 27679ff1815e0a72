package api_test

import (
	"strings"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/server/servertest"
)

// TestBadBuildFile starts builds whose build file cannot be used. They end with a record that says why.
func TestBadBuildFile(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	const good = "version: 2.0\nsteps:\n  BUILD:\n    - sh:\n        inputs:\n          command: \"true\"\n"
	for name, test := range map[string]struct {
		file  string // empty for none
		words []string
	}{
		"missing":         {"", []string{".cloudbuild/build.yml"}},
		"2 MiB":           {good + "#" + strings.Repeat("x", 2<<20) + "\n", []string{".cloudbuild/build.yml", "at most 1048576 are allowed"}},
		"bad YAML":        {"version: 2.0\nsteps: [\n", []string{".cloudbuild/build.yml:", "YAML"}},
		"unknown keyword": {strings.Replace(good, "sh:", "shell:", 1), []string{".cloudbuild/build.yml:4:7: steps.BUILD[0].shell: is not known; known are: ", " sh,"}},
		"unknown top key": {good + "stages: []\n", []string{".cloudbuild/build.yml:7:1", "stages"}},
		"no version":      {strings.Replace(good, "version: 2.0\n", "", 1), []string{"version", "2.0"}},
		"later":           {"version: 2.0\nsteps:\n  BUILD:\n    - manifest_checkout: {inputs: {manifest_url: x}}\n", []string{"manifest_checkout"}},
		"several at once": {
			"version: 1.0\nsteps:\n  BUILD:\n    - nothing:\n        a: b\n",
			[]string{`.cloudbuild/build.yml:1:10: version: must be 2.0, found "1.0"`, ".cloudbuild/build.yml:4:7: steps.BUILD[0].nothing: is not known"},
		},
		"a picture":        {"\x89PNG\r\n\x1a\n\x00\x00", []string{".cloudbuild/build.yml"}},
		"a cycle of words": {"version: 2.0\nparams:\n  - name: A\n    value: ${B}\n  - name: B\n    value: ${A}\n" + strings.TrimPrefix(good, "version: 2.0\n"), []string{"A", "B"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repo := s.NewRepository(strings.ReplaceAll(name, " ", "-"))
			if test.file != "" {
				repo.Write(".cloudbuild/build.yml", test.file)
			}
			repo.Commit("init")
			job := create(t, c, fromFile(s, strings.ReplaceAll(name, " ", "-"), repo.URL()))
			run(t, c, &model.RunJobRequestBody{JobId: job})
			r := await(t, c, job, 1)
			if *r.Status != "SCHEDULE_FAILURE" || *r.ExecutionId != "-1" || r.StartTime != nil || r.ErrMsg == nil {
				t.Fatalf("the record is %v", r)
			}
			for _, word := range test.words {
				if !strings.Contains(*r.ErrMsg, word) {
					t.Errorf("the record says %q, not %q", *r.ErrMsg, word)
				}
			}
			checkNoLeak(t, s, strings.ReplaceAll(*r.ErrMsg, repo.URL(), "URL"))
			if log := logOf(t, c, job, 1); !strings.Contains(log, strings.Split(*r.ErrMsg, "\n")[0]) {
				t.Errorf("the log does not say it: %s", log)
			}
		})
	}
}
