// Package postgrestest gives tests a real PostgreSQL: a throw-away cluster of the installed server, one for a test program,
// and a database of its own for every test that asks.
package postgrestest

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // registers the driver "pgx"

	"atelier/internal/needs"
)

// Cluster is a server with its data.
type Cluster struct {
	bin, dir string
	options  []string
	server   *exec.Cmd
	ended    chan struct{}
}

// shared is the cluster of this test program.
var shared struct {
	once    sync.Once
	err     error
	cluster *Cluster
	next    atomic.Int64
}

// Main runs the tests of a package that uses [New] and stops the cluster afterwards. Call it from TestMain.
func Main(m *testing.M) { os.Exit(Run(m)) }

// Run is Main for a TestMain that has more to do: it returns the exit status.
func Run(m interface{ Run() int }) int {
	defer func() {
		if shared.cluster != nil {
			shared.cluster.remove()
		}
	}()
	return m.Run()
}

// New returns the address of an empty database that is dropped when the test ends. Where no PostgreSQL is installed it skips
// the test, unless [needs.Required] names initdb: then it fails.
func New(t testing.TB) string {
	t.Helper()
	bin := program(t)
	shared.once.Do(func() {
		// It is thrown away, so it need not survive anything.
		shared.cluster, shared.err = start(bin, "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off")
	})
	if shared.err != nil {
		t.Fatalf("start PostgreSQL: %v", shared.err)
	}
	address := shared.cluster.address
	name := "test" + strconv.FormatInt(shared.next.Add(1), 10)
	db, err := sql.Open("pgx", address("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		db, err := sql.Open("pgx", address("postgres"))
		if err != nil {
			t.Error(err)
			return
		}
		defer db.Close()
		if _, err := db.ExecContext(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return address(name)
}

func program(t testing.TB) (bin string) {
	t.Helper()
	return filepath.Dir(needs.Program(t, "initdb", "/usr/lib/postgresql/*/bin/initdb")) // Debian keeps them off the PATH
}

// NewCluster returns a server of its own, for a test that kills it. It is skipped or fails as with [New].
func NewCluster(t testing.TB) *Cluster {
	t.Helper()
	// A kill of the server loses nothing that the machine still has, and so it need not be on a disk.
	c, err := start(program(t), "-c", "fsync=off")
	if err != nil {
		t.Fatalf("start PostgreSQL: %v", err)
	}
	t.Cleanup(c.remove)
	return c
}

// URL returns the address of the database that every server has.
func (c *Cluster) URL() string { return c.address("postgres") }

// Kill ends the server as a crash would: connections are cut, and transactions that have not been committed are gone.
func (c *Cluster) Kill() {
	_ = c.server.Process.Signal(syscall.SIGQUIT)
	<-c.ended
}

// Restart starts a server that was killed, and waits until it answers.
func (c *Cluster) Restart(t testing.TB) {
	t.Helper()
	if err := c.run(); err != nil {
		t.Fatalf("start PostgreSQL again: %v", err)
	}
}

func (c *Cluster) remove() {
	if c.server != nil {
		c.Kill()
	}
	_ = os.RemoveAll(c.dir)
}

func (c *Cluster) address(database string) string {
	return "postgres:///" + database + "?" + url.Values{"host": {c.dir}, "user": {"postgres"}}.Encode()
}

// start makes a cluster that listens on a socket in its own directory only, and waits until it answers.
func start(bin string, options ...string) (*Cluster, error) {
	// Short on purpose: the path of a socket has about a hundred characters at most.
	dir, err := os.MkdirTemp("/tmp", "pg")
	if err != nil {
		return nil, err
	}
	c := &Cluster{bin: bin, dir: dir, options: options}
	cred, err := credential(dir)
	if err != nil {
		return c, err
	}
	initdb := exec.CommandContext(context.Background(), filepath.Join(bin, "initdb"), "-D", dir+"/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	initdb.Dir, initdb.SysProcAttr = dir, &syscall.SysProcAttr{Credential: cred}
	if out, err := initdb.CombinedOutput(); err != nil {
		return c, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return c, c.run()
}

func (c *Cluster) run() error {
	cred, err := credential(c.dir)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(c.dir+"/log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	args := append([]string{"-D", c.dir + "/data", "-k", c.dir, "-c", "listen_addresses=", "-c", "max_connections=400", "-c", "shared_buffers=64MB"}, c.options...)
	server := exec.CommandContext(context.Background(), filepath.Join(c.bin, "postgres"), args...)
	// The server dies with the test program, also when that is killed.
	server.Dir, server.SysProcAttr = c.dir, &syscall.SysProcAttr{Credential: cred, Pdeathsig: syscall.SIGQUIT}
	server.Stdout, server.Stderr = log, log
	started, ended := make(chan error, 1), make(chan struct{})
	go holdThread(server, started, ended)
	if err := <-started; err != nil {
		return err
	}
	c.server, c.ended = server, ended
	return c.awaitReady()
}

// holdThread starts and waits for the server in one goroutine that nothing else moves off its thread: the kernel sends the
// death signal when the thread that forked is gone, not the process.
func holdThread(server *exec.Cmd, started chan<- error, ended chan<- struct{}) {
	runtime.LockOSThread()
	defer close(ended)
	err := server.Start()
	started <- err
	if err == nil {
		_ = server.Wait()
	}
}

// credential returns the user to run the server as: PostgreSQL refuses root.
func credential(dir string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(dir, int(uid), int(gid))
}

func (c *Cluster) awaitReady() error {
	db, err := sql.Open("pgx", c.URL())
	if err != nil {
		return err
	}
	defer db.Close()
	deadline := time.Now().Add(time.Minute)
	for {
		err := db.PingContext(context.Background())
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(c.dir + "/log")
			return fmt.Errorf("it does not answer: %w\n%s", err, text)
		}
		time.Sleep(20 * time.Millisecond) // there is no event to wait for: another program is starting
	}
}
