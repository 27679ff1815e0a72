// Package podmantest runs Podman's API service inside a test, with a storage of its own and images that need no network.
package podmantest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"atelier/internal/needs"
	"atelier/internal/orphan"
)

// The images that an engine has.
const (
	Tools = "localhost/atelier/tools:1" // busybox, bash and git
	Small = "localhost/atelier/small:1" // busybox
)

// Engine is a running service.
type Engine struct {
	Socket string

	podman string
	dir    string
	env    []string
	stop   func()
}

// Start starts a service that ends with the test, and all its containers with it.
func Start(t testing.TB) *Engine {
	t.Helper()
	e := &Engine{podman: needs.Program(t, "podman")}
	if os.Getuid() != 0 {
		t.Skip("only root can limit containers everywhere")
	}
	var err error
	if e.dir, err = os.MkdirTemp("", "podman"); err != nil { // a test's own directory is too long for a socket
		t.Fatal(err)
	}
	t.Cleanup(func() { e.clean(t) })
	e.Socket = filepath.Join(e.dir, "socket")
	e.configure(t)
	e.Import(t, Tools, "busybox", "busybox", "bash", "git")
	e.Import(t, Small, "busybox", "busybox")
	e.serve(t)
	return e
}

// configure writes the configuration: everything in one directory.
func (e *Engine) configure(t testing.TB) {
	t.Helper()
	const runtime = "runc" // which knows cgroups of both versions, side by side
	for name, text := range map[string]string{
		"containers.conf": "[engine]\nruntime=\"" + runtime + "\"\ncgroup_manager=\"cgroupfs\"\nevents_logger=\"none\"\ntmp_dir=\"" + e.dir + "/tmp\"\n" +
			"[network]\nnetwork_config_dir=\"" + e.dir + "/networks\"\n",
		"storage.conf":    "[storage]\ndriver=\"overlay\"\ngraphroot=\"" + e.dir + "/root\"\nrunroot=\"" + e.dir + "/run\"\n",
		"registries.conf": "[[registry]]\nlocation=\"127.0.0.1\"\ninsecure=true\n",
		"policy.json":     `{"default":[{"type":"insecureAcceptAnything"}]}`,
	} {
		if err := os.WriteFile(filepath.Join(e.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e.env = append(os.Environ(), "CONTAINERS_CONF="+e.dir+"/containers.conf", "CONTAINERS_STORAGE_CONF="+e.dir+"/storage.conf",
		"CONTAINERS_REGISTRIES_CONF="+e.dir+"/registries.conf", "TMPDIR="+e.dir)
}

// Podman runs a command on the storage of the service, and returns what it prints.
func (e *Engine) Podman(t testing.TB, args ...string) string {
	t.Helper()
	command := exec.CommandContext(context.Background(), e.podman, args...)
	command.Env = e.env
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("podman %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// Containers returns the ids of all containers, also of those that have ended.
func (e *Engine) Containers(t testing.TB) []string {
	t.Helper()
	return strings.Fields(e.Podman(t, "ps", "--all", "--quiet"))
}

// Import makes an image of programs of this machine. One of them is its sh, unless that is empty.
func (e *Engine) Import(t testing.TB, image, shell string, programs ...string) {
	t.Helper()
	e.Podman(t, "import", "--quiet", archive(t, shell, programs), image)
}

// Labelled returns the ids of the containers that have a label.
func (e *Engine) Labelled(t testing.TB, label, value string) []string {
	t.Helper()
	return strings.Fields(e.Podman(t, "ps", "--all", "--quiet", "--filter", "label="+label+"="+value))
}

// serve starts the service and waits until it answers.
func (e *Engine) serve(t testing.TB) {
	t.Helper()
	service := exec.CommandContext(context.Background(), e.podman, "--log-level=error", "system", "service", "--time=0", "unix://"+e.Socket)
	service.Env, service.Stderr = e.env, t.Output()
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = service.Wait()
	}()
	e.stop = func() {
		_ = service.Process.Kill() // asked to end, it would wait for what uses it
		<-ended
	}
	for {
		conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: e.Socket, Net: "unix"})
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-ended:
			t.Fatalf("the service of Podman ended: %v", service.ProcessState)
		case <-time.After(10 * time.Millisecond): // a socket that appears is no event
		}
	}
}

// Stop ends the service. Its containers go on.
func (e *Engine) Stop() { e.stop() }

// Restart starts the service again.
func (e *Engine) Restart(t testing.TB) {
	t.Helper()
	if err := os.Remove(e.Socket); err != nil {
		t.Fatal(err)
	}
	e.serve(t)
}

// clean ends the service and removes everything.
func (e *Engine) clean(t testing.TB) {
	if e.stop != nil {
		e.stop()
	}
	e.Podman(t, "rm", "--all", "--force", "--time=0")
	// The monitor of a command that was run in a container stays for minutes, and then makes the directory again.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := orphan.End(ctx, e.owns, 0); err != nil {
		t.Error(err)
	}
	for unix.Unmount(e.dir+"/root/overlay", unix.MNT_DETACH) == nil { // Podman mounts it on itself
	}
	if err := os.RemoveAll(e.dir); err != nil {
		t.Error(err)
	}
}

// owns reports whether a process works on the storage of the service.
func (e *Engine) owns(pid int) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && bytes.Contains(line, []byte("\x00"+e.dir+"/root\x00"))
}
