package hook

import (
	"fmt"
	"strings"
	"testing"

	"atelier/internal/build"
)

// TestRota checks that tenants take turns, however many projects of one wait, and that each has a bound.
func TestRota(t *testing.T) {
	t.Parallel()
	r := rota{busy: make(map[Waiting]bool), turns: make(map[string]int)}
	waiting := []Waiting{{"small", "other"}}
	for i := range 5 {
		waiting = append(waiting, Waiting{build.ProjectID(fmt.Sprint("flood", i)), "flood"})
	}
	r.set(waiting)
	at := make(map[string]Waiting)
	all := func() string {
		var order []string
		for w, ok := r.next(); ok; w, ok = r.next() {
			order = append(order, string(w.Project))
			at[string(w.Project)] = w
		}
		return strings.Join(order, " ")
	}
	if got := all(); got != "small flood0 flood1" {
		t.Errorf("first: %s", got)
	}
	r.end(handled{at["flood1"], true})
	if got := all(); got != "flood2" {
		t.Errorf("then: %s", got)
	}
	r.set(waiting) // somebody has told of more
	r.end(handled{at["small"], true})
	r.end(handled{at["flood0"], false})
	if got := all(); got != "small flood3" {
		t.Errorf("then: %s", got)
	}
	for _, name := range []string{"small", "flood2", "flood3"} {
		r.end(handled{at[name], false})
	}
	if got := all(); got != "flood4 flood1" || len(r.waiting) != 2 {
		t.Errorf("at last: %s of %v", got, r.waiting)
	}
}
