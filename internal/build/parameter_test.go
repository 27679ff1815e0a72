package build

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/fault"
)

// reverse is a sealer whose work can be read in a test.
type reverse struct{}

func (reverse) Seal(plain string) (string, error) { return "sealed:" + plain, nil }

func (reverse) Open(sealed string) (string, error) {
	plain, ok := strings.CutPrefix(sealed, "sealed:")
	if !ok {
		return "", errors.New("not sealed")
	}
	return plain, nil
}

// param returns a parameter of a job from name=value pairs of its properties.
func param(properties ...string) Parameter {
	p := Parameter{Definition: StringDefinition}
	for _, q := range properties {
		name, value, _ := strings.Cut(q, "=")
		p.Properties = append(p.Properties, Property{Name: name, Value: value})
	}
	return p
}

func TestIncrement(t *testing.T) {
	for in, want := range map[string]string{
		"1.0.9": "1.0.10", "v7": "v8", "v7-rc": "v8-rc", "beta": "beta.1", "": ".1", "v009": "v010", "99": "100", "a1b2": "a1b3",
		"18446744073709551615": "18446744073709551616", // more than any integer type holds
	} {
		if got := increment(in); got != want {
			t.Errorf("increment(%q) = %q, want %q", in, got, want)
		}
	}
}

// A private value shows neither in another parameter nor in the names of branch and tag, and the build gets all as they are.
func TestHideCopies(t *testing.T) {
	r := Record{Branch: "topic/hunter2", Tag: "v-two words", Parameters: []Value{
		{Name: "codeBranch", Value: "topic/hunter2"},
		{Name: "url", Value: "https://me:hunter2@host"},
		{Name: "other", Value: "hunter"},
		{Name: "token", Value: "sealed:hunter2", Private: true},
		{Name: "lines", Value: "sealed:one\n two words \nhunter22\n", Private: true},
		{Name: "none", Private: true},
	}}
	if err := hideCopies(&r, reverse{}); err != nil {
		t.Fatal(err)
	}
	want := []Value{
		{Name: "url", Value: "sealed:https://me:hunter2@host", Private: true, Copy: true},
		{Name: "other", Value: "hunter"},
		{Name: "token", Value: "sealed:hunter2", Private: true},
		{Name: "lines", Value: "sealed:one\n two words \nhunter22\n", Private: true},
		{Name: "none", Private: true},
		{Name: "codeBranch", Value: "sealed:topic/hunter2", Private: true, Copy: true},
		{Name: "GIT_TAG", Value: "sealed:v-two words", Private: true, Copy: true},
	}
	if diff := cmp.Diff(want, r.Parameters); diff != "" {
		t.Errorf("parameters (-want +got):\n%s", diff)
	}
	if r.Branch != "topic/******" || r.Tag != "v-******" {
		t.Errorf("branch %s, tag %s", r.Branch, r.Tag)
	}
	branch, tag := r.Ref(func(name string) string {
		for _, v := range r.Parameters {
			if v.Name == name {
				return strings.TrimPrefix(v.Value, "sealed:")
			}
		}
		return ""
	})
	if branch != "topic/hunter2" || tag != "v-two words" {
		t.Errorf("the build takes branch %s, tag %s", branch, tag)
	}
	if branch, _ := (Record{Branch: "******"}).Ref(func(string) string { return "" }); branch != "" {
		t.Errorf("without a parameter it takes %s", branch)
	}
}

func TestResolveParameters(t *testing.T) {
	enumeration := param("name=level", "type=customizeparam", "defaultValue=low", "staticVar=true")
	enumeration.Properties[2].Choices = []Choice{{Name: "low"}, {Name: "high", Disabled: "0"}, {Name: "old", Disabled: "1"}}
	job := Job{Config: Config{Parameters: []Parameter{
		param("name=codeBranch", "defaultValue=master", "staticVar=false"),
		param("name=channel", "defaultValue=beta", "staticVar=true"),
		param("name=fixed", "defaultValue=one"),
		enumeration,
		param("name=version", "type=autoincrementparam", "defaultValue=1.0.9", "staticVar=true"),
		param("name=token", "defaultValue=sealed:hunter2", "sensitiveVar=true", "staticVar=true"),
		param("name=GIT_DIR", "defaultValue=editors", "staticVar=true"),
	}}}
	defaults := []Value{
		{Name: "codeBranch", Value: "master"},
		{Name: "channel", Value: "beta"},
		{Name: "fixed", Value: "one"},
		{Name: "level", Value: "low"},
		{Name: "version", Value: "1.0.9"},
		{Name: "token", Value: "sealed:hunter2", Private: true},
		{Name: "GIT_DIR", Value: "editors"},
	}
	with := func(changes ...Value) []Value {
		out := append([]Value(nil), defaults...)
		for _, c := range changes {
			found := false
			for i := range out {
				if out[i].Name == c.Name {
					out[i], found = c, true
				}
			}
			if !found {
				out = append(out, c)
			}
		}
		return out
	}
	tests := []struct {
		name     string
		counters map[string]string
		given    []NameValue
		want     []Value
		next     string // of version
		runs     bool   // who starts it may only run the task
		err      string
	}{
		{name: "defaults", want: defaults, next: "1.0.10"},
		{name: "the branch needs no runtime setting", given: []NameValue{{"codeBranch", "dev"}}, want: with(Value{Name: "codeBranch", Value: "dev"}), next: "1.0.10"},
		{name: "a runtime value", given: []NameValue{{"channel", ""}}, want: with(Value{Name: "channel"}), next: "1.0.10"},
		{name: "no runtime setting", given: []NameValue{{"fixed", "two"}}, want: with(Value{Name: "fixed", Value: "two"}), next: "1.0.10"},
		{
			name: "no runtime setting, of who may only run", runs: true, given: []NameValue{{"channel", "x"}, {"fixed", "two"}},
			err: "parameter.fixed: the parameter has no runtime setting; only who may edit the task can give it a value at the start",
		},
		{
			name: "a runtime value of who may only run", runs: true, given: []NameValue{{"channel", "x"}, {"codeBranch", "dev"}},
			want: with(Value{Name: "channel", Value: "x", Chosen: true}, Value{Name: "codeBranch", Value: "dev", Chosen: true}), next: "1.0.10",
		},
		{name: "an offered choice", given: []NameValue{{"level", "high"}}, want: with(Value{Name: "level", Value: "high"}), next: "1.0.10"},
		{name: "a choice that is not offered", given: []NameValue{{"level", "old"}}, err: `parameter.level: found "old", allowed are: low, high`},
		{name: "a counter goes on", counters: map[string]string{"version": "1.0.12"}, want: with(Value{Name: "version", Value: "1.0.12"}), next: "1.0.13"},
		{name: "a given value is the counter's new base", counters: map[string]string{"version": "1.0.12"}, given: []NameValue{{"version", "2.0"}}, want: with(Value{Name: "version", Value: "2.0"}), next: "2.1"},
		{name: "a private value is sealed", given: []NameValue{{"token", "correct horse"}}, want: with(Value{Name: "token", Value: "sealed:correct horse", Private: true}), next: "1.0.10"},
		{name: "a private value that is too short", given: []NameValue{{"token", "abc"}}, err: "parameter.token: a private value of 3 characters cannot be hidden in a log; use at least 4"},
		{name: "what the job does not define is passed on", given: []NameValue{{"EXTRA", "x"}}, want: with(Value{Name: "EXTRA", Value: "x"}), next: "1.0.10"},
		{
			name: "what the job does not define, of who may only run", runs: true, given: []NameValue{{"EXTRA", "x"}},
			err: "parameter.EXTRA: the task does not define this parameter, and only who may edit the task can give it others",
		},
		{
			name: "the branch of a task that does not define it", runs: true, given: []NameValue{{"codeBranch", "x"}},
			want: with(Value{Name: "codeBranch", Value: "x", Chosen: true}), next: "1.0.10",
		},
		{name: "what changes programs, of who may edit", given: []NameValue{{"NODE_OPTIONS", "x"}}, want: with(Value{Name: "NODE_OPTIONS", Value: "x"}), next: "1.0.10"},
		{name: "what changes programs and is defined, of who may edit", given: []NameValue{{"GIT_DIR", "x"}}, want: with(Value{Name: "GIT_DIR", Value: "x"}), next: "1.0.10"},
		{
			name: "what changes programs and is defined, of who may only run", runs: true, given: []NameValue{{"GIT_DIR", "x"}},
			err: "parameter.GIT_DIR: a parameter of this name changes what programs do; only who may edit the task can give it a value",
		},
		{name: "system parameters are the service's", given: []NameValue{{"BUILDNUMBER", "x"}}, err: `parameter[0].name: "BUILDNUMBER" is set by the service and cannot be defined`},
		{name: "the service's variables", given: []NameValue{{"ATELIER_QUOTED_X", "x"}}, err: `parameter[0].name: "ATELIER_QUOTED_X" is set by the service and cannot be defined`},
		{name: "a zero byte", given: []NameValue{{"a", "x\x00"}}, err: "parameter[0].value: holds a zero byte, which no environment variable can"},
		{name: "twice", given: []NameValue{{"a", "1"}, {"a", "2"}}, err: `parameter[1].name: "a" is given twice`},
		{name: "a reserved name", given: []NameValue{{"LD_PRELOAD", "x"}}, err: `parameter[0].name: "LD_PRELOAD" is reserved; it would change how every program runs`},
		{name: "a bad name", given: []NameValue{{"a-b", "x"}}, err: `parameter[0].name: must be 1 to 128 letters, digits or underscores, found "a-b"`},
		{name: "too long", given: []NameValue{{"a", strings.Repeat("é", 8193)}}, err: "parameter[0].value: has 8193 characters, at most 8192 are allowed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := job
			j.Counters = tt.counters
			got, err := resolveParameters(j, tt.given, valueRights{edits: !tt.runs, maxValue: MaxParameterValue}, reverse{})
			if tt.err != "" {
				if text, _ := fault.Public(err); text != tt.err {
					t.Fatalf("error = %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got.values); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
			if got.counters["version"] != tt.next {
				t.Errorf("next version = %q, want %q", got.counters["version"], tt.next)
			}
		})
	}
}

// TestChangesPrograms: the names are those that a shell, a loader, a compiler or another tool takes from its environment.
func TestChangesPrograms(t *testing.T) {
	for _, name := range strings.Fields(`SHELLOPTS PS4 BASH_ENV ENV LD_AUDIT LD_PRELOAD DYLD_INSERT_LIBRARIES NODE_OPTIONS GIT_CONFIG_COUNT GIT_CONFIG_KEY_0
		GIT_SSH GIT_EXTERNAL_DIFF JAVA_TOOL_OPTIONS _JAVA_OPTIONS JDK_JAVA_OPTIONS MAVEN_OPTS MAVEN_ARGS GRADLE_OPTS PERL5OPT PERL5LIB PERL5DB PYTHONPATH
		PYTHONSTARTUP PYTHONINSPECT RUBYOPT RUBYLIB GOFLAGS GOENV GOTOOLCHAIN npm_config_script_shell NPM_CONFIG_PREFIX CC CXX LD AR MAKEFLAGS MAKEFILES CARGO_HOME
		RUSTC_WRAPPER RUSTFLAGS PATH HOME IFS CDPATH GLOBIGNORE PROMPT_COMMAND TMPDIR EDITOR PAGER VISUAL SSH_ASKPASS LESSOPEN DOCKER_HOST BUILDAH_ISOLATION
		XDG_CONFIG_HOME http_proxy HTTPS_PROXY all_proxy BASH_FUNC_x GCONV_PATH GLIBC_TUNABLES CB_BUILD_YAML_PATH ATELIER_PARAMETER_X PIP_INDEX_URL CLASSPATH
		DOTNET_STARTUP_HOOKS CORECLR_PROFILER OPENSSL_CONF PHPRC R_PROFILE LUA_INIT KUBECONFIG AWS_CONFIG_FILE`) {
		if !changesPrograms(name) {
			t.Errorf("%s changes nothing", name)
		}
	}
	for _, name := range strings.Fields("channel version codeBranch VERSION NODE_VERSION GIT_BRANCH AWS_REGION ENVIRONMENT target GOAL PATHS HOMEPAGE CCX BUILD_TYPE") {
		if changesPrograms(name) {
			t.Errorf("%s changes programs", name)
		}
	}
}
