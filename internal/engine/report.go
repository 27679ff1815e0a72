package engine

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"atelier/internal/build"
	"atelier/internal/executor"
	"atelier/internal/fault"
	"atelier/internal/glob"
	"atelier/internal/plan"
	"atelier/internal/report"
)

// Limits of what one step may leave. What is beyond them is left out, and the log says so.
const (
	maxReportFiles = 10_000
	maxArchive     = 512 << 20 // bytes of coverage reports, before they are packed
)

// tested is what the tests of a build have left so far.
type tested struct {
	news    []build.Report               // what the database does not know yet
	counted map[string][sha256.Size]byte // the files with results by name, as they were when they were counted
}

// collectTests adds what a step's tests left to the build's reports, whether the step succeeded or not. The result is the step's, which tests can
// turn into a failure. An error means that the reports could not be kept, or that the build must end.
func (r *run) collectTests(files executor.Files, t plan.Tests, s *build.Step, result executor.Result) (executor.Result, error) {
	rep := build.Report{ID: build.NewReportID(), RecordID: s.RecordID, Sequence: s.Sequence, Stage: s.Stage, CreatedAt: moment(r.Now())}
	results, coverage, err := r.findReports(files, t)
	if why, public := fault.Public(err); public && r.ctx.Err() == nil {
		r.note(r.log.Warn, "[%s] : No test reports: %s.", s.Name, why)
		return result, nil
	}
	if err != nil {
		return result, err
	}
	unread := 0
	if t.Results != "" {
		results, more := r.enough(results, t.Results)
		if unread, err = r.countTests(files, results, &rep); err != nil {
			return result, err
		}
		if more {
			unread++ // and more
		}
		r.noteTests(s.Name, t.Results, rep)
	}
	if t.Coverage != "" {
		coverage, _ := r.enough(coverage, t.Coverage)
		if err := r.keepCoverage(files, coverage, &rep); err != nil {
			return result, err
		}
		r.noteCoverage(s.Name, t.Coverage, rep)
	}
	if rep.Files > 0 || rep.Archive != "" {
		r.tested.news = append(r.tested.news, rep)
	}
	bad := rep.Tests.Failed + rep.Tests.Errors
	switch {
	case !t.Gate || !result.Succeeded():
	case bad > 0:
		return executor.Result{ExitCode: 1, Reason: fmt.Sprintf("%d of %d tests did not succeed, which it is not to ignore.", bad, rep.Tests.Total())}, nil
	case unread > 0:
		return executor.Result{ExitCode: 1, Reason: fmt.Sprintf("At least %d of the files with test results could not be read, so nobody knows whether all tests succeeded.", unread)}, nil
	}
	return result, nil
}

// findReports returns the files that hold results, and those of coverage reports: one more than is allowed, at most.
func (r *run) findReports(files executor.Files, t plan.Tests) (results, coverage []string, err error) {
	var patterns [2]glob.Pattern // one that is not given matches nothing
	for i, text := range []string{t.Results, t.Coverage} {
		if text != "" {
			if patterns[i], err = glob.Parse(text); err != nil {
				return nil, nil, err
			}
		}
	}
	err = files.Walk(r.ctx, func(file string) error {
		if patterns[0].Match(file) && len(results) <= maxReportFiles {
			results = append(results, file)
		}
		if within(patterns[1], file) && len(coverage) <= maxReportFiles {
			coverage = append(coverage, file)
		}
		return nil
	})
	return results, coverage, err
}

// enough returns as many of the files as one step may leave, and says so when there are more.
func (r *run) enough(files []string, pattern string) (some []string, more bool) {
	if len(files) <= maxReportFiles {
		return files, false
	}
	r.note(r.log.Warn, "More than %d files match %s; the rest is left out.", maxReportFiles, printable(pattern))
	return files[:maxReportFiles], true
}

// within reports whether a pattern matches a file or a directory that it is in.
func within(p glob.Pattern, file string) bool {
	for ; file != "."; file = path.Dir(file) {
		if p.Match(file) {
			return true
		}
	}
	return false
}

// countTests counts the results in files, except in those that an earlier step has left just so. It returns how many could not be read.
func (r *run) countTests(files executor.Files, names []string, rep *build.Report) (unread int, err error) {
	if r.tested.counted == nil {
		r.tested.counted = make(map[string][sha256.Size]byte)
	}
	for _, name := range names {
		if r.ctx.Err() != nil {
			return 0, context.Cause(r.ctx)
		}
		tests, sum, err := readTests(files, name)
		if why := reason(err); why != "" {
			unread++
			r.noteUnread(unread, name, why)
			continue
		}
		if r.tested.counted[name] == sum {
			continue
		}
		r.tested.counted[name] = sum
		rep.Files++
		rep.Tests.Add(tests)
	}
	return unread, nil
}

// readTests reads one file with results, and returns what its content is known by.
func readTests(files executor.Files, name string) (tests report.Tests, sum [sha256.Size]byte, err error) {
	f, err := files.ReadFile(name)
	if err != nil {
		return report.Tests{}, sum, err
	}
	defer f.Close()
	hash := sha256.New()
	tests, err = report.ReadJUnit(io.TeeReader(f, hash))
	return tests, [sha256.Size]byte(hash.Sum(nil)), err
}

// reason says why a file could not be read, to put behind its name; empty when it could.
func reason(err error) string {
	if err == nil {
		return ""
	}
	if why, public := fault.Public(err); public {
		return "is left out: " + why
	}
	return printable(err.Error())
}

// noteUnread says why the nth file that could not be read was not. After some it is clear.
func (r *run) noteUnread(n int, name, why string) {
	const most = 20
	switch {
	case n <= most:
		r.note(r.log.Warn, "%s %s.", printable(name), why)
	case n == most+1:
		r.note(r.log.Warn, "More files could not be read.")
	}
}

// keepCoverage packs the coverage reports of a step into an archive, which it stores, and adds up the figures in them.
func (r *run) keepCoverage(files executor.Files, names []string, rep *build.Report) error {
	if len(names) == 0 {
		return nil
	}
	in, out := io.Pipe()
	type kept struct {
		key string
		err error
	}
	done := make(chan kept, 1)
	go func() {
		key, err := r.Artifacts.Keep(r.ctx, in)
		_ = in.Close() // so that the packing ends
		done <- kept{key, err}
	}()
	err := errors.New("the packing ended early")
	func() {
		defer func() { _ = out.CloseWithError(err) }() // also after a panic
		err = r.pack(files, names, out, rep)
	}()
	archive := <-done
	if err = errors.Join(err, archive.err); err != nil {
		return fmt.Errorf("keep the coverage reports: %w", err)
	}
	rep.Archive = archive.key
	return nil
}

// pack writes the archive.
func (r *run) pack(files executor.Files, names []string, out io.Writer, rep *build.Report) error {
	archive := zip.NewWriter(out)
	left, unread := int64(maxArchive), 0
	for _, name := range names {
		if r.ctx.Err() != nil {
			return context.Cause(r.ctx)
		}
		coverage, err := readCoverage(files, name)
		switch {
		case err == nil:
			rep.Coverage.Add(coverage)
		case !errors.Is(err, report.ErrNoCoverage):
			unread++
			r.noteUnread(unread, name, reason(err))
		}
		if left, err = r.packFile(archive, files, name, left); err != nil {
			return err
		}
		if left == 0 {
			r.note(r.log.Warn, "The coverage reports have more than %d MiB; the rest of them is left out.", maxArchive>>20)
			break
		}
	}
	return archive.Close()
}

func readCoverage(files executor.Files, name string) (report.Coverage, error) {
	f, err := files.ReadFile(name)
	if err != nil {
		return report.Coverage{}, err
	}
	defer f.Close()
	return report.ReadCoverage(f)
}

// packFile adds a file of the workspace, of which it takes as many bytes as may be left. One that cannot be read was reported before.
func (r *run) packFile(archive *zip.Writer, files executor.Files, name string, left int64) (int64, error) {
	f, err := files.ReadFile(name)
	if err != nil {
		return left, nil //nolint:nilerr // see above
	}
	defer f.Close()
	w, err := archive.Create(r.mask(strings.ToValidUTF8(name, "\ufffd")))
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(w, io.LimitReader(f, left))
	return left - n, err
}

// noteTests says in the log what the tests came to, and which did not succeed.
func (r *run) noteTests(step, pattern string, rep build.Report) {
	t := rep.Tests
	if rep.Files == 0 {
		r.note(r.log.Warn, "[%s] : No file with test results matches %s.", step, printable(pattern))
		return
	}
	r.note(r.log.Info, "[%s] : %d tests in %s: succeeded %d, failed %d, errors %d, skipped %d (files: %d).",
		step, t.Total(), t.Time, t.Succeeded, t.Failed, t.Errors, t.Skipped, rep.Files)
	for _, name := range t.Bad {
		r.note(r.log.Warn, "[%s] : Did not succeed: %s", step, printable(name))
	}
	if more := t.Failed + t.Errors - len(t.Bad); more > 0 {
		r.note(r.log.Warn, "[%s] : and %d more", step, more)
	}
}

// noteCoverage says in the log how much the tests have reached.
func (r *run) noteCoverage(step, pattern string, rep build.Report) {
	if rep.Archive == "" {
		r.note(r.log.Warn, "[%s] : No coverage report matches %s.", step, printable(pattern))
		return
	}
	var figures []string
	for _, f := range []struct {
		name string
		report.Counter
	}{{"lines", rep.Coverage.Lines}, {"branches", rep.Coverage.Branches}, {"statements", rep.Coverage.Statements}} {
		if f.Total > 0 {
			figures = append(figures, fmt.Sprintf("%.1f%% of %d %s", 100*f.Ratio(), f.Total, f.name))
		}
	}
	if len(figures) == 0 {
		r.note(r.log.Warn, "[%s] : The coverage reports are kept. None of them has figures that JaCoCo, Cobertura or Go would write.", step)
		return
	}
	r.note(r.log.Info, "[%s] : Coverage: %s.", step, strings.Join(figures, ", "))
}
