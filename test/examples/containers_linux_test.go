package examples_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"atelier/internal/executor/container"
	"atelier/internal/executor/container/podmantest"
	"atelier/internal/server"
	"atelier/internal/server/servertest"
)

// Images of the examples' steps. The tools in them are scripts that stand for the real ones, which would take their packages out of the network.
const (
	nodeImage   = "localhost/examples/node:18"
	mavenImage  = "localhost/examples/maven:3.9"
	pythonImage = "registry.example.org/build/python:3.12" // as an example names it
)

var standIns = map[string]string{
	"npm": `echo "npm $*"
case "$*" in
"run lint") exit 1;;
"run build") mkdir -p dist && echo page > dist/index.html;;
esac`,
	"mvn": `echo "mvn $*"
mkdir -p target/reports target/site/jacoco
echo jar > target/orders.jar
echo '<testsuite name="a"><testcase classname="a" name="one"/></testsuite>' > target/reports/TEST-a.xml
echo '<report name="a"><counter type="LINE" missed="1" covered="3"/></report>' > target/site/jacoco/jacoco.xml`,
	"python3": `echo "python3 $*"
case "$*" in "-m venv .venv") mkdir -p .venv/bin && echo 'python() { python3 "$@"; }' > .venv/bin/activate;;
"-m build --wheel") mkdir -p dist && echo wheel > dist/pytool-1.0-py3-none-any.whl;; esac`,
	"pip": `echo "pip $*"`,
}

// inContainers are the examples that fail on a machine without their tools.
var inContainers = map[string]example{
	"03-npm": {
		status: "SUCCESS", text: []string{"npm run lint", "The build goes on, as the step says.", "npm test"}, outputs: []string{"web-ui.tar.gz"},
	},
	"04-maven": {
		status: "SUCCESS", text: []string{"mvn -B -U package -Dmaven.test.failure.ignore=true -s /", "1 tests in", "Coverage: 75.0% of 4"}, outputs: []string{"orders.jar"},
	},
	"07-python": {
		status: "SUCCESS", text: []string{"pip install -e .[test]", "python3 -m pytest -q", "python3 -m build --wheel"}, outputs: []string{"pytool-1.0-py3-none-any.whl"},
	},
	"09-image": {
		files:  map[string]string{"Dockerfile": "FROM " + podmantest.Small + "\nCOPY README /\n", "test.Dockerfile": "FROM " + podmantest.Small + "\nRUN echo tested\n"},
		status: "SUCCESS", text: []string{"tested", "Pushed "}, outputs: []string{"hello-test.tar"},
	},
}

// TestExamplesInContainers runs those examples in the images that they name, and builds images.
func TestExamplesInContainers(t *testing.T) {
	dir := os.Getenv("ATELIER_EXAMPLES")
	if dir == "" {
		t.Skip("ATELIER_EXAMPLES names no directory with build files")
	}
	programs := t.TempDir()
	for name, script := range standIns {
		if err := os.WriteFile(filepath.Join(programs, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", programs+string(filepath.ListSeparator)+os.Getenv("PATH"))
	engine, registry := podmantest.Start(t), podmantest.StartDistribution(t)
	engine.Import(t, nodeImage, "busybox", "busybox", "bash", "npm")
	engine.Import(t, mavenImage, "busybox", "busybox", "bash", "mvn")
	engine.Import(t, pythonImage, "busybox", "busybox", "bash", "python3", "pip")
	file := filepath.Join(t.TempDir(), "images.yml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "default: tools\nimages: {tools: %s, nodejs18: %s, maven3.9.5-jdk17: %s}\n", podmantest.Tools, nodeImage, mavenImage), 0o600); err != nil {
		t.Fatal(err)
	}
	images, err := container.ReadCatalogue(file)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(c *server.Config) {
		c.Containers = &container.Config{Socket: engine.Socket, Network: "none", Images: images, Pull: container.PullNever}
		c.Images = &container.BuilderConfig{
			Registries: map[string]string{servertest.Region: registry.Host}, Socket: engine.Socket, Network: "none", RegistryConfig: registry.Config(t),
		}
	})
	for name, want := range inContainers {
		if name == "09-image" {
			want.params = map[string]string{"registry": registry.Host}
		}
		t.Run(name, func(t *testing.T) { w.run(t, dir, name, want) })
	}
	if left := engine.Containers(t); len(left) > 0 {
		t.Errorf("the containers %v are left", left)
	}
}
