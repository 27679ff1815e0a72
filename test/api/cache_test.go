package api_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/cache"
	"atelier/internal/executor/host"
	"atelier/internal/needs"
	"atelier/internal/server"
	"atelier/internal/server/servertest"
)

// files are what a loopback server has, by path. It counts what it was asked for.
type files struct {
	url     string
	content map[string][]byte

	mu    sync.Mutex
	asked int
}

func serveFiles(t *testing.T, content map[string][]byte) *files {
	f := &files{content: content}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.asked++
		body, ok := f.content[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(s.Close)
	f.url = s.URL
	return f
}

// questions returns how often the server was asked since the last call.
func (f *files) questions() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.asked
	f.asked = 0
	return n
}

func oneStep(step string) string {
	return "version: 2.0\nsteps:\n  BUILD:\n    - " + step + "\n"
}

// cached is a task whose build file the test changes.
type cached struct {
	*servertest.Server
	job   string
	write func(name, content string)
}

func newCached(t *testing.T, s *servertest.Server, name string, sources map[string]string) cached {
	repo := s.NewRepository(name)
	for file, content := range sources {
		repo.Write(file, content)
	}
	repo.Commit("init")
	return cached{s, create(t, s.Client(s.Developer), fromFile(s, name, repo.URL())), func(name, content string) {
		repo.Write(name, content)
		repo.Commit("change")
	}}
}

// build runs a build of the file to its end and returns its log, which has to have what is wanted and nothing of the rest.
func (c cached) build(t *testing.T, file, status, want string, not ...string) string {
	t.Helper()
	c.write(".cloudbuild/build.yml", file)
	client := c.Client(c.Developer)
	number := run(t, client, &model.RunJobRequestBody{JobId: c.job})
	ended := await(t, client, c.job, number)
	log := logOf(t, client, c.job, number)
	if *ended.Status != status || !strings.Contains(log, want) {
		t.Errorf("%s, and %q is to be there:\n%s", *ended.Status, want, log)
	}
	for _, text := range not {
		if strings.Contains(log, text) {
			t.Errorf("%q is there:\n%s", text, log)
		}
	}
	return log
}

func longBuilds(c *server.Config) { c.BuildTimeout = 10 * time.Minute }

// isolated keeps the steps from the server as far as the machine can.
func isolated(c *server.Config) {
	c.Isolation = host.Isolation{Want: host.Auto, Users: host.Users{First: 61600, Last: 61609}}
}

// TestGoCache checks that a second build gets its modules, and what was compiled of them, from the cache.
func TestGoCache(t *testing.T) {
	t.Parallel()
	t.Run("trusted", func(t *testing.T) {
		t.Parallel()
		testGoCache(t, servertest.Start(t, longBuilds))
	})
	t.Run("isolated", func(t *testing.T) {
		t.Parallel()
		needs.Program(t, "bwrap")
		testGoCache(t, servertest.Start(t, longBuilds, isolated))
	})
}

func testGoCache(t *testing.T, s *servertest.Server) {
	var module bytes.Buffer
	z := zip.NewWriter(&module)
	for name, content := range map[string]string{"go.mod": "module example.org/dep\n", "dep.go": "package dep\n\nfunc Say() { println(\"from the module\") }\n"} {
		w, err := z.Create("example.org/dep@v1.0.0/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	proxy := serveFiles(t, map[string][]byte{
		"/example.org/dep/@v/v1.0.0.info": []byte(`{"Version":"v1.0.0","Time":"2024-01-01T00:00:00Z"}`),
		"/example.org/dep/@v/v1.0.0.mod":  []byte("module example.org/dep\n"),
		"/example.org/dep/@v/v1.0.0.zip":  module.Bytes(),
	})
	step := func(more, then string) string {
		return oneStep("go: {inputs: {" + more + "command: 'export GOPROXY=" + proxy.url + " GOSUMDB=off GOFLAGS=-mod=mod GOTOOLCHAIN=local; go build -v -o app . && ./app" + then + "'}}")
	}
	task := newCached(t, s, "go-cache", map[string]string{
		"go.mod": "module app\n\ngo 1.21\n\nrequire example.org/dep v1.0.0\n", "main.go": "package main\n\nimport \"example.org/dep\"\n\nfunc main() { dep.Say() }\n",
	})
	const compiles = "\nexample.org/dep\n"
	log := task.build(t, step("", ""), "SUCCESS", "Cache go: Saved", "Cache go: Restored")
	if n := proxy.questions(); n == 0 || !strings.Contains(log, "Cache go: It is empty.") || !strings.Contains(log, "example.org/dep\n") {
		t.Errorf("the first build asked %d times\n%s", n, log)
	}
	task.build(t, step("", "; chmod -R u+w \"$GOMODCACHE\"; rm -rf \"$GOMODCACHE\"; false"), "FAILURE", "from the module", "Cache go: Saved")
	proxy.questions()
	log = task.build(t, step("", ""), "SUCCESS", "Cache go: Restored")
	if n := proxy.questions(); n != 0 || strings.Contains(log, "] : example.org/dep\n") || strings.Contains(log, compiles) {
		t.Errorf("the second build asked %d times\n%s", n, log)
	}
	task.build(t, step("cache: false, ", ""), "SUCCESS", "from the module", "Cache go")
	if proxy.questions() == 0 {
		t.Error("a build without the cache used one")
	}
}

// TestNpmCache checks the same of npm.
func TestNpmCache(t *testing.T) {
	t.Parallel()
	needs.Program(t, "npm")
	t.Run("trusted", func(t *testing.T) {
		t.Parallel()
		testNpmCache(t, servertest.Start(t, longBuilds))
	})
	t.Run("isolated", func(t *testing.T) {
		t.Parallel()
		needs.Program(t, "bwrap")
		testNpmCache(t, servertest.Start(t, longBuilds, isolated))
	})
}

func testNpmCache(t *testing.T, s *servertest.Server) {
	pack := archive(t, map[string]string{"package/package.json": `{"name":"dep","version":"1.0.0","main":"index.js"}`, "package/index.js": "console.log('from the package')\n"})
	registry := serveFiles(t, map[string][]byte{"/dep/-/dep-1.0.0.tgz": pack})
	sum := sha512.Sum512(pack)
	task := newCached(t, s, "npm-cache", map[string]string{
		"app.js":       "require('dep')\n",
		"package.json": `{"name":"app","version":"1.0.0","dependencies":{"dep":"1.0.0"}}`,
		"package-lock.json": fmt.Sprintf(`{"name":"app","version":"1.0.0","lockfileVersion":3,"packages":{"":{"name":"app","version":"1.0.0","dependencies":{"dep":"1.0.0"}},
			"node_modules/dep":{"version":"1.0.0","resolved":"%s/dep/-/dep-1.0.0.tgz","integrity":"sha512-%s"}}}`, registry.url, base64.StdEncoding.EncodeToString(sum[:])),
	})
	file := oneStep("npm: {inputs: {command: 'npm ci --no-audit --no-fund --no-update-notifier --registry " + registry.url + " && node app.js'}}")
	for i, want := range []string{"Cache npm: Saved", "Cache npm: Restored"} {
		log := task.build(t, file, "SUCCESS", want)
		if n := registry.questions(); (n == 0) != (i > 0) || !strings.Contains(log, "from the package") {
			t.Errorf("build %d asked %d times\n%s", i+1, n, log)
		}
	}
}

func archive(t *testing.T, content map[string]string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, text := range content {
		if err := w.WriteHeader(&tar.Header{Name: path.Clean(name), Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestCacheSwitches checks who has a cache and who has not, and what becomes of one after a restart and without any.
func TestCacheSwitches(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	task := newCached(t, s, "switches", nil)
	const count = `command: 'echo x >> "$PIP_CACHE_DIR/count"; echo "$(wc -l < "$PIP_CACHE_DIR/count") builds"'`
	task.build(t, oneStep("python: {inputs: {"+count+"}}"), "SUCCESS", "1 builds\n")
	task.build(t, oneStep("python: {inputs: {"+count+"}}"), "SUCCESS", "2 builds\n")
	s.Restart()
	task.build(t, oneStep("python: {inputs: {"+count+"}}\n    - sh: {inputs: {command: 'echo \"<$PIP_CACHE_DIR>\"'}}"), "SUCCESS", "3 builds\n", "</")
	task.build(t, oneStep("python: {inputs: {ignore_fail: true, "+strings.TrimSuffix(count, "'")+"; false'}}"), "SUCCESS", "Cache pip: Not saved, because a step that uses it failed.")
	task.build(t, oneStep("python: {inputs: {"+count+"}}"), "SUCCESS", "4 builds\n")
	task.build(t, oneStep("maven: {inputs: {command: 'echo \"<$MAVEN_OPTS>\"'}}"), "SUCCESS", "<>\n", "Cache maven")
	task.build(t, oneStep("maven: {inputs: {cache: true, command: 'echo \"<$MAVEN_OPTS>\"'}}"), "SUCCESS", "<-Dmaven.repo.local="+s.Config.DataDir)
	task.build(t, oneStep("maven: {inputs: {cache: 3, command: mvn}}"), "SCHEDULE_FAILURE", `build.yml:4:31: steps.BUILD[0].maven.inputs.cache: must be true or false, found "3"`)

	s.Config.CacheLimit = 0
	s.Restart()
	task.build(t, oneStep("python: {inputs: {command: 'echo \"<$PIP_CACHE_DIR>\"'}}"), "SUCCESS", "<>\n", "Cache pip")
}

// TestCacheTogether checks builds at the same time, of two tasks of one tenant, and an operator who clears the cache beside them.
func TestCacheTogether(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, func(c *server.Config) { c.Slots = 2 })
	client := s.Client(s.Developer)
	task := func(name, command string) string {
		body := shell(s, name, `cd "$PIP_CACHE_DIR"; `+command)
		body.Steps[0].ModuleId = "python"
		return create(t, client, body)
	}
	start := func(job string) int { return run(t, client, &model.RunJobRequestBody{JobId: job}) }
	ends := func(job string, number int, want string) {
		t.Helper()
		if ended := await(t, client, job, number); *ended.Status != "SUCCESS" {
			t.Error(*ended.Status)
		}
		if log := logOf(t, client, job, number); !strings.Contains(log, want) {
			t.Errorf("%q is missing:\n%s", want, log)
		}
	}
	// Each writes a file when both have begun, and looks around when both have written theirs.
	meet := t.TempDir()
	together := func(name, other string) string {
		wait := "touch '" + meet + "/%[1]s-" + name + "'; until [ -e '" + meet + "/%[1]s-" + other + "' ]; do sleep 0.01; done; "
		return task(name, fmt.Sprintf(wait, "begun")+"echo "+name+" > "+name+"; "+fmt.Sprintf(wait, "written")+`echo "there is <$(ls)>"`)
	}
	one, two := together("one", "two"), together("two", "one")
	first, second := start(one), start(two)
	ends(one, first, "there is <one>\n")
	ends(two, second, "there is <two>\n")
	look := task("look", `echo "there is <$(cat *)>" | tr "\n" " "; touch three`)
	ends(look, start(look), "there is <one two>")

	gate := newGate(t)
	held := task("held", "echo 'it waits'; "+gate.wait()+"; touch four")
	number := start(held)
	awaitThat(t, client, held, number, func(model.RecordInfoResult) bool { return strings.Contains(logOf(t, client, held, number), "it waits") })
	cleared, err := cache.Clear(server.CacheDir(s.Config.DataDir), s.DomainID, "", "")
	if err != nil || len(cleared) != 1 || cleared[0].Tool != "pip" {
		t.Error(cleared, err)
	}
	gate.open(t)
	ends(held, number, "Cache pip: Saved")
	ends(look, start(look), "Cache pip: Restored")
	list := task("list", `echo "there is <$(ls | tr "\n" " ")>"`)
	ends(list, start(list), "there is <four three >")
}
