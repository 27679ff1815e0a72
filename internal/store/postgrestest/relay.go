package postgrestest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Relay is a way to a cluster that can be cut, and that can fall silent: then it accepts connections and says nothing. It can do
// again what it does at first, which is to pass on everything.
type Relay struct {
	cluster  *Cluster
	dir      string
	listener net.Listener

	mu     sync.Mutex
	cut    bool
	passes chan struct{} // closed while it passes on
	conns  map[net.Conn]bool
}

// Relay returns a way to the cluster, which is closed with the test.
func (c *Cluster) Relay(t testing.TB) *Relay {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "pgr") // short, as in start
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join(dir, socketName))
	if err != nil {
		t.Fatal(err)
	}
	r := &Relay{cluster: c, dir: dir, listener: listener, passes: make(chan struct{}), conns: make(map[net.Conn]bool)}
	close(r.passes)
	var serving sync.WaitGroup
	serving.Go(func() { r.serve(&serving) })
	t.Cleanup(func() {
		_ = listener.Close()
		r.Cut()
		serving.Wait()
		_ = os.RemoveAll(dir)
	})
	return r
}

// socketName is what clients look for in the directory of an address.
const socketName = ".s.PGSQL.5432"

// URL returns the address of the database that every server has, by way of the relay.
func (r *Relay) URL() string {
	return "postgres:///postgres?" + url.Values{"host": {r.dir}, "user": {"postgres"}}.Encode()
}

// Cut breaks all connections, and those that are made from now on at once.
func (r *Relay) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = true
	r.pass()
	for conn := range r.conns {
		_ = conn.Close()
	}
	clear(r.conns)
}

// Silence keeps back everything that either side says.
func (r *Relay) Silence() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.passes = make(chan struct{})
}

// Restore ends a cut or a silence. What was kept back is passed on.
func (r *Relay) Restore() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = false
	r.pass()
}

// pass has the relay pass on. The caller has the lock.
func (r *Relay) pass() {
	select {
	case <-r.passes:
	default:
		close(r.passes)
	}
}

func (r *Relay) serve(serving *sync.WaitGroup) {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		serving.Go(func() { r.connect(client, serving) })
	}
}

// connect passes on between a client and the cluster, until either has enough.
func (r *Relay) connect(client net.Conn, serving *sync.WaitGroup) {
	server, err := (&net.Dialer{}).DialContext(context.Background(), "unix", filepath.Join(r.cluster.dir, socketName))
	if err != nil {
		_ = client.Close()
		return
	}
	r.mu.Lock()
	if r.cut {
		r.mu.Unlock()
		_ = errors.Join(client.Close(), server.Close())
		return
	}
	r.conns[client], r.conns[server] = true, true
	r.mu.Unlock()
	serving.Go(func() { r.copy(server, client) })
	r.copy(client, server)
}

// copy passes on what one side says to the other.
func (r *Relay) copy(to, from net.Conn) {
	defer func() {
		_ = errors.Join(to.Close(), from.Close())
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.conns, to)
		delete(r.conns, from)
	}()
	_, _ = io.Copy(writer(func(p []byte) (int, error) {
		r.mu.Lock()
		passes := r.passes
		r.mu.Unlock()
		<-passes
		return to.Write(p)
	}), from)
}

type writer func([]byte) (int, error)

// Write implements [io.Writer].
func (w writer) Write(p []byte) (int, error) { return w(p) }

// Pause stops all processes of the server, as a machine that hangs would: it accepts connections and says nothing.
func (c *Cluster) Pause(t testing.TB) { c.signal(t, syscall.SIGSTOP) }

// Resume ends a pause.
func (c *Cluster) Resume(t testing.TB) { c.signal(t, syscall.SIGCONT) }

// signal sends a signal to the server and to the processes that it has started, until there are no others.
func (c *Cluster) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	done := make(map[int]bool)
	for again := true; again; {
		again = false
		for _, pid := range c.processes(t) {
			if !done[pid] {
				done[pid], again = true, true
				if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
					t.Fatal(err)
				}
			}
		}
	}
}

// processes returns the server's process, and those that it has started.
func (c *Cluster) processes(t testing.TB) []int {
	t.Helper()
	all := []int{c.server.Process.Pid}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		t.Fatalf("the processes cannot be listed: %v", err)
	}
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		_, after, _ := strings.Cut(string(text), ") ")
		if fields := strings.Fields(after); len(fields) > 1 && fields[1] == strconv.Itoa(all[0]) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			all = append(all, pid)
		}
	}
	return all
}
