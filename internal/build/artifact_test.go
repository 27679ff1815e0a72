package build_test

import (
	"strings"
	"testing"

	"atelier/internal/build"
)

func TestArtifactAddress(t *testing.T) {
	t.Parallel()
	for _, v := range []string{"2.1", "20240229.1", "app/1.0.0", "größe 1", "...", strings.Repeat("x/", 200) + "x"} {
		if why := build.CheckArtifactVersion(v); why != "" {
			t.Errorf("the version %q %s", v, why)
		}
	}
	for _, v := range []string{"", "/", "/a", "a/", "a//b", "..", "a/../b", ".", "a\nb", "a\x00", "\xff", strings.Repeat("x/", 300) + "x", strings.Repeat("x", 256)} {
		if build.CheckArtifactVersion(v) == "" {
			t.Errorf("the version %q is taken", v)
		}
	}
	for name, want := range map[string]bool{
		"app-1.0.tar.gz": true, ".hidden": true, "a b%20?#": true, "日本": true, "a/b": false, "": false, "..": false, "a\tb": false, "\xc3": false,
		strings.Repeat("x", 255): true, strings.Repeat("x", 256): false,
	} {
		if why := build.CheckArtifactName(name); (why == "") != want {
			t.Errorf("the name %q: %q", name, why)
		}
	}
}
