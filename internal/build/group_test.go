package build

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestPlace moves groups about at random. Whatever is refused, what is left is a tree of at most five levels whose paths are right.
func TestPlace(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var groups []Group
		for i := range 12 {
			groups = append(groups, Group{ID: fmt.Sprintf("%032d", i)})
			if err := place(groups, i, fmt.Sprint("g", i), ""); err != nil {
				t.Fatal(err)
			}
		}
		for range 40 {
			i, parent := rapid.IntRange(0, 11).Draw(t, "group"), rapid.IntRange(-1, 11).Draw(t, "parent")
			edited, parentID := append([]Group(nil), groups...), ""
			if parent >= 0 {
				parentID = groups[parent].ID
			}
			if err := place(edited, i, groups[i].Name, parentID); err == nil {
				groups = edited
			} else if parent >= 0 && !groups[parent].within(groups[i].ID) && groups[parent].depth() == 1 && groups[i].depth() > 1 {
				t.Fatalf("a group cannot move up: %v", err)
			}
			checkTree(t, groups)
		}
	})
}

func checkTree(t *rapid.T, groups []Group) {
	byID := make(map[string]Group)
	for _, g := range groups {
		byID[g.ID] = g
	}
	for _, g := range groups {
		ids := []string{g.ID}
		for at := g; at.ParentID != ""; at = byID[at.ParentID] {
			ids = append([]string{at.ParentID}, ids...)
			if len(ids) > MaxGroupDepth {
				t.Fatalf("%s has too many levels above it, or is below itself", g.Name)
			}
		}
		if want := strings.Join(ids, "."); g.Path != want {
			t.Fatalf("the path of %s is %s, want %s", g.Name, g.Path, want)
		}
	}
}
