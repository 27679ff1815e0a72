package plan_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/plan"
)

func TestDocker(t *testing.T) {
	t.Parallel()
	values := map[string]string{"TAG": "1.0", "ARGS": "--no-cache --pull", "PASSWORD": "two words", "WORKSPACE": "/work/it"}
	commands, err := plan.Docker{Commands: `
# A comment
docker build -t app:$TAG --tag "registry.example.org/team/app:${TAG}" $ARGS \
  --build-arg A=b --build-arg TAG --label 'x=y z' --target last --platform linux/arm64 -q -f $WORKSPACE/app/docker/Dockerfile $WORKSPACE/app/.
docker build .
docker tag app:1.0 other
docker push other
docker pull alpine@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
docker login -u me -p "$PASSWORD" https://registry.example.org/v2/
docker logout
docker save --output=./out/all.tar app:1.0 other
`}.Parse("/work/it", func(name string) string { return values[name] })
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range commands {
		got = append(got, c.Text)
	}
	want := []string{
		"docker build -t app:1.0 --tag registry.example.org/team/app:1.0 --no-cache --pull --build-arg A=b --build-arg TAG --label x=y z --target last --platform linux/arm64 -q -f /work/it/app/docker/Dockerfile /work/it/app/.",
		"docker build .", "docker tag app:1.0 other", "docker push other",
		"docker pull alpine@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"docker login -u me -p ****** registry.example.org", "docker logout", "docker save --output=./out/all.tar app:1.0 other",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	b := commands[0].Build
	if len(b.Names) != 2 || b.Names[0].String() != "docker.io/library/app:1.0" || b.Context != "app" || b.Dockerfile != "docker/Dockerfile" || !b.NoCache || !b.Pull || !b.Quiet ||
		b.Args["A"] != "b" || b.Args["TAG"] != "1.0" || b.Labels["x"] != "y z" || b.Target != "last" || b.Platform != "linux/arm64" {
		t.Errorf("%+v", b)
	}
	if b := commands[1].Build; b.Context != "" || b.Dockerfile != "Dockerfile" {
		t.Errorf("%+v", b)
	}
	if l := commands[5].Login; l.Registry != "registry.example.org" || l.Password != "two words" || commands[6].Logout != plan.DockerHub {
		t.Errorf("%+v, %+v", l, commands[6])
	}
	if s := commands[7].Save; s.File != "out/all.tar" || len(s.Images) != 2 || s.Images[1].String() != "docker.io/library/other:latest" {
		t.Errorf("%+v", s)
	}
}

func TestDockerInvalid(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]string{
		"docker build":                                     "line 1: docker build: needs one directory, found 0",
		"docker build --network=host .":                    "unknown flag: --network; allowed are --build-arg, --file, ",
		"docker build /etc":                                "the context must be a directory below the workspace, found \"/etc\"",
		"docker build ..":                                  "the context must be a directory",
		"docker build https://example.org/a":               "the context must be a directory",
		"docker build -f ../D .":                           "--file must be a file below the context",
		"docker build -f Dockerfile app":                   "--file must be a file below the context",
		"docker build -t A .":                              "\"A\" is not the name of an image",
		"docker tag a":                                     "needs an image and its other name, found 1",
		"docker tag a b@sha256:" + strings.Repeat("a", 64): "must have a tag and no digest",
		"docker push a b":                                  "needs one image, found 2",
		"docker pull":                                      "needs one image, found 0",
		"docker login -u a r.example.org":                  "needs --username and --password",
		"docker login --password-stdin r.org":              "unknown flag: --password-stdin",
		"docker logout a b":                                "needs at most one registry",
		"docker logout A!":                                 "\"A!\" is not a registry",
		"docker save a":                                    "needs --output",
		"docker save -o /tmp/a a":                          "--output must be a file below the workspace",
		"docker build -t $(date) .":                        "\"$(date)\" would run another program",
		"docker pull a; docker pull b":                     "there are several commands",
		"docker pull 'a":                                   "line 1: reached EOF without closing quote",
		"A=b docker pull a":                                "only plain commands",
		"for i in a; do docker pull $i; done":              "only plain commands",
		"docker pull a\n\ndocker pull\ndocker x":           "line 3: docker pull: needs one image, found 0; line 4: \"docker x\" is not allowed",
	} {
		if _, err := (plan.Docker{Commands: command}).Parse("/work", func(string) string { return "" }); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", command, err)
		}
	}
}

func FuzzDocker(f *testing.F) {
	f.Add("docker build -t a:$B \\\n -f D .\ndocker login -u a -p secret x")
	f.Add("docker save -o 'a b' c@sha256:1")
	f.Fuzz(func(t *testing.T, text string) {
		commands, err := plan.Docker{Commands: text}.Parse("/work", func(name string) string { return name })
		for _, c := range commands {
			if err == nil && (c.Text == "" || c.Login != nil && len(c.Login.Password) > 20 && strings.Contains(c.Text, c.Login.Password) && !strings.Contains(c.Login.User, c.Login.Password)) {
				t.Errorf("%+v", c)
			}
		}
	})
}
