package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"atelier/internal/server"
)

// demoBuildFile is the build file of the demo's repository.
const demoBuildFile = `version: 2.0
params:
  - name: greeting
    value: Hello
steps:
  PRE_BUILD:
    - checkout:
        name: Code
        inputs:
          url: %s
          branch: ${codeBranch}
  BUILD:
    - sh:
        name: Greet
        inputs:
          command: |
            echo "${greeting} from build ${BUILDNUMBER} of commit ${COMMIT_ID_SHORTER}"
            echo "a private parameter is hidden: ${API_TOKEN}"
    - sh:
        name: Count
        inputs:
          command: |
            git ls-files | while read -r file; do wc -l "$file"; done
`

// makeRepository makes a small git repository, unless there is one, and returns its address. It is whole from the moment it is
// there.
func makeRepository(ctx context.Context, dir string) (string, error) {
	address := (&url.URL{Scheme: "file", Path: filepath.ToSlash(dir)}).String()
	if _, err := os.Stat(dir); err == nil {
		return address, nil
	}
	unfinished := dir + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return "", err
	}
	files := map[string]string{
		"README.md":             "# Hello\n\nA repository for trying out Atelier.\n",
		".cloudbuild/build.yml": fmt.Sprintf(demoBuildFile, address),
	}
	for name, text := range files {
		path := filepath.Join(unfinished, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return "", err
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=master"},
		{"add", "--all"},
		{"-c", "user.name=Atelier", "-c", "user.email=demo@localhost", "commit", "--quiet", "--message", "Say hello"},
	} {
		cmd := exec.CommandContext(ctx, "git", append([]string{"-C", unfinished}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
		}
	}
	return address, os.Rename(unfinished, dir)
}

// trusting returns how to reach the demo's own server, whose certificate may be its own.
func trusting(c server.Config) (http.RoundTripper, error) {
	if !c.TLSSelfSigned && c.TLSCert == "" {
		return http.DefaultTransport, nil
	}
	certFile := c.TLSCert
	if c.TLSSelfSigned {
		certFile, _ = server.SelfSignedFiles(c.DataDir)
	}
	pem, err := os.ReadFile(certFile)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, err
	}
	pool.AppendCertsFromPEM(pem)
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}, nil
}

// parameter returns a parameter of a task as the API wants it.
func parameter(properties ...[2]string) map[string]any {
	var params []map[string]string
	for _, p := range properties {
		params = append(params, map[string]string{"name": p[0], "value": p[1]})
	}
	return map[string]any{"name": "hudson.model.StringParameterDefinition", "params": params}
}

// makeTask creates the build task. One of an earlier demo, which may have had another repository, is brought up to date.
func (d *demo) makeTask(ctx context.Context) error {
	body := map[string]any{
		"job_name": demoTask, "project_id": d.project, "arch": hostArch(), "build_config_type": "YAML", "steps": []any{},
		"scms": []any{map[string]any{
			"scm_type": "codehub", "url": d.repo, "branch": "master", "build_type": "branch", "repo_id": "1", "repo_name": "hello",
		}},
		"parameters": []any{
			parameter([2]string{"name", "codeBranch"}, [2]string{"type", "normalparam"}, [2]string{"defaultValue", "master"}),
			parameter([2]string{"name", "API_TOKEN"}, [2]string{"defaultValue", newPassword()}, [2]string{"sensitiveVar", "true"}),
		},
	}
	var list struct {
		Jobs []struct {
			ID   string `json:"id"`
			Name string `json:"job_name"`
		} `json:"jobs"`
	}
	if _, err := d.client.call(ctx, http.MethodGet, "/v1/job/"+d.project+"/list", map[string][]string{"search": {demoTask}}, nil, &list); err != nil {
		return err
	}
	path := "/v1/job/create"
	for _, job := range list.Jobs {
		if job.Name == demoTask {
			path = "/v1/job/update"
			body["job_id"] = job.ID
		}
	}
	var made struct {
		Result struct {
			JobID string `json:"job_id"`
		} `json:"result"`
	}
	_, err := d.client.call(ctx, http.MethodPost, path, nil, body, &made)
	d.job = made.Result.JobID
	return err
}

// hostArch is this machine's architecture in the API's words.
func hostArch() string {
	if runtime.GOARCH == "arm64" {
		return "arm"
	}
	return "x86-64"
}

// start starts a build.
func (d *demo) start(ctx context.Context) error {
	var started struct {
		Number string `json:"actual_build_number"`
		Daily  string `json:"daily_build_number"`
	}
	if _, err := d.client.call(ctx, http.MethodPost, "/v1/job/execute", nil, map[string]any{"job_id": d.job}, &started); err != nil {
		return err
	}
	d.number = started.Number
	d.say("Build %s (%s) of task %s has started.\n", d.number, started.Daily, d.job)
	return nil
}

// show prints the record of the build on standard output, and returns its status.
func (d *demo) show(ctx context.Context) (string, error) {
	var info struct {
		Result struct {
			Status string `json:"status"`
		} `json:"result"`
	}
	body, err := d.client.call(ctx, http.MethodGet, "/v3/jobs/"+d.job+"/"+d.number+"/record-info", nil, nil, &info)
	if err != nil {
		return "", err
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, body, "", "  "); err != nil {
		return "", err
	}
	d.say("")
	_, err = fmt.Fprintln(d.std.Out, pretty.String())
	return info.Result.Status, err
}
