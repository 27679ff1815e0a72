package podmantest

import (
	"archive/tar"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"atelier/internal/needs"
)

// archive writes a file system with programs of this machine, which bring the libraries that they need, and returns its file. One of
// them is the shell, if that is not empty.
func archive(t testing.TB, shell string, programs []string) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "image.tar"))
	if err != nil {
		t.Fatal(err)
	}
	a := &archiver{t: t, out: tar.NewWriter(file), has: make(map[string]bool)}
	for _, program := range programs {
		path := needs.Program(t, program)
		a.file(path, "/bin/"+program, 0o755)
		for _, library := range libraries(t, path) {
			a.file(library, library, 0o755)
		}
	}
	if shell != "" {
		a.link("sh", shell)
		for applet := range strings.FieldsSeq(output(t, needs.Program(t, "busybox"), "--list")) {
			a.link(applet, "busybox")
		}
	}
	for _, dir := range []string{"/tmp", "/dev", "/proc", "/sys", "/etc"} {
		a.add(tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: 0o755}, nil)
	}
	if err := a.out.Close(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Name()
}

var absolute = regexp.MustCompile(`/\S+`)

// libraries returns the libraries of a program; none for a static one.
func libraries(t testing.TB, program string) []string {
	t.Helper()
	out, err := exec.CommandContext(context.Background(), "ldd", program).Output()
	if err != nil {
		return nil
	}
	return absolute.FindAllString(string(out), -1)
}

func output(t testing.TB, program string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(context.Background(), program, args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// archiver writes files to an archive, each name once.
type archiver struct {
	t   testing.TB
	out *tar.Writer
	has map[string]bool
}

func (a *archiver) file(path, name string, mode int64) {
	a.t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		a.t.Fatal(err)
	}
	a.add(tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: mode, Size: int64(len(data))}, data)
}

func (a *archiver) link(name, program string) {
	a.t.Helper()
	a.add(tar.Header{Name: "/bin/" + name, Typeflag: tar.TypeSymlink, Linkname: program}, nil)
}

func (a *archiver) add(header tar.Header, data []byte) {
	a.t.Helper()
	if a.has[header.Name] {
		return
	}
	a.has[header.Name] = true
	if err := a.out.WriteHeader(&header); err != nil {
		a.t.Fatal(err)
	}
	if _, err := a.out.Write(data); err != nil {
		a.t.Fatal(err)
	}
}
