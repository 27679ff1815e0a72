package container

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"atelier/internal/build"
	"atelier/internal/executor"
	"atelier/internal/executor/container/podmantest"
	"atelier/internal/fault"
	"atelier/internal/orphan"
	"atelier/internal/plan"
)

func TestBuilder(t *testing.T) {
	t.Parallel()
	engine := podmantest.Start(t)
	b := &builderTest{engine: engine, registry: podmantest.StartDistribution(t)}
	t.Run("pushes", b.pushes)
	t.Run("leaves out what is ignored", b.ignores)
	t.Run("pushes to one address from several builds", b.together)
	t.Run("fails", b.fails)
	t.Run("is stopped", b.stops)
	t.Run("is killed", b.recovers)
	t.Run("carries out docker commands", b.docker)
	t.Run("keeps the images of builds apart", b.apart)
	t.Run("refuses docker commands", b.dockerFails)
}

// TestBuilderEngineIsRestarted checks that a step says that the engine was away, and that what a build has there is removed when it is back.
func TestBuilderEngineIsRestarted(t *testing.T) {
	t.Parallel()
	engine := podmantest.Start(t)
	builder, err := NewBuilder(t.Context(), BuilderConfig{Dir: t.TempDir(), Socket: engine.Socket, Network: "none", Pull: PullMissing})
	if err != nil {
		t.Fatal(err)
	}
	defer builder.Close()
	want, _ := wanted()
	images := builder.Open(want.ImagesOf)
	files := workspace(t, map[string]string{"Dockerfile": "FROM " + podmantest.Small + "\nRUN echo made > /made\n"})
	if err := commands(t, images, files, io.Discard, "docker build -t made ."); err != nil {
		t.Fatal(err)
	}
	engine.Stop()
	for _, command := range []string{"docker build -t made .", "docker pull 127.0.0.1:1/none", "docker save -o made.tar made"} {
		if err := commands(t, images, files, io.Discard, command); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "the container engine did not answer") {
			t.Errorf("%s: %v", command, err)
		}
	}
	gone, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := images.Close(gone); err == nil {
		t.Error("a build was closed without its engine")
	}
	closed := make(chan error)
	go func() { closed <- images.Close(t.Context()) }()
	engine.Restart(t)
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if left := engine.Images(t); len(left) > 0 {
		t.Errorf("the images %v are left", left)
	}
}

type builderTest struct {
	engine   *podmantest.Engine
	registry *podmantest.Distribution
}

// builder returns a builder whose build is over in a directory of its own, and who leaves nothing behind.
func (b *builderTest) builder(t *testing.T, options ...func(*BuilderConfig)) *Builder {
	t.Helper()
	config := BuilderConfig{
		Dir: t.TempDir(), Region: "here", Registries: map[string]string{"here": b.registry.Host, "there": b.registry.Host + "/mirror"},
		Socket: b.engine.Socket, Network: "none", RegistryConfig: b.registry.Config(t),
	}
	for _, option := range options {
		option(&config)
	}
	builder, err := NewBuilder(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := builder.Close(); err != nil {
			t.Error(err)
		}
		b.nothingIsLeft(t)
	})
	return builder
}

func (b *builderTest) nothingIsLeft(t *testing.T) {
	t.Helper()
	if left := b.engine.Images(t); len(left) > 0 {
		t.Errorf("the images %v are left", left)
	}
	if left := b.engine.Podman(t, "ps", "--all", "--external", "--quiet"); left != "" {
		t.Errorf("the containers %s are left", left)
	}
}

// workspace returns a directory with files.
func workspace(t *testing.T, files map[string]string) executor.Directory {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return executor.Directory{Parent: root, Name: "."}
}

// imageWish is what a build wants.
type imageWish struct {
	executor.ImagesOf
	Spec   plan.ImageBuild
	Labels map[string]string
}

// wanted returns the wish for team/app:1 and a place for what was pushed.
func wanted() (imageWish, *[]build.Output) {
	pushed := new([]build.Output)
	return imageWish{
		ImagesOf: executor.ImagesOf{Record: uuid.NewString(), Pushed: func(reference, digest string) error {
			*pushed = append(*pushed, build.Output{Reference: reference, Digest: digest})
			return nil
		}},
		Spec: plan.ImageBuild{Organization: "team", Name: "app", Tag: "1", Dockerfile: "Dockerfile"},
	}, pushed
}

// buildImage does what a build wants, and removes what is left of it.
func buildImage(ctx context.Context, b *Builder, files executor.Files, want imageWish, out io.Writer) error {
	images := b.Open(want.ImagesOf)
	err := images.Build(ctx, files, want.Spec, want.Labels, out)
	return errors.Join(err, images.Close(context.WithoutCancel(ctx)))
}

func (b *builderTest) pushes(t *testing.T) {
	files := workspace(t, map[string]string{
		"app/docker/Dockerfile": "FROM " + podmantest.Small + " AS first\nRUN echo built > /made\nFROM " + podmantest.Small +
			"\nCOPY --from=first /made /made\nCOPY run.sh /run.sh\nRUN cat /made && /run.sh\n",
		"app/run.sh": "#!/bin/sh\necho it runs\n",
	})
	want, pushed := wanted()
	want.Spec.Context, want.Spec.Dockerfile, want.Spec.Regions = "app", "docker/Dockerfile", []string{"here", "there"}
	want.Labels = map[string]string{"org.opencontainers.image.version": "20260101.1"}
	var out bytes.Buffer
	if err := buildImage(t.Context(), b.builder(t), files, want, &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	here, labels := b.registry.Digest(t, "team/app", "1")
	there, _ := b.registry.Digest(t, "mirror/team/app", "1")
	all := []build.Output{{Reference: b.registry.Host + "/team/app:1", Digest: here}, {Reference: b.registry.Host + "/mirror/team/app:1", Digest: there}}
	if here == "" || there == "" || !slices.Equal(*pushed, all) {
		t.Errorf("pushed were %v, want %v", *pushed, all)
	}
	if labels["org.opencontainers.image.version"] != "20260101.1" || labels["atelier.record"] != want.Record {
		t.Error("the labels are", labels)
	}
	for _, text := range []string{"\nbuilt\n", "\nit runs\n", "Pushed " + b.registry.Host + "/team/app:1, digest " + here + "\n"} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("%q is not in\n%s", text, &out)
		}
	}
	if strings.Contains(out.String(), podmantest.RegistryPassword) {
		t.Error("the password is in the output")
	}
}

// together checks that each of several builds that push to one address pushes its own image.
func (b *builderTest) together(t *testing.T) {
	builder := b.builder(t)
	results := make(chan error)
	const builds = 4
	for range builds {
		go func() {
			want, pushed := wanted()
			want.Spec.Name = "busy"
			var out bytes.Buffer
			err := buildImage(t.Context(), builder, workspace(t, map[string]string{"Dockerfile": "FROM " + podmantest.Small + "\n"}), want, &out)
			if err == nil && len(*pushed) == 1 {
				_, labels := b.registry.Digest(t, "team/busy", strings.TrimPrefix((*pushed)[0].Digest, "@"))
				if labels["atelier.record"] != want.Record {
					err = fmt.Errorf("the image of %s was pushed as that of %s", labels["atelier.record"], want.Record)
				}
			}
			results <- err
		}()
	}
	for range builds {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

func (b *builderTest) ignores(t *testing.T) {
	files := workspace(t, map[string]string{
		"Dockerfile":    "FROM " + podmantest.Small + "\nCOPY . /all\nRUN cd /all && find . -type f | sort && readlink link\n",
		".dockerignore": "# a comment\n*.tmp\nbig\n!big/wanted\nDockerfile\n", "a.tmp": "", "b.txt": "", "big/unwanted": "", "big/wanted": "", "sub/c.tmp": "",
	})
	if err := os.Symlink("/etc/passwd", filepath.Join(files.Parent.Name(), "link")); err != nil {
		t.Fatal(err)
	}
	want, _ := wanted()
	var out bytes.Buffer
	if err := buildImage(t.Context(), b.builder(t), files, want, &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if !strings.Contains(out.String(), "./.dockerignore\n./b.txt\n./big/wanted\n./sub/c.tmp\n/etc/passwd\n") &&
		!strings.Contains(out.String(), "./.dockerignore\n./Dockerfile\n./b.txt\n./big/wanted\n./sub/c.tmp\n/etc/passwd\n") {
		t.Error(out.String())
	}
}

func (b *builderTest) fails(t *testing.T) {
	good := workspace(t, map[string]string{"Dockerfile": "FROM " + podmantest.Small + "\n"})
	for name, test := range map[string]struct {
		dockerfile string
		change     func(*imageWish, *BuilderConfig)
		want       string
	}{
		"command":     {dockerfile: "FROM " + podmantest.Small + " AS a\nRUN echo > /x\nFROM " + podmantest.Small + "\nCOPY --from=a /x /\nRUN exit 3\n", want: "could not build the image: "},
		"syntax":      {dockerfile: "FORM " + podmantest.Small + "\n", want: "could not build the image: "},
		"base":        {dockerfile: "FROM " + b.registry.Host + "/team/none:1\n", want: "could not build the image: "},
		"no file":     {change: func(w *imageWish, _ *BuilderConfig) { w.Spec.Dockerfile = "None" }, want: "there is no Dockerfile at None in the workspace"},
		"no context":  {change: func(w *imageWish, _ *BuilderConfig) { w.Spec.Context = "none" }, want: "there is no Dockerfile at none/Dockerfile"},
		"none set":    {change: func(_ *imageWish, c *BuilderConfig) { c.Registries = nil }, want: "this service has no registry for images; whoever runs it sets --image-registries"},
		"region":      {change: func(w *imageWish, _ *BuilderConfig) { w.Spec.Regions = []string{"mars"} }, want: `no registry is set for the region "mars"; there are registries for here, there (--image-registries)`},
		"credentials": {change: func(_ *imageWish, c *BuilderConfig) { c.RegistryConfig = "" }, want: "could not push the image " + b.registry.Host + "/team/bad:1: "},
	} {
		t.Run(name, func(t *testing.T) {
			files := good
			if test.dockerfile != "" {
				files = workspace(t, map[string]string{"Dockerfile": test.dockerfile})
			}
			want, pushed := wanted()
			want.Spec.Name = "bad"
			builder := b.builder(t, func(c *BuilderConfig) {
				if test.change != nil {
					test.change(&want, c)
				}
			})
			var out bytes.Buffer
			err := buildImage(t.Context(), builder, files, want, &out)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), test.want) || len(*pushed) > 0 {
				t.Errorf("%v, %v\n%s", err, *pushed, &out)
			}
		})
	}
	if digest, _ := b.registry.Digest(t, "team/bad", "1"); digest != "" {
		t.Error("an image was pushed after all")
	}
}

// endless returns a workspace whose image is never built, and a writer that tells when that has begun.
func endless(t *testing.T, seen func()) (executor.Directory, io.Writer) {
	t.Helper()
	return workspace(t, map[string]string{"Dockerfile": "FROM " + podmantest.Small + "\nRUN echo ready; (sleep 1000; sleep 1000) & sleep 1000 || true; sleep 1000\n"}),
		&signal{text: "ready\n", seen: seen}
}

func (b *builderTest) stops(t *testing.T) {
	reason := errors.New("somebody asked")
	ctx, cancel := context.WithCancelCause(t.Context())
	files, out := endless(t, func() { cancel(reason) })
	want, _ := wanted()
	builder := b.builder(t)
	if err := buildImage(ctx, builder, files, want, out); !errors.Is(err, reason) {
		t.Error(err)
	}
	b.nothingRuns(t, builder)
}

func (b *builderTest) nothingRuns(t *testing.T, builder *Builder) {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if pid := atoi(entry.Name()); pid > 0 && orphan.InGroup(pid, builder.group("")) {
			t.Error("a process of the build runs on:", pid)
		}
	}
}

func atoi(s string) (n int) {
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0
		}
		n = 10*n + int(c-'0')
	}
	return n
}

// recovers checks what the next life of a server does that was killed while it built an image.
func (b *builderTest) recovers(t *testing.T) {
	builder := b.builder(t)
	began := make(chan struct{})
	files, out := endless(t, func() { close(began) })
	want, _ := wanted()
	ended := make(chan error)
	go func() { ended <- buildImage(t.Context(), builder, files, want, out) }()
	<-began
	b.engine.Podman(t, "tag", podmantest.Small, "localhost/other:1")
	defer b.engine.Podman(t, "rmi", "localhost/other:1")
	importLeft := func(name string) {
		b.engine.Import(t, name, "", "busybox") // as a build leaves it before it is pushed
	}
	importLeft(builder.private(uuid.NewString() + "-1"))
	importLeft("localhost/atelier-0000:1")
	defer b.engine.Podman(t, "rmi", "localhost/atelier-0000:1")
	next, err := NewBuilder(t.Context(), builder.config)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if err := next.Recover(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-ended; err == nil {
		t.Error("the image was built")
	}
	b.nothingRuns(t, builder)
	if left := b.engine.Images(t); len(left) != 2 {
		t.Errorf("there are the images %v, want those of others", left)
	}
}

// commands carries out docker commands in a workspace.
func commands(t *testing.T, images executor.Images, files executor.Files, out io.Writer, lines ...string) error {
	t.Helper()
	all, err := plan.Docker{Commands: strings.Join(lines, "\n")}.Parse("/workspace", func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if err := images.Docker(t.Context(), files, c, out); err != nil {
			return err
		}
	}
	return nil
}

func (b *builderTest) docker(t *testing.T) {
	files := workspace(t, map[string]string{
		"base/Dockerfile": "FROM " + podmantest.Small + "\nARG WHO=nobody\nRUN echo for $WHO > /who\n",
		"app/a.Dockerfile": "ARG BASE=other\nARG VERSION=2\nFROM ${BASE}:${VERSION} AS stage\nRUN cat /who > /copy\nFROM " + podmantest.Small + " AS wrong\nRUN exit 1\n" +
			"FROM stage AS last\nCOPY --from=base:1 /who /own\nCOPY . /all\nRUN cat /own && ls /all\nFROM wrong\n",
	})
	want, pushed := wanted()
	builder := b.builder(t, func(c *BuilderConfig) { c.RegistryConfig, c.Registries = "", nil })
	images := builder.Open(want.ImagesOf)
	defer images.Close(t.Context())
	other := b.registry.Host + "/docker/app"
	var out bytes.Buffer
	err := commands(t, images, files, &out,
		"docker build -t base:1 --build-arg WHO=us base",
		"docker tag base:1 base:2",
		"docker build --tag "+other+":1 -t app --label made=here --build-arg=BASE=base --target last -f app/a.Dockerfile app",
		"docker login -u "+podmantest.RegistryUser+" -p '"+podmantest.RegistryPassword+"' "+b.registry.Host,
		"docker push "+other+":1",
		"docker save -o out/images.tar app "+other+":1 base:2",
		"docker pull "+other+":1",
		"docker tag "+other+":1 "+other+":2",
		"docker push "+other+":2",
		"docker logout "+b.registry.Host,
	)
	if err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	digest, labels := b.registry.Digest(t, "docker/app", "1")
	again, _ := b.registry.Digest(t, "docker/app", "2")
	if digest == "" || again != digest || labels["made"] != "here" || !slices.Equal(*pushed, []build.Output{{Reference: other + ":1", Digest: digest}, {Reference: other + ":2", Digest: digest}}) {
		t.Errorf("pushed were %v, with the labels %v", *pushed, labels)
	}
	for _, text := range []string{"$ docker build -t base:1 --build-arg WHO=us base\n", "for us\na.Dockerfile\n", "It is used with this user and password as they are.\n", " -p ****** ", "Successfully tagged base:1\n", "FROM base:2 AS stage\n"} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("%q is not in\n%s", text, &out)
		}
	}
	if strings.Contains(out.String(), podmantest.RegistryPassword) || strings.Contains(out.String(), builder.name) {
		t.Error(out.String())
	}
	if err := commands(t, images, files, &out, "docker push "+other+":1"); !fault.Is(err, fault.Invalid) {
		t.Error("pushed after the logout:", err)
	}
	// What was pulled goes with the build, unless the engine had something of this name before.
	b.engine.Podman(t, "tag", podmantest.Small, other+":2")
	if err := commands(t, images, files, &out, "docker login -u "+podmantest.RegistryUser+" -p '"+podmantest.RegistryPassword+"' "+b.registry.Host,
		"docker pull "+other+":1", "docker pull "+other+":2"); err != nil {
		t.Error(err)
	}
	if left := b.engine.Images(t); slices.Contains(left, other+":1") || !slices.Contains(left, other+":2") {
		t.Errorf("there are the images %v", left)
	}
	b.engine.Podman(t, "untag", other+":2", other+":2")
	if err := images.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.nothingIsLeft(t)
	saved := b.engine.Podman(t, "load", "--input", filepath.Join(files.Parent.Name(), "out/images.tar"))
	for _, name := range []string{"localhost/app:latest", other + ":1", "localhost/base:2"} {
		if !strings.Contains(saved, name) && !strings.Contains(saved, strings.Replace(name, "localhost/", "docker.io/library/", 1)) {
			t.Errorf("%s is not in the file, but %s", name, saved)
		}
	}
	b.engine.Podman(t, append([]string{"rmi", "--force"}, b.engine.Images(t)...)...)
}

// apart checks that what one build calls an image is nothing to another.
func (b *builderTest) apart(t *testing.T) {
	builder := b.builder(t)
	one, _ := wanted()
	two, _ := wanted()
	first, second := builder.Open(one.ImagesOf), builder.Open(two.ImagesOf)
	var out bytes.Buffer
	build := func(images executor.Images, text string) error {
		return commands(t, images, workspace(t, map[string]string{"Dockerfile": "FROM " + podmantest.Small + "\nRUN echo " + text + " > /text\n"}), &out, "docker build -t same .")
	}
	if err := errors.Join(build(first, "first"), build(second, "second")); err != nil {
		t.Fatal(err)
	}
	if err := second.Close(t.Context()); err != nil {
		t.Error(err)
	}
	out.Reset()
	if err := commands(t, first, workspace(t, map[string]string{"Dockerfile": "FROM same\nRUN cat /text\n"}), &out, "docker build ."); err != nil || !strings.Contains(out.String(), "first\n") {
		t.Errorf("%v\n%s", err, &out)
	}
	if err := first.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func (b *builderTest) dockerFails(t *testing.T) {
	files := workspace(t, map[string]string{"Dockerfile": "FROM " + podmantest.Small + "\n", "bad/Dockerfile": "FROM " + podmantest.Small + "\nRUN exit 3\n"})
	for command, want := range map[string]string{
		"docker tag a b": "there is no image a:latest, since this build has made and pulled none",
		"docker build -t mine:2 .\ndocker push a":  "there is no image a:latest; this build has mine:2",
		"docker save -o x.tar a:1":                 "there is no image a:1",
		"docker build bad":                         "could not build the image: ",
		"docker build none":                        "there is no Dockerfile at none/Dockerfile",
		"docker pull " + b.registry.Host + "/none": "could not pull the image " + b.registry.Host + "/none:latest: ",
		"docker login -u a -p wrong " + strings.Replace(b.registry.Host, "127.0.0.1", "localhost", 1): "does not know the user with this password",
	} {
		t.Run(command, func(t *testing.T) {
			want0, _ := wanted()
			images := b.builder(t).Open(want0.ImagesOf)
			var out bytes.Buffer
			err := commands(t, images, files, &out, command)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
				t.Errorf("%v\n%s", err, &out)
			}
			if err := images.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
