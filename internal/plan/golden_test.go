package plan_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"atelier/internal/build"
	"atelier/internal/plan"
)

var update = flag.Bool("update", false, "write what the code makes into the golden files")

// Each file of testdata is a build file with what becomes of it: a plan, or problems. Its comment may set what the build has,
// a line each: param NAME=VALUE, branch NAME, tag NAME, commit ID, none (no repository).
func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			in := input(t, archive)
			var got string
			if flow, ok, err := plan.ReadFlow(in); ok {
				got = flowOutcome(flow, err)
			} else {
				got = outcome(plan.New(in))
			}
			if *update {
				archive.Files = []txtar.File{archive.Files[0], {Name: "outcome", Data: []byte(got)}}
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if len(archive.Files) != 2 {
				t.Fatalf("%s has %d parts", file, len(archive.Files))
			}
			if diff := cmp.Diff(string(archive.Files[1].Data), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

const repository = "https://git.example.org/team/app.git"

// input returns what a file of testdata describes.
func input(t *testing.T, archive *txtar.Archive) plan.Input {
	t.Helper()
	in := fileInput(string(archive.Files[0].Data))
	for line := range strings.Lines(string(archive.Comment)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "", "#":
		case "param":
			name, value, _ := strings.Cut(rest, "=")
			in.Params = append(in.Params, plan.Param{Name: name, Value: value})
		case "branch":
			in.Source.Branch = rest
		case "tag":
			in.Source.Tag, in.Source.Fixed = rest, true
		case "commit":
			in.Source.Commit, in.Source.Fixed = rest, true
		case "none":
			in.Source, in.Job.Sources = plan.Source{}, nil
		default:
			t.Fatalf("the comment says %q", line)
		}
	}
	return in
}

// fileInput is a build of a task with a repository and a build file.
func fileInput(file string) plan.Input {
	lfs := true
	return plan.Input{
		File:    &plan.File{Path: "build.yml", Data: []byte(file)},
		Job:     build.Config{AutoUpdateSubmodules: "true", Sources: []build.Source{{URL: repository, Depth: "5", LFS: &lfs}}},
		Source:  plan.Source{URL: repository, Branch: "main", Commit: "1111111111111111111111111111111111111111"},
		System:  []plan.Param{{Name: "BUILDNUMBER", Value: "20240229.1"}},
		Classes: build.Classes,
	}
}

// outcome writes a plan, or what is wrong, so that it can be read.
func outcome(p plan.Plan, err error) string {
	var b strings.Builder
	if err != nil {
		return err.Error() + "\n"
	}
	for _, w := range p.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	if p.Resource != (plan.Resource{}) {
		fmt.Fprintf(&b, "resource: %+v\n", p.Resource)
	}
	for _, e := range p.Env {
		fmt.Fprintf(&b, "env: %s=%q\n", e.Name, e.Value)
	}
	for _, s := range p.Steps {
		fmt.Fprintf(&b, "step: %s %q", s.Keyword, s.Name)
		if s.Image != "" {
			fmt.Fprintf(&b, " image %s", s.Image)
		}
		if s.IgnoreFail {
			b.WriteString(" may fail")
		}
		if s.Caches != nil {
			fmt.Fprintf(&b, " caches %s", strings.Join(s.Caches, ","))
		}
		b.WriteByte('\n')
		if s.Checkout != nil {
			fmt.Fprintf(&b, "  %+v\n", *s.Checkout)
		}
		if s.Upload != nil {
			fmt.Fprintf(&b, "  %+v\n", *s.Upload)
		}
		if s.Build != nil {
			fmt.Fprintf(&b, "  %+v\n", *s.Build)
		}
		if s.Manifest != nil {
			fmt.Fprintf(&b, "  %+v\n", *s.Manifest)
		}
		if s.Sign != nil {
			fmt.Fprintf(&b, "  %+v\n", *s.Sign)
		}
		if s.Store != nil {
			fmt.Fprintf(&b, "  %+v\n", *s.Store)
		}
		if s.Download != nil {
			fmt.Fprintf(&b, "  %+v\n", *s.Download)
		}
		if s.Docker != nil {
			for line := range strings.Lines(s.Docker.Commands) {
				fmt.Fprintf(&b, "  | %s\n", strings.TrimSuffix(line, "\n"))
			}
		}
		if s.Script != nil {
			for line := range strings.Lines(s.Script.Command) {
				fmt.Fprintf(&b, "  | %s\n", strings.TrimSuffix(line, "\n"))
			}
			for _, repository := range s.Script.Repositories {
				fmt.Fprintf(&b, "  %+v\n", repository)
			}
			if s.Script.Tests != nil {
				fmt.Fprintf(&b, "  tests %+v\n", *s.Script.Tests)
			}
		}
	}
	return b.String()
}

// flowOutcome does the same for a flow.
func flowOutcome(f plan.Flow, err error) string {
	if err != nil {
		return err.Error() + "\n"
	}
	var b strings.Builder
	for _, w := range f.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	for _, j := range f.Jobs {
		fmt.Fprintf(&b, "job: %s from %s", j.Name, j.BuildRef)
		if len(j.DependsOn) > 0 {
			fmt.Fprintf(&b, " after %s", strings.Join(j.DependsOn, ", "))
		}
		if j.Skipped {
			b.WriteString(" skipped")
		}
		fmt.Fprintf(&b, "\n  job %v\n  flow %v\n  %+v\n", j.Context.Job, j.Context.Flow, j.Context.Resource)
	}
	return b.String()
}
