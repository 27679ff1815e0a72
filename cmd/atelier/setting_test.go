package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestRanking checks for every setting of the server that it is a flag, a variable and a key of the file, and which one wins.
func TestRanking(t *testing.T) {
	for _, flag := range serveFlags(t) {
		if flag.Name == "config" || len(flag.Envs) == 0 {
			continue
		}
		t.Run(flag.Name, func(t *testing.T) {
			values := samples(t, flag)
			file := filepath.Join(t.TempDir(), "atelier.yml")
			if err := os.WriteFile(file, fmt.Appendf(nil, "%s: %s\n", flag.Name, values[0]), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("ATELIER_CONFIG", file)
			wantValue(t, "with a file", flag.Name, values[0])

			t.Setenv(variableOf(flag.Name), values[1])
			wantValue(t, "with a variable too", flag.Name, values[1])
			wantValue(t, "with a flag too", flag.Name, values[2], "--"+flag.Name+"="+values[2])
		})
	}
}

// variableOf returns the variable of a setting.
func variableOf(setting string) string {
	return "ATELIER_" + strings.ToUpper(strings.ReplaceAll(setting, "-", "_"))
}

// serveFlags returns the flags of atelier serve with their values after it was given the arguments.
func serveFlags(t *testing.T, args ...string) map[string]*kong.Flag {
	t.Helper()
	parser, _, err := newParser(stdio{})
	if err != nil {
		t.Fatal(err)
	}
	command, err := parser.Parse(append([]string{"serve"}, args...))
	if err != nil {
		t.Fatal(err)
	}
	flags := make(map[string]*kong.Flag)
	for _, f := range command.Selected().Flags {
		flags[f.Name] = f
	}
	return flags
}

// samples returns three values that a flag may have, as text; neighbours differ, and the first is not the default.
func samples(t *testing.T, flag *kong.Flag) [3]string {
	t.Helper()
	switch {
	case flag.Enum != "":
		choices := strings.Split(flag.Enum, ",")
		return [3]string{choices[len(choices)-1], choices[0], choices[len(choices)-1]}
	case flag.Target.Kind() == reflect.Bool:
		return [3]string{"true", "false", "true"}
	case flag.Target.Kind() == reflect.Slice:
		return [3]string{"[/a]", "/b,/c", "/d"}
	case flag.Target.Type().String() == "time.Duration":
		return [3]string{"11m0s", "12m0s", "13m0s"}
	case flag.Target.CanInt():
		return [3]string{"11", "12", "13"}
	default:
		return [3]string{"one", "two", "three"}
	}
}

// wantValue checks the value of a flag, which is written as in a file, a variable or on the command line.
func wantValue(t *testing.T, what, name, want string, args ...string) {
	t.Helper()
	value := serveFlags(t, args...)[name].Target.Interface()
	got := fmt.Sprint(value)
	if list, ok := value.([]string); ok {
		got, want = strings.Join(list, ","), strings.Trim(want, "[]")
	}
	if got != want {
		t.Errorf("%s: --%s is %q, want %q", what, name, got, want)
	}
}
