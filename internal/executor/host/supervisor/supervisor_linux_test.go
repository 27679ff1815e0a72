package supervisor

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNumbers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want []int
	}{{"", nil}, {"7", []int{7}}, {"12 345 ", []int{12, 345}}} {
		if diff := cmp.Diff(tt.want, numbers([]byte(tt.text))); diff != "" {
			t.Errorf("numbers(%q): %s", tt.text, diff)
		}
	}
}

func TestCommand(t *testing.T) {
	t.Parallel()
	for _, want := range []Command{
		{Path: "/bin/sh", Args: []string{"sh", "-c", "echo \"ü\"\nexit"}, Dir: "/", Env: []string{"A=", "B=c d"}},
		{Path: "/bin/true", Args: []string{"true", ""}, Dir: "/tmp", Env: []string{}},
	} {
		got, ok := decode(want.Encode())
		if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Errorf("decode(encode): %v %s", ok, diff)
		}
	}
}

// What the server sends is trusted, but a supervisor that panics leaves the processes of a step behind.
func FuzzDecode(f *testing.F) {
	f.Add(Command{Path: "/bin/sh", Args: []string{"sh"}, Dir: "/"}.Encode())
	f.Add([]byte("a\x00b\x00-1\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if c, ok := decode(body); ok && len(c.Args) == 0 {
			t.Errorf("decode(%q) has no arguments", body)
		}
	})
}

func TestHeader(t *testing.T) {
	t.Parallel()
	frame := Frame(Kill, make([]byte, 0x010203))
	if op, n := Header([HeaderSize]byte(frame)); Op(op) != Kill || n != 0x010203 || len(frame) != HeaderSize+0x010203 {
		t.Errorf("op %c, length %#x, %d bytes", op, n, len(frame))
	}
}
