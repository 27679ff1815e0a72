package sdk_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/server"
	"atelier/internal/server/servertest"
)

// referencePage is the variable with the path of the vendor's reference page, on machines that have it. The page is not ours to copy.
const referencePage = "ATELIER_REFERENCE_PAGE"

// TestSample runs programs that print a record, in all the ways in which they can be told where Atelier is.
func TestSample(t *testing.T) {
	t.Parallel()
	t.Run("an explicit endpoint over plain HTTP", func(t *testing.T) {
		t.Parallel()
		s := servertest.Start(t)
		b := makeBuild(t, s, "exit 7")
		printed := runSample(t, s, b, []string{"ATELIER_ENDPOINT=" + s.URL(), "HUAWEICLOUD_SDK_PROJECT_ID=" + s.RegionID})
		got := wantPrinted(t, s, b, printed)
		if got["status"] != "FAILURE" || got["err_msg"] != `Step "Release" failed with exit code 7.` || got["tag"] != "v1.0" {
			t.Errorf("the record is not that of the build: %s", printed)
		}
	})
	t.Run("environment variables over TLS", func(t *testing.T) {
		t.Parallel()
		s := servertest.Start(t, selfSigned)
		b := makeBuild(t, s, "true")
		wantPrinted(t, s, b, runSample(t, s, b, whereIs(s)))
	})
	t.Run("a regions file over TLS", func(t *testing.T) {
		t.Parallel()
		s := servertest.Start(t, selfSigned, func(c *server.Config) { c.Region = "my-own-1" })
		b := makeBuild(t, s, "true")
		file := filepath.Join(t.TempDir(), "regions.yaml")
		if err := os.WriteFile(file, []byte("CODEARTSBUILD:\n  - id: my-own-1\n    endpoint: '"+s.URL()+"'\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		wantPrinted(t, s, b, runSample(t, s, b, []string{
			"HUAWEICLOUD_SDK_REGIONS_FILE=" + file, "HUAWEICLOUD_SDK_IAM_ENDPOINT=" + s.URL(), "SSL_CERT_FILE=" + s.CertFile(),
		}))
	})
	t.Run("the page's own program, unchanged", func(t *testing.T) {
		t.Parallel()
		path := os.Getenv(referencePage)
		if path == "" {
			t.Skip(referencePage + " is not set: there is no reference page on this machine")
		}
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s := servertest.Start(t, selfSigned)
		b := makeBuild(t, s, "true")
		text, err := sampleOf(string(page), servertest.Region, b.job, strconv.Itoa(int(b.number)))
		if err != nil {
			t.Fatal(err)
		}
		// Outside of the repository; its imports are found in the module that the test runs in.
		file := filepath.Join(t.TempDir(), "main.go")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		program, err := goBuild("page", file)
		if err != nil {
			t.Fatal(err)
		}
		wantPrinted(t, s, b, runProgram(t, keyOf(s), whereIs(s), program))
	})
}

func selfSigned(c *server.Config) { c.TLSSelfSigned = true }

// keyOf returns the variables in which the documented samples look for their key.
func keyOf(s *servertest.Server) []string {
	return []string{"CLOUD_SDK_AK=" + s.Developer.Key.Access, "CLOUD_SDK_SK=" + s.Developer.Key.Secret}
}

// whereIs returns the variables that point a program that was written for the vendor's cloud at a server.
func whereIs(s *servertest.Server) []string {
	return []string{
		"HUAWEICLOUD_SDK_REGION_CODEARTSBUILD_" + strings.ToUpper(strings.ReplaceAll(s.Config.Region, "-", "_")) + "=" + s.URL(),
		"HUAWEICLOUD_SDK_IAM_ENDPOINT=" + s.URL(),
		"SSL_CERT_FILE=" + s.CertFile(),
	}
}

// runSample runs the program of ./sample with the developer's key, and with env to tell it where the server is.
func runSample(t *testing.T, s *servertest.Server, b madeBuild, env []string) string {
	t.Helper()
	program, err := ownSample()
	if err != nil {
		t.Fatal(err)
	}
	return runProgram(t, keyOf(s), env, program, s.Config.Region, b.job, strconv.Itoa(int(b.number)))
}

// runProgram runs a program with nothing but a key and env in its environment, and returns what it prints.
func runProgram(t *testing.T, key, env []string, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var stderr strings.Builder
	cmd.Stderr, cmd.Env = &stderr, slices.Concat(key, env, []string{"GORACE=atexit_sleep_ms=0"})
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, stderr.String())
	}
	return string(out)
}

// wantPrinted checks what a program has printed of a record against the documented form of the same record: every field that has a
// value is there, with that value, under the SDK's name for it. It returns the fields.
func wantPrinted(t *testing.T, s *servertest.Server, b madeBuild, printed string) map[string]any {
	t.Helper()
	name, text, _ := strings.Cut(printed, " ")
	var got, want struct {
		Success bool
		Message *string
		Result  map[string]any
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil || name != "ShowRecordInfoResponse" {
		t.Fatalf("no record was printed: %v\n%s", err, printed)
	}
	documented := s.Call(s.Developer, "GET", b.path(), "")
	if err := json.Unmarshal([]byte(documented.Body), &want); err != nil {
		t.Fatalf("%v\n%s", err, documented.Body)
	}
	if len(want.Result) != 33 {
		t.Errorf("the documented form has %d fields, want 33: %s", len(want.Result), documented.Body)
	}
	filled := make(map[string]any)
	for field, value := range want.Result {
		if value != nil {
			filled[snakeCase(field)] = value
		}
	}
	want.Result = filled
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the printed record differs from the documented form:\n%s", diff)
	}
	for _, field := range []string{"id", "repo_id", "branch", "tag", "commit", "duration", "use_private_slave", "finish_time"} {
		if _, ok := got.Result[field]; !ok {
			t.Errorf("the printed record has no %s: %s", field, printed)
		}
	}
	return got.Result
}

// snakeCase returns the SDK's name of a documented field.
func snakeCase(field string) string {
	var b strings.Builder
	for _, c := range field {
		if c >= 'A' && c <= 'Z' {
			b.WriteByte('_')
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	return b.String()
}
