package logs_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"atelier/internal/logs"
	"atelier/internal/logs/mask"
)

// The test binary runs itself as a child process that does one of these, when it finds its name in the environment.
const (
	childVariable = "ATELIER_LOGS_TEST_CHILD"
	dirVariable   = "ATELIER_LOGS_TEST_DIR"
)

var children = map[string]func(){"write for ever": writeForEver, "count writes": countWrites, "write halfway": writeHalfway, "compress": compressLog}

func command(name, dir string) *exec.Cmd {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childVariable+"="+name, dirVariable+"="+dir)
	c.Stderr = os.Stderr
	return c
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func childLog() *logs.Log {
	store, err := logs.Open(os.Getenv(dirVariable), logs.Config{})
	check(err)
	log, err := store.Append(record)
	check(err)
	return log
}

// writeForEver writes lines, some of them of several pieces, and says the number of each when it was acknowledged.
func writeForEver() {
	log := childLog()
	out := log.Output(mask.New([]string{"hunter2"}))
	for i := 0; ; i++ {
		if i%10 == 9 {
			check(log.Info("line %d", i))
		} else {
			for _, piece := range []string{"line ", strconv.Itoa(i), " hun", "ter2\n"} {
				_, err := out.Write([]byte(piece))
				check(err)
			}
		}
		_, err := fmt.Println(i)
		check(err)
	}
}

func TestKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	acknowledged := 0
	for life := range 3 { // each goes on with the log of the one before
		child := command("write for ever", dir)
		pipe, err := child.StdoutPipe()
		ok(t, err)
		ok(t, child.Start())
		last := -1
		for lines := bufio.NewScanner(pipe); lines.Scan(); {
			if last, err = strconv.Atoi(lines.Text()); err != nil {
				break // the last word of a dying process need not be whole
			}
			if last == 500*(life+1) {
				ok(t, child.Process.Kill())
			}
		}
		if err := child.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("the child was not killed: %v", err)
		}
		acknowledged += last + 1
	}
	store, err := logs.Open(dir, logs.Config{})
	ok(t, err)
	ok(t, openLog(t, store).Error("lost"))
	whole, want := 0, 0
	text := content(t, store)
	for line := range strings.Lines(text) {
		var number int
		if _, err := fmt.Sscanf(line[min(len(line), len(at)):], "line %d ******\n", &number); err != nil {
			if _, err := fmt.Sscanf(line[min(len(line), len(at)):], "[INFO] line %d\n", &number); err != nil {
				want = 0 // torn by a death; the next life begins
				continue
			}
		}
		if number == 0 {
			want = 0
		}
		if number != want {
			t.Fatalf("line %d is missing before %q", want, line)
		}
		want++
		whole++
	}
	if whole < acknowledged {
		t.Errorf("%d lines were acknowledged, %d are there", acknowledged, whole)
	}
	if strings.Contains(text, "hunter2") || !strings.HasSuffix(text, "[ERROR] lost\n") {
		t.Errorf("the log ends in %q", text[max(0, len(text)-200):])
	}
}

// countWrites says how many system calls a hundred writes of 64 KiB came to.
func countWrites() {
	out := childLog().Output(mask.New([]string{"hunter2"}))
	text := []byte(strings.Repeat("a line of some length with hunter2 in it\n", 2000)[:64<<10])
	before := systemWrites()
	for range 100 {
		_, err := out.Write(text)
		check(err)
	}
	fmt.Println(systemWrites() - before)
}

func systemWrites() int {
	text, err := os.ReadFile("/proc/self/io")
	check(err)
	_, after, _ := strings.Cut(string(text), "syscw: ")
	count, _, _ := strings.Cut(after, "\n")
	n, err := strconv.Atoi(count)
	check(err)
	return n
}

func TestOneWriteIsOneSystemCall(t *testing.T) {
	t.Parallel()
	out, err := command("count writes", t.TempDir()).Output()
	ok(t, err)
	n, err := strconv.Atoi(strings.TrimSpace(string(out)))
	ok(t, err)
	if n < 100 || n > 110 { // the runtime may have something to say too
		t.Errorf("a hundred writes of 64 KiB were %d system calls", n)
	}
}

// writeHalfway meets the end of the disk within a line, and goes on when there is space again.
func writeHalfway() {
	signal.Ignore(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	check(syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit))
	check(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 20, Max: limit.Max}))
	log := childLog()
	out := log.Output(nil)
	if _, err := out.Write([]byte("too much")); !errors.Is(err, logs.ErrWrite) || !errors.Is(err, syscall.EFBIG) || log.Size() != 20 {
		check(fmt.Errorf("size %d after %w", log.Size(), err))
	}
	check(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
	_, err := out.Write([]byte("again"))
	check(err)
	check(log.Info("done"))
	if err := log.Close(); !errors.Is(err, syscall.EFBIG) {
		check(fmt.Errorf("close: %w", err))
	}
}
