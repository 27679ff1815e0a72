package logs_test

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"atelier/internal/logs"
	"atelier/internal/logs/mask"
)

func TestWatch(t *testing.T) {
	t.Parallel()
	store := openStore(t, logs.Config{})
	written, cancel := store.Watch(record) // there is no log yet
	other, cancelOther := store.Watch("01932f5c-8b1e-7c3a-9d2e-000000000000")
	defer cancelOther()
	log := openLog(t, store)
	out := log.Output(mask.New([]string{"hunter2"}))
	put(t, out, "hunter") // kept back
	select {
	case <-written:
		t.Fatal("woken for nothing")
	default:
	}
	for range 3 { // nobody reads, and nobody waits
		put(t, out, "-\n")
	}
	<-written
	select {
	case <-written:
		t.Error("woken again for nothing")
	case <-other:
		t.Error("another log's watcher was woken")
	default:
	}
	ok(t, log.Info("x"))
	<-written
	cancel()
	cancel()
	ok(t, log.Info("y"))
	select {
	case <-written:
		t.Error("woken after the end of the watch")
	default:
	}
}

var logLine = regexp.MustCompile(`^\[\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{3} GMT[+-]\d\d:\d\d\] (\[INFO\] )?([a-z]+) (\d+) 中文 (\*{6})?$`)

// Steps, the service and readers at once: every line is whole, those of each writer are in order, and every reader gets all.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	const lines = 2000
	store := openStore(t, logs.Config{})
	log := openLog(t, store)
	masker := mask.New([]string{"hunter2"})
	var writers, readers sync.WaitGroup
	over := make(chan struct{})
	got := make([]string, 3)
	for i := range got {
		readers.Go(func() { got[i] = follow(t, store, over) })
	}
	for _, name := range []string{"a", "b"} {
		out := log.Output(masker)
		writers.Go(func() {
			for i := range lines {
				put(t, out, fmt.Sprintf("%s %d 中文 hunter2\n", name, i))
			}
			ok(t, out.Close())
		})
	}
	writers.Go(func() {
		for i := range lines {
			ok(t, log.Info("service %d 中文 %s", i, "hunter2"))
			log.Size()
		}
	})
	writers.Wait()
	ok(t, log.Close())
	close(over)
	readers.Wait()
	whole := content(t, store)
	for i := range got {
		if got[i] != whole {
			t.Errorf("reader %d got %d bytes of %d", i, len(got[i]), len(whole))
		}
	}
	next := map[string]int{}
	for line := range strings.Lines(whole) {
		m := logLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			t.Fatalf("torn line %q", line)
		}
		if m[3] != fmt.Sprint(next[m[2]]) {
			t.Fatalf("line %q, want number %d", line, next[m[2]])
		}
		next[m[2]]++
	}
	if next["a"] != lines || next["b"] != lines || next["service"] != lines {
		t.Errorf("there are %v lines", next)
	}
}

// follow reads the log as it grows, and to its end when it is over.
func follow(t *testing.T, store *logs.Store, over <-chan struct{}) string {
	written, cancel := store.Watch(record)
	defer cancel()
	var got []byte
	for final := false; ; {
		for {
			chunk, next, err := store.Read(record, int64(len(got)), 1000, final)
			if err != nil || next != int64(len(got)+len(chunk)) || !utf8.Valid(chunk) {
				t.Errorf("read %q, %d, %v", chunk, next, err)
				return ""
			}
			if len(chunk) == 0 {
				break
			}
			got = append(got, chunk...)
		}
		if final {
			return string(got)
		}
		select {
		case <-written:
		case <-over:
			final = true
		}
	}
}
