package plan_test

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"atelier/internal/build"
	"atelier/internal/needs"
	"atelier/internal/plan"
)

// hostile has values that would do something if a shell parsed them.
var hostile = []string{
	"", "plain", "two  words", "it's", `say "hi"`, "$HOME", "`echo RAN`", "$(echo RAN)", `back\slash\`, "line\nline\n", "tab\there", "*", "-n", "#no", "~",
	"${OTHER}", "'; echo RAN; '", "\"; echo RAN; \"", "END", "\nEND\necho RAN", "a;b&c|d>e<f", "\\", "!", "é ü 中文", "\x01\x7f\xff", "%s%n", "}", "{a,b}",
}

// commandOf returns the commands of a step, and its environment, of a build with parameters.
func commandOf(t *testing.T, command string, params []plan.Param) (plan.Plan, string) {
	t.Helper()
	p, err := plan.New(plan.Input{
		Job:    build.Config{Steps: []build.ActionStep{{ModuleID: "local.codeci_action_sh.action", Name: "Step", Properties: map[string]any{"command": command}}}},
		System: params, // as they are: a value may look like a reference
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, p.Steps[0].Script.Command
}

// run runs commands as an executor does.
func run(t *testing.T, shell []string, command string, env []plan.Param) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(file, []byte(command), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), shell[0], append(shell[1:], "-e", file)...)
	c.Env, c.Dir = []string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "HOME=/nowhere"}, filepath.Dir(file)
	for _, p := range env {
		c.Env = append(c.Env, p.Name+"="+p.Value)
	}
	out, err := c.CombinedOutput()
	return string(out), err
}

func shells(t *testing.T) map[string][]string {
	t.Helper()
	return map[string][]string{"bash": {needs.Program(t, "bash")}, "dash": {needs.Program(t, "dash")}, "busybox": {needs.Program(t, "busybox"), "sh"}}
}

// references are scripts that print the value of X once, between angle brackets, wherever it stands.
var references = map[string]string{
	"double quotes":                   `printf '<%s>' "${X}"`,
	"single quotes":                   `printf '<%s>' '${X}'`,
	"single quotes with more":         `printf %s '<${X}>'`,
	"an assignment of itself":         `export X='${X}'; printf '<%s>' "$X"`,
	"an assignment of another":        `URL='<${X}>'; printf %s "$URL"`,
	"a here-document":                 "cat <<END\n<${X}>\nEND",
	"a quoted here-document":          "cat <<'END'\n<${X}>\nEND",
	"a here-document in quotes":       "cat <<\"END\"\n<${X}>\nEND",
	"a here-document with backslash":  "cat <<\\END\n<${X}>\nEND",
	"a here-document with tabs":       "cat <<-'END'\n\t\t<${X}>\n\tEND",
	"an odd delimiter":                "cat <<'two words'\n<${X}>\ntwo words",
	"no delimiter":                    "cat <<''\n<${X}>\n\n",
	"two here-documents":              "cat <<'A' - <<'B'\nA of no use\nA\n<${X}>\nB",
	"a command substitution":          `printf %s "$(printf '<%s>.' '${X}')" | sed '$ s/\.$//'`,
	"backquotes":                      "printf %s \"`printf '<%s>.' '${X}'`\" | sed '$ s/\\.$//'",
	"a pattern":                       `Y="a${X}b"; [ "${Y#'a${X}'}" = b ] && printf '<%s>' '${X}'`,
	"a default":                       `printf '<%s>' "${NONE:-${X}}"`,
	"a quoted default":                `unset NONE; Y=${NONE:-'${X}'}; printf '<%s>' "$Y"`,
	"a case":                          `case "${X}" in '${X}') printf '<%s>' '${X}';; *) echo other;; esac`,
	"a function":                      `f() { printf '<%s>' '${X}'; }; f`,
	"a subshell that has its own":     `(X=own); printf '<%s>' '${X}'`,
	"a pipe that has its own":         `echo own | { read X; :; }; printf '<%s>' '${X}'`,
	"a shell in a shell":              `sh -c 'printf "<%s>" "${X}"'`,
	"a shell with options":            `sh -e -u -c 'printf "<%s>" "${X}"'`,
	"a shell with another variable":   `env -i PATH="$PATH" sh -c 'printf "<%s>" "${X}"'`,
	"commands for a shell":            "sh <<'END'\nprintf '<%s>' \"${X}\"\nEND",
	"commands for a shell elsewhere":  "env -i PATH=\"$PATH\" sh <<'END'\nprintf '<%s>' \"${X}\"\nEND",
	"commands for a shell by a pipe":  "cat <<'END' | sh\nprintf '<%s>' \"${X}\"\nEND",
	"a shell by a variable":           `"$(command -v sh)" -c 'printf "<%s>" "${X}"'`,
	"an eval":                         `eval 'printf "<%s>" "${X}"'`,
	"a trap":                          `trap 'printf "<%s>" "${X}"' EXIT`,
	"a file name":                     `printf '<%s>' '${X}' > 'out ${INCREASENUM}'; cat 'out ${INCREASENUM}'`,
	"a comment with quotes":           "# it's ${X}\nprintf '<%s>' '${X}'",
	"what is not to change":           `printf '<%s>' '${X}'; [ '$${X}' = '$$'"{X}" ] && [ '${X' = '$'"{X" ] && [ '$X' = '$'X ]`,
	"a continued line":                "printf \\\n  '<%s>' \\\n  '${X}'",
	"the name begins with a digit":    `printf '<%s>' '${7X}'`,
	"the digit in double quotes":      `printf '<%s>' "${7X}"`,
	"a name that the shell uses":      `printf '<%s>' "${RANDOM}"`,
	"the same in single quotes":       `printf '<%s>' '${PPID}'`,
	"a digit in a shell in the shell": `env -i PATH="$PATH" sh -c 'printf "<%s>" "${7X}"'`,
}

// TestValuesAreNeverParsed: wherever a reference stands, the value comes out byte for byte, in every shell.
func TestValuesAreNeverParsed(t *testing.T) {
	t.Parallel()
	for shell, program := range shells(t) {
		for what, script := range references {
			t.Run(shell+"/"+what, func(t *testing.T) {
				t.Parallel()
				for _, value := range hostile {
					p, command := commandOf(t, script, []plan.Param{
						{Name: "X", Value: value}, {Name: "7X", Value: value}, {Name: "RANDOM", Value: value}, {Name: "PPID", Value: value}, {Name: "INCREASENUM", Value: "1"},
					})
					if strings.Count(command, "\n") != strings.Count(script, "\n") {
						t.Fatalf("there are more or fewer lines:\n%s", command)
					}
					if got, err := run(t, program, command, p.Env); err != nil || got != "<"+value+">" && got != "<"+value+">\n" {
						t.Fatalf("%q came out as %q, %v, of\n%s", value, got, err, command)
					}
				}
			})
		}
	}
}

// TestDollarQuotes: bash has quotes in which backslashes have a meaning.
func TestDollarQuotes(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]string{
		`printf %s $'a\n${X}\tb'`: "a\nVALUE\tb",
		`printf %s $'a\${X}b'`:    `a\VALUEb`,
		`printf %s $'a\\${X}b'`:   `a\VALUEb`,
		`printf %s $'\'${X}\''`:   `'VALUE'`,
		`printf %s $'\x4${X}'`:    "\x04VALUE",
	} {
		for _, value := range hostile {
			p, command := commandOf(t, script, []plan.Param{{Name: "X", Value: value}})
			if got, err := run(t, []string{needs.Program(t, "bash")}, command, p.Env); err != nil || got != strings.Replace(want, "VALUE", value, 1) {
				t.Errorf("%s with %q: %q, %v, of %s", script, value, got, err, command)
			}
		}
	}
}

// TestShellVariables: whatever the shells do with variables of their own, a parameter of the name comes out.
func TestShellVariables(t *testing.T) {
	t.Parallel()
	names := strings.Fields(`BASH BASHOPTS BASHPID BASH_ALIASES BASH_ARGC BASH_ARGV BASH_ARGV0 BASH_CMDS BASH_COMMAND BASH_EXECUTION_STRING BASH_LINENO
		BASH_LOADABLES_PATH BASH_REMATCH BASH_SOURCE BASH_SUBSHELL BASH_VERSINFO BASH_VERSION COLUMNS COMP_CWORD COMP_LINE COMP_POINT COMP_WORDBREAKS COMP_WORDS COPROC
		DIRSTACK EPOCHREALTIME EPOCHSECONDS EUID FIGNORE FUNCNAME FUNCNEST GLOBIGNORE GROUPS HISTCMD HISTFILE HOME HOSTNAME HOSTTYPE IFS LANG LINENO LINES MACHTYPE
		MAIL MAPFILE OLDPWD OPTARG OPTERR OPTIND OSTYPE PIPESTATUS PPID PS1 PS2 PS3 PS4 PWD RANDOM READLINE_LINE REPLY SECONDS SHELL SHLVL SRANDOM TERM
		TIMEFORMAT TMOUT UID auto_resume histchars path _ __ x1 1 1a`)
	for shell, program := range shells(t) {
		for _, name := range names {
			p, command := commandOf(t, `printf '%s\n' "${`+name+`}" ${`+name+`} 'in ${`+name+`}'`, []plan.Param{{Name: name, Value: "7"}})
			if got, err := run(t, program, command, p.Env); err != nil || got != "7\n7\nin 7\n" {
				t.Errorf("%s: %s is %q, %v, in %s", shell, name, got, err, command)
			}
		}
	}
}

// TestVariablesOfTheScript: what the script assigns is the script's from then on, with quotes as the shell has them.
func TestVariablesOfTheScript(t *testing.T) {
	t.Parallel()
	for what, script := range map[string]struct{ script, want string }{
		"an assignment":             {`echo '${X}'; X=own; echo "${X}" '${X}'`, "given\nown ${X}\n"},
		"a loop":                    {`for X in a b; do echo "${X}" '${X}'; done; echo '${X}'`, "a ${X}\nb ${X}\n${X}\n"},
		"a here-document":           {"X=own\ncat <<'END'\nliteral ${X}\nEND", "literal ${X}\n"},
		"its own value":             {`X='<${X}>'; echo "${X}"`, "<given>\n"},
		"read":                      {"read X <<END\nown\nEND\necho \"${X}\" '${X}'", "own ${X}\n"},
		"in a subshell":             {`(X=own; echo "${X}" '${X}'); echo '${X}'`, "own ${X}\ngiven\n"},
		"unset":                     {`unset X; echo "<${X}>" '${X}'`, "<> ${X}\n"},
		"a local":                   {`f() { local X=own; echo "${X}" '${X}'; }; f; echo '${X}'`, "own ${X}\ngiven\n"},
		"for one command":           {`X=own sh -c 'echo "${X}"'; echo '${X}'`, "own\ngiven\n"},
		"for one command elsewhere": {`env -i X=own "$(command -v sh)" -c 'echo "${X}"'; env -i X=own sh -c 'echo "${X}"' || :`, "own\nown\n"},
		"exported":                  {`export X; X=own; sh -c 'echo "${X}"'`, "own\n"},
		"arithmetic":                {`N=1; : $((X = N)); echo "${X}" '${X}'`, "1 ${X}\n"},
		"a variable of the shell":   {`SECONDS=own; echo '${SECONDS}'`, "${SECONDS}\n"},
	} {
		for shell, program := range shells(t) {
			p, command := commandOf(t, script.script, []plan.Param{{Name: "X", Value: "given"}, {Name: "SECONDS", Value: "given"}})
			if got, err := run(t, program, command, p.Env); err != nil || got != script.want {
				t.Errorf("%s, %s: %q, %v, want %q, of\n%s", shell, what, got, err, script.want, command)
			}
		}
	}
}

// TestUnchangedScripts: without anything to do, a script stays as it is.
func TestUnchangedScripts(t *testing.T) {
	t.Parallel()
	for _, script := range []string{
		"echo \"${X}\" ${X} $X ${X:-y} ${#X}", "echo '$X' '${UNKNOWN}' '$${X}' '${X:-y}'", "cat <<'END'\n$HOME `x` \\ ${UNKNOWN}\nEND", "cat <<END\n${X}\nEND",
		"bash -c 'echo ${X}'", "eval 'echo ${X}'", "trap 'rm ${X}' EXIT", "PS4='${X} '", "alias x='echo ${X}'", "find . -exec sh -c 'echo ${X}' \\;",
		"echo '${X}' \"unterminated", "if ${X}; then '${X}'", strings.Repeat("$(", 200_000) + "'${X}'", strings.Repeat("{ ", 200_000) + "'${X}'", "\x00'${X}'\xff",
	} {
		if _, command := commandOf(t, script, []plan.Param{{Name: "X", Value: "value"}}); command != script {
			t.Errorf("%.80q became %.80q", script, command)
		}
	}
}

// TestUntrustedValues: what somebody chose who may not edit the task is taken as it is, and becomes no part of a program.
func TestUntrustedValues(t *testing.T) {
	t.Parallel()
	const text = "line 1 of the script: the value of X, which does not come from who may edit the task, "
	arithmetic := text + "stands in arithmetic, in which the shell would run what it says; it must be a whole number"
	program := func(name string) string {
		return text + "becomes program text of " + name + "; it may have letters, digits, blanks and _ . , : / @ % + = - there"
	}
	for script, want := range map[string]string{
		"echo ${X} \"$X\" '${X}' <<END\n${X}\nEND":        "",
		"echo $((${X} + 1))":                              arithmetic,
		"echo $((X + 1))":                                 arithmetic,
		"echo $(($X))":                                    arithmetic,
		"((X > 1))":                                       arithmetic,
		"let N=X":                                         arithmetic,
		"let 'N = ${X}'":                                  "",
		"[[ ${X} -gt 1 ]]":                                arithmetic,
		"[[ 1 -eq X ]]":                                   arithmetic,
		"[ ${X} -gt 1 ]":                                  "",
		"[[ ${X} == 1 ]]":                                 "",
		"N[${X}]=1":                                       arithmetic,
		"echo ${N[X]}":                                    arithmetic,
		"echo ${N:X:1}":                                   arithmetic,
		"echo ${!X}":                                      arithmetic,
		"for ((i = 0; i < X; i++)); do :; done":           arithmetic,
		"X=1; echo $((X + 1))":                            "",
		"bash -c \"echo ${X}\"":                           program("bash"),
		"bash -c 'echo ${X}'":                             "",
		"bash -ec \"$X\"":                                 program("bash"),
		"eval echo $X":                                    program("eval"),
		"eval 'echo $X'":                                  "",
		"trap \"rm ${X}\" EXIT":                           program("trap"),
		"ssh -p 22 host \"echo ${X}\"":                    program("ssh"),
		"ssh host 'echo ${X}'":                            "",
		"python3 -c 'print(\"${X}\")'":                    program("python3"),
		"/usr/bin/env python3 -c \"print('${X}')\"":       program("python3"),
		"node -e 'x(\"${X}\")'":                           program("node"),
		"perl -pi -e 's/a/${X}/' file":                    program("perl"),
		"awk '{print \"${X}\"}' file":                     program("awk"),
		"sed -i \"s/a/${X}/\" file":                       program("sed"),
		"bash <<END\necho ${X}\nEND":                      strings.Replace(program("bash"), "line 1", "line 2", 1),
		"python3 - <<'END'\nprint('${X}')\nEND":           strings.Replace(program("python3"), "line 1", "line 2", 1),
		"bash -c \"$(cat <<'END'\necho ${X}\nEND\n)\"":    "",
		"python3 script.py \"${X}\"":                      "",
		"docker run image sh -c \"echo ${X}\"":            program("sh"),
		"sudo -u me sh -c 'echo ${X}'":                    "",
		"echo bash -c \"${X}\"":                           "",
		"cat <<END | sh\necho ${X}\nEND":                  strings.Replace(program("sh"), "line 1", "line 2", 1),
		"su me -c \"echo ${X}\"":                          program("su"),
		"find . -exec sh -c \"echo ${X}\" \\;":            program("sh"),
		"printf '%s' \"$(python3 -c 'print(\"${X}\")')\"": program("python3"),
	} {
		in := plan.Input{
			Job:       build.Config{Steps: []build.ActionStep{{ModuleID: "sh", Name: "Step", Properties: map[string]any{"command": script}}}},
			Params:    []plan.Param{{Name: "SECRET", Value: "secret"}, {Name: "X", Value: "${SECRET}'\"`"}},
			Untrusted: []string{"X"},
		}
		p, err := plan.New(in)
		got := ""
		if err != nil {
			got = strings.TrimPrefix(err.Error(), "steps[0].properties.command: ")
		} else if p.Env[1].Value != in.Params[1].Value {
			t.Errorf("the value is %q", p.Env[1].Value)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", script, got, want)
		}
		in.Params[1].Value = "42"
		if _, err := plan.New(in); err != nil {
			t.Errorf("a number in %s: %v", script, err)
		}
		in.Params[1].Value, in.Untrusted = "'\"`", nil
		if _, err := plan.New(in); err != nil {
			t.Errorf("an editor's value in %s: %v", script, err)
		}
	}
}

// TestReferencesEscapeNoCheck: a chosen value with something like a reference in it is checked as any other where it is no part
// of a command. A reference that stays and has nothing wrong around it is a warning only.
func TestReferencesEscapeNoCheck(t *testing.T) {
	t.Parallel()
	for input, step := range map[string]string{
		"image":                 "sh: {image: '${X}', inputs: {command: make}}",
		"settings.public_repos": "maven: {inputs: {command: mvn, settings: {public_repos: ['${X}']}}}",
		"organization":          "build_image: {inputs: {organization: '${X}', image_name: a}}",
		"image_name":            "build_image: {inputs: {organization: a, image_name: '${X}'}}",
		"image_tag":             "build_image: {inputs: {organization: a, image_name: a, image_tag: '${X}'}}",
		"bucket_name":           "upload_obs: {inputs: {bucket_name: '${X}'}}",
		"artifact_path":         "upload_obs: {inputs: {bucket_name: abc, artifact_path: '${X}'}}",
		"file_path":             "android_sign: {inputs: {file_path: '${X}', keystore_file: k, keystore_password: p, alias: a, apksigner_commond: -v}}",
		"url":                   "download_artifact: {inputs: {url: '${X}'}}",
		"username":              "manifest_checkout: {inputs: {manifest_url: '${X}', username: u, password: p}}",
	} {
		stage := "BUILD"
		if strings.HasPrefix(step, "manifest") {
			stage = "PRE_BUILD"
		}
		read := func(value string) error {
			in := fileInput("version: 2.0\nsteps:\n  " + stage + ":\n    - " + step + "\n")
			in.Params, in.Untrusted = []plan.Param{{Name: "X", Value: value}}, []string{"X"}
			_, err := plan.New(in)
			return err
		}
		if err := read("../[ Y ${Z}"); err == nil || !strings.Contains(err.Error(), input) {
			t.Errorf("%s: %v", input, err)
		}
		if err := read("${Z}"); err != nil {
			t.Errorf("%s: %v", input, err)
		}
	}
}

// FuzzValue: whatever a value is, it comes out as it is wherever a reference stands.
func FuzzValue(f *testing.F) {
	var scripts []string
	for _, name := range slices.Sorted(maps.Keys(references)) {
		if !strings.Contains(references[name], "exit") {
			scripts = append(scripts, references[name])
		}
	}
	for i, value := range hostile {
		f.Add([]byte(value), uint8(i))
	}
	f.Fuzz(func(t *testing.T, value []byte, script uint8) {
		if bytes.IndexByte(value, 0) >= 0 {
			t.Skip("no environment can hold it")
		}
		var params []plan.Param
		for _, name := range []string{"X", "7X", "RANDOM", "PPID"} {
			params = append(params, plan.Param{Name: name, Value: string(value)})
		}
		p, command := commandOf(t, scripts[int(script)%len(scripts)], append(params, plan.Param{Name: "INCREASENUM", Value: "1"}))
		for shell, program := range shells(t) {
			if got, err := run(t, program, command, p.Env); err != nil || strings.TrimSuffix(got, "\n") != "<"+string(value)+">" {
				t.Errorf("%s: %q came out as %q, %v, of\n%s", shell, value, got, err, command)
			}
		}
	})
}

// FuzzCommand: a script that can be parsed can be parsed afterwards, has as many lines, and does the same when nothing in it refers to a parameter.
func FuzzCommand(f *testing.F) {
	for _, script := range references {
		f.Add([]byte(script))
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		p, command := commandOf(t, string(script), []plan.Param{{Name: "X", Value: "SECRET-VALUE"}, {Name: "7X", Value: "SECRET-VALUE"}, {Name: "RANDOM", Value: "SECRET-VALUE"}})
		if strings.Contains(command, "SECRET-VALUE") && !bytes.Contains(script, []byte("SECRET-VALUE")) {
			t.Fatalf("the value is part of the script: %q", command)
		}
		if strings.Count(command, "\n") != bytes.Count(script, []byte("\n")) {
			t.Fatalf("%q has other lines than %q", command, script)
		}
		if !bytes.Contains(script, []byte("${")) && command != string(script) {
			t.Fatalf("%q became %q", script, command)
		}
		if _, again := commandOf(t, command, nil); again != command || len(p.Steps) != 1 {
			t.Fatalf("%q became %q", command, again)
		}
	})
}
