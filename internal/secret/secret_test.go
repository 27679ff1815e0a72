package secret_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/secret"
)

var _ build.Sealer = (*secret.Sealer)(nil)

func open(t *testing.T, path string) *secret.Sealer {
	t.Helper()
	s, err := secret.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func seal(t *testing.T, s *secret.Sealer, plain string) string {
	t.Helper()
	sealed, err := s.Seal(plain)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestSealedOpensAgainWithTheFileThatWasMade(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret.key")
	first := open(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("key file: %v, %v; want mode 0600", info.Mode(), err)
	}
	for _, plain := range []string{"", "wJ7Qm2xV9tB4", strings.Repeat("ä\x00", 10_000)} {
		sealed := seal(t, first, plain)
		if !strings.HasPrefix(sealed, secret.Prefix) || (plain != "" && strings.Contains(sealed, plain)) {
			t.Errorf("sealed text %.60q", sealed)
		}
		if sealed == seal(t, first, plain) {
			t.Error("the same text was sealed twice alike")
		}
		if got, err := open(t, path).Open(sealed); err != nil || got != plain {
			t.Errorf("opened %.20q, %v, want %.20q", got, err, plain)
		}
	}
	if names, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
}

func TestWhatCannotBeOpened(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "a"))
	sealed := seal(t, s, "hush-hush")
	body := strings.TrimPrefix(sealed, secret.Prefix)
	tests := map[string]string{
		"empty":         "",
		"plain":         "hush-hush",
		"no prefix":     body,
		"no base64":     secret.Prefix + "!!" + body,
		"nothing in it": secret.Prefix,
		"cut":           sealed[:len(sealed)-4],
		"changed":       secret.Prefix + body[:20] + string(body[20]^1) + body[21:],
		"another key":   seal(t, open(t, filepath.Join(t.TempDir(), "b")), "hush-hush"),
	}
	for name, text := range tests {
		plain, err := s.Open(text)
		if err == nil {
			t.Errorf("%s: opened as %q", name, plain)
			continue
		}
		if strings.Contains(err.Error(), "hush") || (text != "" && strings.Contains(err.Error(), text)) {
			t.Errorf("%s: the error quotes the text: %v", name, err)
		}
	}
}

func TestKeyFilesThatAreRefused(t *testing.T) {
	t.Parallel()
	good := filepath.Join(t.TempDir(), "good")
	open(t, good)
	keys, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	write := func(t *testing.T, path string, text []byte, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(path, text, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil { // whatever the umask says
			t.Fatal(err)
		}
	}
	tests := []struct {
		name string
		make func(t *testing.T, path string)
		want string
	}{
		{"the group may read", func(t *testing.T, p string) { write(t, p, keys, 0o640) }, "has mode 0640"},
		{"all may read", func(t *testing.T, p string) { write(t, p, keys, 0o604) }, "has mode 0604"},
		{"empty", func(t *testing.T, p string) { write(t, p, nil, 0o600) }, "is damaged"},
		{"half", func(t *testing.T, p string) { write(t, p, keys[:len(keys)/2], 0o600) }, "is damaged"},
		{"something else", func(t *testing.T, p string) { write(t, p, []byte("password: hush-hush"), 0o600) }, "is damaged"},
		{"no keys in it", func(t *testing.T, p string) { write(t, p, []byte(`{"primaryKeyId":1,"key":[]}`), 0o600) }, "is damaged"},
		{"a directory", func(t *testing.T, p string) {
			if err := os.Mkdir(p, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "is no regular file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "secret.key")
			tt.make(t, path)
			_, err := secret.Open(path)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error = %v, want one with %q and the path", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "hush") {
				t.Errorf("the error quotes the file: %v", err)
			}
		})
	}
	if _, err := secret.Open(filepath.Join(t.TempDir(), "none", "key")); !fault.Is(err, fault.Invalid) {
		t.Errorf("directory that does not exist: %v", err)
	}
}

func TestManyMakeOneKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret.key")
	sealers := make([]*secret.Sealer, 16)
	var wg sync.WaitGroup
	for i := range sealers {
		wg.Go(func() {
			var err error
			if sealers[i], err = secret.Open(path); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	sealed := seal(t, sealers[0], "one")
	for i, s := range sealers {
		if got, err := s.Open(sealed); err != nil || got != "one" {
			t.Errorf("sealer %d: %q, %v", i, got, err)
		}
	}
}
