package httpapi_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/httpapi"
)

var update = flag.Bool("update", false, "write the golden files")

const operationsFile = "testdata/operations.txt"

// TestOperations checks the table of operations. Other tests read the golden file to know what there is to be tested.
func TestOperations(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	ids, routes := make(map[string]bool), make(map[string]bool)
	for _, o := range httpapi.Operations() {
		fmt.Fprintf(&text, "%s %s %s %s\n", o.ID, o.Method, o.Path, o.State)
		route := o.Method + " " + o.Path
		if ids[o.ID] || routes[route] {
			t.Errorf("%s or %s is there twice", o.ID, route)
		}
		ids[o.ID], routes[route] = true, true
		if o.Summary == "" {
			t.Errorf("%s has no summary", o.ID)
		}
	}
	if *update {
		if err := os.WriteFile(operationsFile, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(operationsFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text.String()); diff != "" {
		t.Errorf("the table has changed; run go test ./internal/httpapi -run TestOperations -update (-%s +the table):\n%s", operationsFile, diff)
	}
}
