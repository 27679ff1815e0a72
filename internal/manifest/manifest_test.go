package manifest_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/fault"
	"atelier/internal/manifest"
)

// files opens texts by their names.
func files(texts map[string]string) func(string) (io.ReadCloser, error) {
	return func(name string) (io.ReadCloser, error) {
		text, ok := texts[name]
		if !ok {
			return nil, fault.New(fault.Invalid, "there is no %s", name)
		}
		return io.NopCloser(strings.NewReader(text)), nil
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	got, err := manifest.Read("https://git.example.org/team/manifests.git", "default.xml", files(map[string]string{
		"default.xml": `<?xml version="1.0"?>
<manifest>
  <notice>hello</notice>
  <remote name="ours" fetch=".." review="x"/>
  <remote name="theirs" fetch="ssh://git@other.example.org:22/all/" revision="stable"/>
  <default remote="ours" revision="main" sync-j="4"/>
  <project name="tools/make" path="build/make" clone-depth="1"><copyfile src="root.mk" dest="Makefile"/><linkfile src="." dest="mk"/></project>
  <project name="app" groups="pdk, tools"/>
  <project name="old"/>
  <project name="tests" groups="notdefault"/>
  <include name="more/one.xml"/>
</manifest>`,
		"more/one.xml": `<manifest><project name="lib" remote="theirs"/><project name="fixed" remote="theirs" revision="refs/tags/v1" path="build"/><remove-project name="old"/></manifest>`,
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := []manifest.Project{
		{URL: "https://git.example.org/team/app", Revision: "main", Path: "app"},
		{URL: "ssh://git@other.example.org:22/all/fixed", Revision: "refs/tags/v1", Path: "build"},
		{URL: "https://git.example.org/team/tools/make", Revision: "main", Path: "build/make", Depth: 1, Files: []manifest.File{{From: "root.mk", To: "Makefile"}, {From: ".", To: "mk", Link: true}}},
		{URL: "ssh://git@other.example.org:22/all/lib", Revision: "stable", Path: "lib"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for address, want := range map[string]string{
		"git@git.example.org:team/manifests": "ssh://git@git.example.org/team/app", "file:///srv/git/manifests": "file:///srv/git/app", "https://git.example.org/m": "https://git.example.org/app",
	} {
		got, err := manifest.Read(address, "a", files(map[string]string{"a": `<manifest><remote name="r" fetch="../"/><project remote="r" name="app"/></manifest>`}))
		if err != nil || got[0].URL != want {
			t.Errorf("%s: %v, %v", address, got, err)
		}
	}
}

func TestReadProblems(t *testing.T) {
	t.Parallel()
	for inside, want := range map[string]string{
		``:                                  "names no projects",
		`<project`:                          "is not one: XML syntax error on line 1",
		`<project name="a"/>`:               `the project "a" names the remote ""`,
		`<project name="a" remote="none"/>`: `the project "a" names the remote "none"`,
		`<remote name="r"/><project name="a" remote="r"/>`:                                                                  "has no fetch",
		`<remote name="r" fetch="https://x"/><project remote="r"/>`:                                                         "has no name",
		`<remote name="r" fetch="https://x"/><project name="a" path="../a" remote="r"/>`:                                    `the path "../a"`,
		`<remote name="r" fetch="https://x"/><project name="a" path="b/.git/hooks" remote="r"/>`:                            `the path "b/.git/hooks"`,
		`<remote name="r" fetch="https://x"/><project name="a" remote="r"><linkfile src="/etc/passwd" dest="p"/></project>`: `puts "/etc/passwd" to "p"`,
		`<remote name="r" fetch="https://x"/><project name="a" remote="r"><copyfile src="a" dest="../../p"/></project>`:     `puts "a" to "../../p"`,
		`<remote name="r" fetch="https://x"/><project name="a" remote="r"/><project name="b" path="a" remote="r"/>`:         `two projects go to the path "a"`,
		`<remote name="r" fetch="https://x"/><project name="a" remote="r" clone-depth="-1"/>`:                               "clone-depth of -1",
		`<remote name="r" fetch="https://x"/><project name="a" remote="r"><project name="b"/></project>`:                    "has projects in it",
		`<include name="../x.xml"/>`:                                   `includes "../x.xml"`,
		`<include name="default.xml"/>`:                                "include each other",
		`<extend-project name="a"/>`:                                   "an element extend-project",
		`<include name="none.xml"/>`:                                   "there is no none.xml",
		strings.Repeat(`<project name="a"/>`, 2001):                    "more than 2000 projects",
		fmt.Sprintf("<notice>%s</notice>", strings.Repeat("x", 1<<20)): "more than 1048576 bytes",
	} {
		got, err := manifest.Read("https://git.example.org/m", "default.xml", files(map[string]string{"default.xml": "<manifest>" + inside + "</manifest>"}))
		if why, public := fault.Public(err); got != nil || !public || !strings.Contains(why, want) {
			t.Errorf("%.80s: %v", inside, err)
		}
	}
}

// FuzzRead checks that no project of a manifest leads out of the workspace, whatever the manifest says.
func FuzzRead(f *testing.F) {
	f.Add(`<remote name="r" fetch=".."/><project name="a" path="b" remote="r"><copyfile src="a" dest="b/c"/></project>`)
	f.Add(`<include name="default.xml"/>`)
	f.Fuzz(func(t *testing.T, inside string) {
		projects, err := manifest.Read("https://git.example.org/m", "default.xml", files(map[string]string{"default.xml": "<manifest>" + inside + "</manifest>"}))
		if _, public := fault.Public(err); err != nil && !public {
			t.Error(err)
		}
		for _, p := range projects {
			for _, name := range []string{p.Path} {
				if strings.HasPrefix(name, "/") || strings.HasPrefix(name+"/", "../") {
					t.Errorf("%q", name)
				}
			}
		}
	})
}
