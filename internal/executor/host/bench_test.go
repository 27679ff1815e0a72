package host

import (
	"io"
	"os/exec"
	"testing"

	"github.com/google/uuid"

	"atelier/internal/executor"
	"atelier/internal/plan"
	"atelier/internal/source/sourcetest"
)

// BenchmarkStep is what a step costs that does nothing, next to the bare shell, and what a build costs that has one such step.
func BenchmarkStep(b *testing.B) { benchmarkStep(b, newExecutor(b, b.TempDir())) }

// BenchmarkIsolated is the same with all isolation.
func BenchmarkIsolated(b *testing.B) { benchmarkStep(b, newIsolated(b, b.TempDir())) }

func benchmarkStep(b *testing.B, e *Executor) {
	openBuild := func() executor.Session {
		s, err := e.Open(b.Context(), executor.Build{Record: uuid.NewString()})
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	run := func(s executor.Session, step plan.Step, out io.Writer) {
		if result, err := s.Run(b.Context(), step, out); err != nil || !result.Succeeded() {
			b.Fatal(result, err)
		}
	}
	b.Run("shell", func(b *testing.B) {
		for b.Loop() {
			if err := exec.Command(e.shell, "-e", "-c", "true").Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("step", func(b *testing.B) {
		s := openBuild()
		for b.Loop() {
			run(s, script("true"), io.Discard)
		}
		if err := s.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
	})
	b.Run("build", func(b *testing.B) {
		for b.Loop() {
			s := openBuild()
			run(s, script("true"), io.Discard)
			if err := s.Close(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("open and close", func(b *testing.B) {
		for b.Loop() {
			if err := openBuild().Close(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("gigabyte", func(b *testing.B) {
		s := openBuild()
		b.SetBytes(1 << 30)
		for b.Loop() {
			run(s, script("head -c 1073741824 /dev/zero"), io.Discard)
		}
		if err := s.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
	})
}

func BenchmarkCheckout(b *testing.B) {
	root := b.TempDir()
	repo := sourcetest.New(b, root+"/app")
	for _, name := range []string{"build.yml", "main.c", "dir/file"} {
		repo.Write(name, name)
	}
	commit := repo.Commit("first")
	e := newExecutor(b, root)
	step := plan.Step{Checkout: &plan.Checkout{URL: repo.URL(), Branch: "main", Commit: commit, Depth: 1}}
	for b.Loop() {
		s, err := e.Open(b.Context(), executor.Build{Record: uuid.NewString()})
		if err != nil {
			b.Fatal(err)
		}
		if result, err := s.Run(b.Context(), step, io.Discard); err != nil || !result.Succeeded() {
			b.Fatal(result, err)
		}
		if err := s.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
