package plan_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"atelier/internal/build"
	"atelier/internal/plan"
)

var update = flag.Bool("update", false, "write what the code makes into the golden files")

// Each file of testdata is a build file, with the build files of its jobs behind it when it is a flow, and what becomes of it: a plan,
// the jobs, or problems. Its comment may set what the build has, a line each: param NAME=VALUE, branch NAME, tag NAME, commit ID,
// none (no repository).
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
			files := slices.DeleteFunc(slices.Clone(archive.Files), func(f txtar.File) bool { return f.Name == "outcome" })
			got := outcomeOf(input(t, archive), files[1:])
			if *update {
				files = append(files, txtar.File{Name: "outcome", Data: []byte(got)})
				archive.Files = files
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			last := archive.Files[len(archive.Files)-1]
			if last.Name != "outcome" {
				t.Fatalf("%s has no outcome", file)
			}
			if diff := cmp.Diff(string(last.Data), got); diff != "" {
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

// outcomeOf writes what becomes of a build file, and of those of its jobs.
func outcomeOf(in plan.Input, files []txtar.File) string {
	flow, ok, err := plan.ReadFlow(in)
	if !ok {
		return outcome(plan.New(in))
	}
	if err != nil {
		return err.Error() + "\n"
	}
	var b strings.Builder
	for _, w := range flow.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	for _, job := range flow.Jobs {
		fmt.Fprintf(&b, "job: %q %s after %q skipped %v\n", job.Name, job.BuildRef, job.DependsOn, job.Skipped)
		for _, file := range files {
			if file.Name == job.BuildRef {
				child := in
				child.File, child.Flow = &plan.File{Path: file.Name, Data: file.Data}, &job.Context
				for line := range strings.Lines(outcome(plan.New(child))) {
					b.WriteString("  " + line)
				}
			}
		}
	}
	return b.String()
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
		b.WriteByte('\n')
		if s.Checkout != nil {
			fmt.Fprintf(&b, "  %+v\n", *s.Checkout)
		}
		if s.Script != nil {
			for line := range strings.Lines(s.Script.Command) {
				fmt.Fprintf(&b, "  | %s\n", strings.TrimSuffix(line, "\n"))
			}
		}
	}
	return b.String()
}
