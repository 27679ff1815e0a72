package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
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

// makeRepository makes a small git repository, unless there is one, and returns its address.
func makeRepository(ctx context.Context, dir string) (string, error) {
	address := "file://" + filepath.ToSlash(dir)
	if _, err := os.Stat(filepath.Join(dir, ".git")); err == nil {
		return address, nil
	}
	files := map[string]string{
		"README.md":             "# Hello\n\nA repository for trying out Atelier.\n",
		".cloudbuild/build.yml": fmt.Sprintf(demoBuildFile, address),
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
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
		cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("git %s: %w: %s", args[0], err, bytes.TrimSpace(out))
		}
	}
	return address, nil
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

// makeTask creates the build task, or finds the one of an earlier demo.
func (d *demo) makeTask(ctx context.Context) error {
	var list struct {
		Jobs []struct {
			ID   string `json:"id"`
			Name string `json:"job_name"`
		} `json:"jobs"`
	}
	if _, err := d.client.call(ctx, http.MethodGet, "/v1/job/"+d.project+"/list", map[string][]string{"search": {demoTask}}, nil, &list); err != nil {
		return err
	}
	for _, job := range list.Jobs {
		if job.Name == demoTask {
			d.job = job.ID
			return nil
		}
	}
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
	var made struct {
		Result struct {
			JobID string `json:"job_id"`
		} `json:"result"`
	}
	if _, err := d.client.call(ctx, http.MethodPost, "/v1/job/create", nil, body, &made); err != nil {
		return err
	}
	d.job = made.Result.JobID
	return nil
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

// writeEnv writes what other programs need to know into a file that a shell can read. It is whole from the moment it is there.
func (d *demo) writeEnv() error {
	var b strings.Builder
	for _, v := range [][2]string{
		{"ATELIER_ENDPOINT", d.server.URL()},
		{"ATELIER_REGION", d.config.Region},
		{"HUAWEICLOUD_SDK_AK", d.client.key.Access},
		{"HUAWEICLOUD_SDK_SK", d.client.key.Secret},
		{"HUAWEICLOUD_SDK_PROJECT_ID", d.region},
		{"ATELIER_PROJECT_ID", d.project},
		{"ATELIER_JOB_ID", d.job},
		{"ATELIER_BUILD_NO", d.number},
		{"ATELIER_REPO_URL", d.repo},
		{"ATELIER_USER", demoUser},
		{"ATELIER_PASSWORD", d.password},
		{"ATELIER_DOMAIN", d.config.Domain},
	} {
		fmt.Fprintf(&b, "export %s='%s'\n", v[0], strings.ReplaceAll(v[1], "'", `'\''`))
	}
	f, err := os.CreateTemp(d.config.DataDir, "demo.env.") // with mode 0600
	if err != nil {
		return err
	}
	_, err = f.WriteString(b.String())
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), d.envFile())
}

func (d *demo) envFile() string { return filepath.Join(d.config.DataDir, "demo.env") }

// explain says what to do next.
func (d *demo) explain() {
	curl := "curl -s"
	if d.config.TLSSelfSigned {
		cert, _ := server.SelfSignedFiles(d.config.DataDir)
		curl += " --cacert " + cert
	}
	d.say(`
The server stays up until Ctrl-C.

  console      %[1]s/
  user         %[2]s, password %[3]s, domain %[4]s
  access key   %[5]s
  secret key   %[6]s
  all of it    source %[7]s

Ask for the record with curl:

  source %[7]s
  token=$(%[8]s -D - -o /dev/null $ATELIER_ENDPOINT/v3/auth/tokens -H 'Content-Type: application/json' -d '{"auth":{
    "identity":{"methods":["hw_ak_sk"],"hw_ak_sk":{"access":{"key":"'$HUAWEICLOUD_SDK_AK'"},"secret":{"key":"'$HUAWEICLOUD_SDK_SK'"}}},
    "scope":{"project":{"name":"'$ATELIER_REGION'"}}}}' | tr -d '\r' | sed -n 's/^X-Subject-Token: //Ip')
  %[8]s -H "X-Auth-Token: $token" $ATELIER_ENDPOINT/v3/jobs/$ATELIER_JOB_ID/$ATELIER_BUILD_NO/record-info

Or with the official Go SDK:

  auth := basic.NewCredentialsBuilder().WithAk(os.Getenv("HUAWEICLOUD_SDK_AK")).WithSk(os.Getenv("HUAWEICLOUD_SDK_SK")).
      WithProjectId(os.Getenv("HUAWEICLOUD_SDK_PROJECT_ID")).Build()
  client := codeartsbuild.NewCodeArtsBuildClient(codeartsbuild.CodeArtsBuildClientBuilder().
      WithEndpoint(os.Getenv("ATELIER_ENDPOINT")).WithCredential(auth).Build())
  record, err := client.ShowRecordInfo(&model.ShowRecordInfoRequest{JobId: "%[9]s", BuildNo: %[10]s})
`, d.server.URL(), demoUser, d.password, d.config.Domain, d.client.key.Access, d.client.key.Secret, d.envFile(), curl, d.job, d.number)
}
