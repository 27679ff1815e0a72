package conformance_test

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/compatibility.md")

const (
	operationsFile    = "../../internal/httpapi/testdata/operations.txt" // which a test of httpapi keeps equal to the table of operations
	compatibilityFile = "../../docs/compatibility.md"
)

const introduction = `# Compatibility

Every operation of the official Go SDK (v0.1.207, ` + "`services/codeartsbuild/v3`" + `) answers, those that the vendor calls outdated or retiring like all others. The table is made from the
service's own table of operations by ` + "`go test ./test/conformance -update`" + `; the same test calls each of them through the SDK, against a server with real builds in it, and fails when an
answer lacks a key that the SDK's models decode, or has no value for it though there could be one. Another one calls them with every documented parameter at its limits, beyond them, and
without it: what is beyond is refused. Every error that the [OpenAPI document](openapi.md) has for an operation is provoked too. Mandatory parameters that have a documented default may be left out, and a page size of 0 stands for the default.

"Vendor" is what the vendor says of an operation's future: *current*, *outdated* (it has a newer twin), *retiring* (the vendor will take it away). Here all of them stay. Where a
twin is named, a third test compares the two: what they answer, what they leave behind, and what they refuse.

"Known differences" are those from the vendor's documents, or from what its hosted service was seen to do. "Undocumented" is what no document says, and how it was decided here.

| operation | | vendor | here | known differences | undocumented, and decided |
| --- | --- | --- | --- | --- | --- |
`

// everywhere is what was decided for more than one operation.
const everywhere = `
Undocumented for many operations, and decided:

* Lists are newest first. A page behind the last one is an empty list. A page size is at most 100. Keys that a body has beside the documented ones are ignored.
* A build that waits is QUEUED (code 1), one that runs RUNNING (4), one that ran too long TIMEOUT (9); a failed one has code 6. In histories, TIMEOUT is ABORTED and SCHEDULE_FAILURE is
  FAILURE. A build whose executor was lost is a FAILURE that says so; SCHEDULE_FAILURE is everything that fails before the first step.
* Triggers are Manual, Scheduled, Code change and Pipeline for people, and the vendor's Chinese words for clients that ask for Chinese.
* Times without a zone, and days, are those of ` + "`--time-zone`" + `; fractions have three digits. Durations are in milliseconds and end at 2147483647.
* A key without a value is null. ` + "`error`" + ` is null in every answer that is none.
* Private values are shown as six asterisks.
* What does not exist, or may not be seen, is 404, or 422 with ` + "`--not-found-status 422`" + `. Other errors without a documented code: [errors.md](errors.md).
`

// TestCompatibilityPage keeps docs/compatibility.md equal to the table of operations, and checks that it has everything of the SDK.
func TestCompatibilityPage(t *testing.T) {
	t.Parallel()
	differences, decisions, newer := readNotes(t, "testdata/differences.txt"), readNotes(t, "testdata/undocumented.txt"), readTwins()
	names := make(map[string]bool)
	for _, m := range methods() {
		names[m.Name] = true
	}
	var page, more strings.Builder
	page.WriteString(introduction)
	for _, line := range lines(t, operationsFile) {
		words := strings.Fields(line)
		id, route, state := words[0], words[1]+" `"+words[2]+"`", words[3]
		switch {
		case names[id]:
			if twin := newer[id]; twin != "" {
				state += ": `" + twin + "`"
			}
			fmt.Fprintf(&page, "| `%s` | %s | %s | works | %s | %s |\n", id, route, state, differences[id], decisions[id])
			delete(names, id)
			delete(differences, id)
			delete(decisions, id)
		case state == "own" || !strings.HasPrefix(words[2], "/v3/auth") && !strings.HasPrefix(words[2], "/v3/projects") && !strings.HasPrefix(words[2], "/v3/users") && !strings.HasPrefix(words[2], "/v3.0/"):
			fmt.Fprintf(&more, "| `%s` | %s | %s |\n", id, route, map[bool]string{true: "Atelier's own", false: "documented, not in the SDK"}[state == "own"])
		}
	}
	page.WriteString(everywhere)
	page.WriteString("\nOperations that the SDK does not have:\n\n| operation | | |\n| --- | --- | --- |\n" + more.String())
	page.WriteString("\nThe operations of the identity service that SDKs need to sign in are in [sdks.md](sdks.md), errors in [errors.md](errors.md), who may call what in [permissions.md](permissions.md).\n")
	for name := range names {
		t.Errorf("the SDK has %s, and the service has not", name)
	}
	for _, notes := range []map[string]string{differences, decisions} {
		for id := range notes {
			t.Errorf("a note is about %s, which there is not", id)
		}
	}
	if *update {
		if err := os.WriteFile(compatibilityFile, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(compatibilityFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(page.String(), string(got)); diff != "" {
		t.Errorf("run go test ./test/conformance -update (-the table +%s):\n%s", compatibilityFile, diff)
	}
}

func readNotes(t *testing.T, name string) map[string]string {
	t.Helper()
	notes := make(map[string]string)
	for _, line := range lines(t, name) {
		if id, text, ok := strings.Cut(line, " "); ok && id != "#" {
			notes[id] = text
		}
	}
	return notes
}

func lines(t *testing.T, name string) []string {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var out []string
	for s := bufio.NewScanner(file); s.Scan(); {
		out = append(out, s.Text())
	}
	return out
}

// TestTables checks that the tables of requests are about operations that there are.
func TestTables(t *testing.T) {
	t.Parallel()
	known := func(id string) bool {
		return slices.ContainsFunc(methods(), func(m reflect.Method) bool { return m.Name == id })
	}
	for id := range bodies {
		if !known(id) {
			t.Errorf("there is no operation %s", id)
		}
	}
	for key := range fields {
		if id, _, ok := strings.Cut(key, " "); ok && !known(id) {
			t.Errorf("there is no operation %s", id)
		}
	}
	for key := range void {
		if id, _, ok := strings.Cut(key, " "); ok && !known(id) {
			t.Errorf("there is no operation %s", id)
		}
	}
}
