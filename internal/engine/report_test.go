package engine_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/build"
)

// reports returns what is kept of the tests of a build.
func (w *world) reports(id build.RecordID) []build.Report {
	w.t.Helper()
	reports, err := w.store.Reports(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return reports
}

// wantReports compares the reports of a build, a line each.
func (w *world) wantReports(id build.RecordID, want ...string) []build.Report {
	w.t.Helper()
	var shown []string
	reports := w.reports(id)
	for _, r := range reports {
		shown = append(shown, fmt.Sprintf("%s: %d files, %d+%d+%d+%d in %s, %v", r.Stage, r.Files, r.Tests.Succeeded, r.Tests.Failed, r.Tests.Errors, r.Tests.Skipped,
			r.Tests.Time, r.Coverage))
		if r.RecordID != id || r.ID == "" || r.CreatedAt.IsZero() {
			w.t.Errorf("report %+v", r)
		}
	}
	if diff := cmp.Diff(want, shown); diff != "" {
		w.t.Errorf("reports (-want +got):\n%s", diff)
	}
	return reports
}

// archive returns the files of an archive by name.
func (w *world) archive(key string) map[string]string {
	w.t.Helper()
	f, size, err := w.artifacts.Kept(w.t.Context(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil || int64(len(data)) != size {
		w.t.Fatal(len(data), size, err)
	}
	r, err := zip.NewReader(bytes.NewReader(data), size)
	if err != nil {
		w.t.Fatal(err)
	}
	files := make(map[string]string)
	for _, f := range r.File {
		in, err := f.Open()
		if err != nil {
			w.t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			w.t.Error(err)
		}
		files[f.Name] = string(text)
	}
	return files
}

// tests is a step whose commands leave results.
func tests(command string, properties ...string) build.ActionStep {
	return step("maven", append([]string{"command", command, "deal", "deal", "file", "**/TEST*.xml"}, properties...)...)
}

const (
	goodTests = `mkdir -p a; echo '<testsuite><testcase name="x" time="0.5"/><testcase name="y"><skipped/></testcase></testsuite>' > a/TEST-a.xml;`
	badTests  = `echo '<testsuite><testcase classname="Cart" name="totals"><failure/></testcase><testcase name="z"><error/></testcase></testsuite>' > TEST-b.xml;`
)

func TestReports(t *testing.T) {
	t.Parallel()
	w := newStarted(t)
	record := w.run(w.job(build.Config{Steps: []build.ActionStep{
		tests(goodTests + badTests),
		tests(`echo a second time; echo '<testsuite><testcase name="x"/></testsuite>' > a/TEST-a.xml`),
		tests("true"),
		tests("mkdir -p target/site/jacoco/com; cd target/site/jacoco; echo '<html>' > com/index.html; echo '<report><counter type=\"LINE\" missed=\"1\" covered=\"3\"/></report>' > jacoco.xml",
			"junitCoverageSwitch", "true"),
		tests(`printf 'mode: set\na.go:1.1,2.2 3 1\na.go:4.1,5.2 1 0\n' > cover.out`, "file", "", "junitCoverageSwitch", "true", "coverageReportPath", "*.out"),
		tests("rm -r target", "junitCoverageSwitch", "true"),
	}}))
	w.wantEnd(record, build.Succeeded, "")
	reports := w.wantReports(record.ID,
		"stage1: 2 files, 1+1+1+1 in 500ms, {{0 0} {0 0} {0 0}}",
		"stage2: 1 files, 1+0+0+0 in 0s, {{0 0} {0 0} {0 0}}",
		"stage4: 0 files, 0+0+0+0 in 0s, {{3 4} {0 0} {0 0}}",
		"stage5: 0 files, 0+0+0+0 in 0s, {{0 0} {0 0} {3 4}}",
	)
	w.wantLog(record.ID,
		"4 tests in 500ms: succeeded 1, failed 1, errors 1, skipped 1 (files: 2).", "Did not succeed: Cart.totals\n", "Did not succeed: z\n",
		"No file with test results matches **/TEST*.xml.", "No coverage report matches **/site/jacoco.",
		"Coverage: 75.0% of 4 lines.", "Coverage: 75.0% of 4 statements.",
	)
	want := map[string]string{
		"target/site/jacoco/com/index.html": "<html>\n",
		"target/site/jacoco/jacoco.xml":     "<report><counter type=\"LINE\" missed=\"1\" covered=\"3\"/></report>\n",
	}
	if diff := cmp.Diff(want, w.archive(reports[2].Archive)); diff != "" {
		t.Errorf("archive (-want +got):\n%s", diff)
	}
	if err := w.artifacts.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.archive(reports[3].Archive); len(got) != 1 || got["cover.out"] == "" {
		t.Errorf("archive after a sweep: %v", got)
	}
}

// TestFailingTests: what a step's tests come to is kept also when it failed, and can be why it did.
func TestFailingTests(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		step  build.ActionStep
		error string // of the build
		want  string
	}{
		"a failed step":                       {tests(badTests + "exit 3"), `Step "maven" failed with exit code 3.`, "0+1+1+0"},
		"a failed step that tests could fail": {tests(badTests+"exit 3", "ignoreTest", "false"), `Step "maven" failed with exit code 3.`, "0+1+1+0"},
		"tests that are not to fail":          {tests(goodTests+badTests, "ignoreTest", "false"), `Step "maven" failed: 2 of 4 tests did not succeed, which it is not to ignore.`, "1+1+1+1"},
		"tests that did not":                  {tests(goodTests, "ignoreTest", "false"), "", "1+0+0+1"},
		"a broken file": {
			tests(goodTests+"echo '<testsuite><testcase' > TEST-c.xml", "ignoreTest", "false"),
			`Step "maven" failed: At least 1 of the files with test results could not be read, so nobody knows whether all tests succeeded.`, "1+0+0+1",
		},
		"a broken file that is ignored": {tests(goodTests + "echo '<testsuite><testcase' > TEST-c.xml; ln -s TEST-c.xml TEST-d.xml; mkfifo TEST-e.xml"), "", "1+0+0+1"},
		"too many files": {
			tests(`mkdir more; cd more; seq 10001 | sed 's/.*/TEST-&.xml/' | xargs touch; cd ..;`+goodTests, "ignoreTest", "false"),
			`Step "maven" failed: At least 10000 of the files with test results could not be read, so nobody knows whether all tests succeeded.`, "1+0+0+1",
		},
		"an ignored failure": {tests(badTests, "ignoreTest", "false", "ignore_fail", "true"), "", "0+1+1+0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newStarted(t)
			record := w.run(w.job(build.Config{Steps: []build.ActionStep{c.step}}))
			state := build.Succeeded
			if c.error != "" {
				state = build.Failed
			}
			w.wantEnd(record, state, c.error)
			if reports := w.reports(record.ID); len(reports) != 1 || !strings.Contains(fmt.Sprintf("%d+%d+%d+%d",
				reports[0].Tests.Succeeded, reports[0].Tests.Failed, reports[0].Tests.Errors, reports[0].Tests.Skipped), c.want) {
				t.Errorf("reports: %+v", reports)
			}
		})
	}
}

// TestNoReports: what cannot be collected is said, and fails nothing.
func TestNoReports(t *testing.T) {
	t.Parallel()
	w := newStarted(t)
	record := w.run(w.job(build.Config{Steps: []build.ActionStep{
		tests(`echo '<coverage/>' > TEST-a.xml; printf 'mode: set\nnonsense\n' > cover.out`, "junitCoverageSwitch", "true", "coverageReportPath", "cover.out"),
	}}))
	w.wantEnd(record, build.Succeeded, "")
	w.wantReports(record.ID, "stage1: 0 files, 0+0+0+0 in 0s, {{0 0} {0 0} {0 0}}")
	w.wantLog(record.ID, "TEST-a.xml begins with <coverage>;", "cover.out line 2 is not of the form", "The coverage reports are kept. None of them has figures")

	record = w.run(w.job(build.Config{Steps: []build.ActionStep{tests(`d=$PWD; cd /; rm -r "$d"`, "ignoreTest", "false")}}))
	w.wantEnd(record, build.Succeeded, "")
	w.wantReports(record.ID)
	w.wantLog(record.ID, "No test reports: an earlier step removed the workspace.")
}

// TestReportSecrets: nothing of a private parameter comes into the log by way of a test's name.
func TestReportSecrets(t *testing.T) {
	t.Parallel()
	w := newStarted(t)
	job := w.job(build.Config{
		Parameters: []build.Parameter{private("password", "hunter2hunter2")},
		Steps:      []build.ActionStep{tests(`echo "<testsuite><testcase name='of $password&#10;second line'><failure/></testcase></testsuite>" > TEST-a.xml`)},
	})
	record := w.run(job)
	w.wantEnd(record, build.Succeeded, "")
	w.wantLog(record.ID, `Did not succeed: "of ******\nsecond line"`)
	if log := w.log(record.ID); strings.Contains(log, "hunter2") {
		t.Errorf("the log is\n%s", log)
	}
}
