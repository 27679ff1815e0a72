package container

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/api/pkg/authconfig"

	"atelier/internal/fault"
)

func TestCatalogue(t *testing.T) {
	t.Parallel()
	c := DefaultCatalogue()
	for _, test := range []struct{ asked, keyword, want string }{
		{"", "sh", "docker.io/library/buildpack-deps:bookworm"},
		{"", "npm", "docker.io/library/node:18"},
		{"", "unheard-of", "docker.io/library/buildpack-deps:bookworm"},
		{"cloudbuild@nodejs18", "sh", "docker.io/library/node:18"},
		{"nodejs18", "sh", "docker.io/library/node:18"},
		{"library/alpine", "npm", "docker.io/library/alpine:latest"},
		{"localhost:5000/a:1", "npm", "localhost:5000/a:1"},
		{"ghcr.io/a/b@sha256:" + strings.Repeat("0", 64), "npm", "ghcr.io/a/b@sha256:" + strings.Repeat("0", 64)},
	} {
		image, err := c.image(test.asked, test.keyword)
		if err != nil || image.String() != test.want {
			t.Errorf("%+v: %v, %v", test, image, err)
		}
	}
	for _, asked := range []string{"cloudbuild@", "cloudbuild@nodejs17", "nodejs18 ", "alpine:3", "cloudbuild@library/alpine", "a/b:c:d", "/a", "a/", "a/B", "a/b --privileged", "${image}"} {
		if image, err := c.image(asked, "npm"); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v, %v", asked, image, err)
		}
	}
}

func TestCatalogueCheck(t *testing.T) {
	t.Parallel()
	c := DefaultCatalogue()
	if err := c.check([]string{"cloudbuild@nodejs18", "library/alpine"}); err != nil {
		t.Error(err)
	}
	err := c.check([]string{"cloudbuild@cobol", "nodejs18", "cloudbuild@cobol", "a/B"})
	if !fault.Is(err, fault.Invalid) || strings.Count(err.Error(), `"cobol"`) != 1 || !strings.Contains(err.Error(), "\n\"a/B\" is not the address of an image") {
		t.Errorf("the problems are\n%v", err)
	}
}

func TestCatalogueFile(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"default: a\nimages: {a: example.org/a:1}": "",
		"":                             `default: there is no image "" here`,
		"default: a\nimages: {b: x/b}": `default: there is no image "a"; there are b`,
		"default: a\nimages: {a: x/a}\nkeywords: {npm: c}": `keywords: npm: there is no image "c"; there are a`,
		"default: a\nimages: {a: x/a, b: 'B//'}":           `images: b: "B//" is not the address of an image`,
		"default: a\nimages: {a: x/a}\nimage: {}":          "image",
		"default: [a]": "line 1",
		"default: a\nimages: {a: x/a}\n---\ndefault: is not looked at": "",
	} {
		file := filepath.Join(t.TempDir(), "images.yml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := ReadCatalogue(file)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), strings.TrimSuffix(want, " here")) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := ReadCatalogue(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there was read")
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "config.json")
	pair := base64.StdEncoding.EncodeToString([]byte("user:pass:word"))
	text := `{"auths": {"https://index.docker.io/v1/": {"auth": "` + pair + `"}, "registry.example.org:5000": {"identitytoken": "tok"}}, "credsStore": "x"}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := CheckRegistryConfig(file); err != nil {
		t.Error(err)
	}
	for address, want := range map[string]string{
		"alpine":                        "user pass:word ",
		"registry.example.org:5000/a/b": "  tok",
		"registry.example.org/a/b":      "none",
		"evil.example.org/docker.io/a":  "none",
	} {
		image, err := parseImage(address)
		if err != nil {
			t.Fatal(err)
		}
		encoded, err := credentials(file, image)
		if err != nil {
			t.Error(err)
		}
		got := "none"
		if encoded != "" {
			auth, err := authconfig.Decode(encoded)
			if err != nil {
				t.Fatal(err)
			}
			got = auth.Username + " " + auth.Password + " " + auth.IdentityToken
		}
		if got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
}

func TestCredentialsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "[]", `{"auths": {"a": {"auth": "secret!"}}}`, `{"auths": {"a": {"auth": "c2VjcmV0"}}}`, `{"auths": {"a": "secret"}}`} {
		file := filepath.Join(t.TempDir(), "config.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := CheckRegistryConfig(file); err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "c2VjcmV0") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := CheckRegistryConfig(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there was read")
	}
}

// FuzzImage checks that whatever a build file asks for is an image of the catalogue, a whole address, or a mistake of the file.
func FuzzImage(f *testing.F) {
	for _, asked := range []string{"", "cloudbuild@nodejs18", "nodejs18", "a/b", "localhost:5000/a/b:1@sha256:" + strings.Repeat("0", 64), "a/b c", "a/../b", "/", "ü/ü"} {
		f.Add(asked, "npm")
	}
	c := DefaultCatalogue()
	f.Fuzz(func(t *testing.T, asked, keyword string) {
		image, err := c.image(asked, keyword)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%q: %v is not the file's mistake", asked, err)
			}
			return
		}
		address := image.String()
		if again, err := parseImage(address); err != nil || again.String() != address {
			t.Errorf("%q: %s is not a whole address: %v", asked, address, err)
		}
		if strings.ContainsAny(address, " \t\n\x00?&#%") || !strings.Contains(address, "/") || strings.Contains(address, "/../") {
			t.Errorf("%q: %q", asked, address)
		}
	})
}
