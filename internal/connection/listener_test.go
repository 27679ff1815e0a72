package connection

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"atelier/internal/address"
)

// world is a listener with clients at addresses of loopback.
type world struct {
	*Listener
	t *testing.T
}

func newWorld(t *testing.T, limits Limits, proxies address.Proxies) *world {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{NewListener(l, limits, proxies, slog.New(slog.DiscardHandler)), t}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// dial connects and returns the server's end; nil when the connection is refused.
func (w *world) dial(from string) *Conn {
	w.t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	client, err := dialer.DialContext(w.t.Context(), "tcp", w.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = client.Close() })
	accepted, err := w.Listener.Listener.Accept()
	if err != nil {
		w.t.Fatal(err)
	}
	return w.admit(accepted)
}

func closed(c *Conn) bool { return errors.Is(c.SetDeadline(time.Time{}), net.ErrClosed) }

func TestLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Limits{Total: 6, PerSource: 4}, nil)
	var flood []*Conn
	for range 4 {
		flood = append(flood, w.dial("127.0.0.66"))
	}
	flood[1].Known()
	flood[0].Waiting(false)
	if c := w.dial("127.0.0.66"); c == nil || !closed(flood[2]) || closed(flood[0]) || closed(flood[1]) {
		t.Error("the oldest stranger that waits does not give way to its own source")
	}
	one, two := w.dial("127.0.0.1"), w.dial("127.0.0.2")
	if w.total != 6 {
		t.Errorf("%d connections", w.total)
	}
	if c := w.dial("127.0.0.3"); c == nil || !closed(flood[3]) || closed(one) || closed(two) {
		t.Error("the greediest source does not give way to another")
	}
	for _, s := range w.sources {
		for s.victim() != nil {
			s.victim().setWaiting(false)
		}
	}
	if c := w.dial("127.0.0.4"); c != nil || w.total != 6 {
		t.Errorf("a connection in place of busy ones: %v of %d", c, w.total)
	}
	for _, c := range []*Conn{one, one, flood[0]} {
		_ = c.Close()
	}
	if w.total != 4 || w.sources["127.0.0.1"] != nil {
		t.Errorf("%d connections, %v", w.total, w.sources)
	}
	if c := w.dial("127.0.0.4"); c == nil {
		t.Error("no connection where there is room again")
	}
}

func TestProxiesHaveNoLimitOfTheirOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Limits{Total: 3, PerSource: 1}, address.Proxies{netip.MustParsePrefix("127.0.0.1/32")})
	first := w.dial("127.0.0.1")
	w.dial("127.0.0.1")
	w.dial("127.0.0.1")
	if closed(first) || w.total != 3 {
		t.Error("a trusted proxy has a limit")
	}
	if other := w.dial("127.0.0.2"); other == nil || !closed(first) {
		t.Error("the whole has none")
	}
}

func TestLimitsFor(t *testing.T) {
	t.Parallel()
	for descriptors, want := range map[uint64]Limits{
		1: {1, 1}, 400: {100, 50}, 1024: {256, 128}, 4096: {1792, 896}, 1 << 30: {4096, 2048}, 1 << 63: {4096, 2048},
	} {
		if got := LimitsFor(descriptors, 4); got != want {
			t.Errorf("%d descriptors: %v, want %v", descriptors, got, want)
		}
	}
}

// exhausted fails to accept as a process without descriptors does.
type exhausted struct {
	net.Listener
	failures int
}

func (l *exhausted) Accept() (net.Conn, error) {
	if l.failures--; l.failures >= 0 {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return nil, io.ErrUnexpectedEOF
}

func TestNoDescriptors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Limits{Total: 9, PerSource: 9}, nil)
	first, second := w.dial("127.0.0.1"), w.dial("127.0.0.1")
	w.Listener.Listener = &exhausted{Listener: w.Listener.Listener, failures: 1}
	if _, err := w.Accept(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	if !closed(first) || closed(second) {
		t.Error("it does not make room for one")
	}
}

func TestReadFrom(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Limits{Total: 9, PerSource: 9}, nil)
	data := bytes.Repeat([]byte("0123456789"), 300_000)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, send := range map[string]func(c *Conn, f *os.File) (int64, error){
		"whole":  func(c *Conn, f *os.File) (int64, error) { return c.ReadFrom(f) },
		"limit":  func(c *Conn, f *os.File) (int64, error) { return c.ReadFrom(io.LimitReader(f, int64(len(data)))) },
		"write":  func(c *Conn, _ *os.File) (int64, error) { n, err := c.Write(data); return int64(n), err },
		"reader": func(c *Conn, _ *os.File) (int64, error) { return c.ReadFrom(bytes.NewReader(data)) },
	} {
		client, err := net.Dial("tcp", w.Addr().String()) //nolint:noctx // to loopback
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := w.Accept()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			f, err := os.Open(file)
			if err == nil {
				defer f.Close()
				_, err = send(accepted.(*Conn), f)
			}
			if err != nil {
				t.Error(err)
			}
			_ = accepted.Close()
		}()
		if got, err := io.ReadAll(client); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes of %d, %v", name, len(got), len(data), err)
		}
		_ = client.Close()
	}
}
