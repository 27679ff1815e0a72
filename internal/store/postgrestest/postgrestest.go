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

// cluster is the server of this test program.
var cluster struct {
	once sync.Once
	err  error
	dir  string
	stop func()
	next atomic.Int64
}

// Main runs the tests of a package that uses [New] and stops the cluster afterwards. Call it from TestMain.
func Main(m *testing.M) { os.Exit(Run(m)) }

// Run is Main for a TestMain that has more to do: it returns the exit status.
func Run(m interface{ Run() int }) int {
	defer func() {
		if cluster.stop != nil {
			cluster.stop()
		}
	}()
	return m.Run()
}

// New returns the address of an empty database that is dropped when the test ends. Where no PostgreSQL is installed it skips
// the test, unless [needs.Required] names initdb: then it fails.
func New(t testing.TB) string {
	t.Helper()
	bin := filepath.Dir(needs.Program(t, "initdb", "/usr/lib/postgresql/*/bin/initdb")) // Debian keeps them off the PATH
	cluster.once.Do(func() { cluster.err = start(bin) })
	if cluster.err != nil {
		t.Fatalf("start PostgreSQL: %v", cluster.err)
	}
	name := "test" + strconv.FormatInt(cluster.next.Add(1), 10)
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

func address(database string) string {
	return "postgres:///" + database + "?" + url.Values{"host": {cluster.dir}, "user": {"postgres"}}.Encode()
}

// start makes a cluster that listens on a socket in its own directory only, and waits until it answers.
func start(bin string) error {
	// Short on purpose: the path of a socket has about a hundred characters at most.
	dir, err := os.MkdirTemp("/tmp", "pg")
	if err != nil {
		return err
	}
	cluster.dir = dir
	cred, err := credential(dir)
	if err != nil {
		return err
	}
	// The cluster is thrown away, so it need not survive a power cut.
	initdb := exec.CommandContext(context.Background(), filepath.Join(bin, "initdb"), "-D", dir+"/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	initdb.Dir, initdb.SysProcAttr = dir, &syscall.SysProcAttr{Credential: cred}
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	log, err := os.Create(dir + "/log")
	if err != nil {
		return err
	}
	server := exec.CommandContext(context.Background(), filepath.Join(bin, "postgres"), "-D", dir+"/data", "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off",
		"-c", "full_page_writes=off", "-c", "synchronous_commit=off", "-c", "max_connections=400", "-c", "shared_buffers=64MB")
	// The server dies with the test program, also when that is killed.
	server.Dir, server.SysProcAttr = dir, &syscall.SysProcAttr{Credential: cred, Pdeathsig: syscall.SIGQUIT}
	server.Stdout, server.Stderr = log, log
	started, ended := make(chan error, 1), make(chan struct{})
	go holdThread(server, started, ended)
	if err := <-started; err != nil {
		return err
	}
	cluster.stop = func() {
		_ = server.Process.Signal(syscall.SIGQUIT) // at once; nothing in it is worth keeping
		<-ended
		_ = os.RemoveAll(dir)
	}
	return waitReady(dir)
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

func waitReady(dir string) error {
	db, err := sql.Open("pgx", address("postgres"))
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
			text, _ := os.ReadFile(dir + "/log")
			return fmt.Errorf("it does not answer: %w\n%s", err, text)
		}
		time.Sleep(20 * time.Millisecond) // there is no event to wait for: another program is starting
	}
}
