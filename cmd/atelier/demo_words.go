package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"atelier/internal/server"
)

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
		fmt.Fprintf(&b, "export %s=%s\n", v[0], shellWord(v[1]))
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

// shellWord writes text so that a shell takes it as it is.
func shellWord(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// explain says what to do next.
func (d *demo) explain() {
	curl := "curl -s"
	if d.config.TLSSelfSigned {
		cert, _ := server.SelfSignedFiles(d.config.DataDir)
		curl += " --cacert " + shellWord(cert)
	}
	d.say(`
The server stays up until Ctrl-C.

  console      %[1]s/
  user         %[2]s, password %[3]s, domain %[4]s
  access key   %[5]s
  secret key   %[6]s
  all of it    . %[7]s

Ask for the record with curl:

  . %[7]s
  token=$(%[8]s -D - -o /dev/null $ATELIER_ENDPOINT/v3/auth/tokens -H 'Content-Type: application/json' -d '{"auth":{
    "identity":{"methods":["hw_ak_sk"],"hw_ak_sk":{"access":{"key":"'$HUAWEICLOUD_SDK_AK'"},"secret":{"key":"'$HUAWEICLOUD_SDK_SK'"}}},
    "scope":{"project":{"name":"'$ATELIER_REGION'"}}}}' | tr -d '\r' | awk 'tolower($1) == "x-subject-token:" {print $2}')
  %[8]s -H "X-Auth-Token: $token" $ATELIER_ENDPOINT/v3/jobs/$ATELIER_JOB_ID/$ATELIER_BUILD_NO/record-info

Or with the official Go SDK:

  auth := basic.NewCredentialsBuilder().WithAk(os.Getenv("HUAWEICLOUD_SDK_AK")).WithSk(os.Getenv("HUAWEICLOUD_SDK_SK")).
      WithProjectId(os.Getenv("HUAWEICLOUD_SDK_PROJECT_ID")).Build()
  client := codeartsbuild.NewCodeArtsBuildClient(codeartsbuild.CodeArtsBuildClientBuilder().
      WithEndpoint(os.Getenv("ATELIER_ENDPOINT")).WithCredential(auth).Build())
  record, err := client.ShowRecordInfo(&model.ShowRecordInfoRequest{JobId: "%[9]s", BuildNo: %[10]s})
`, d.server.URL(), demoUser, d.password, d.config.Domain, d.client.key.Access, d.client.key.Secret, shellWord(d.envFile()), curl, d.job, d.number)
}
