package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"atelier/internal/fault"
	"atelier/internal/plan"
)

// TestInvalid has the mistakes that people make, each with what they read.
func TestInvalid(t *testing.T) {
	t.Parallel()
	build := func(step string) string { return "version: 2.0\nsteps:\n  BUILD:\n    " + step + "\n" }
	prepare := func(step string) string { return "version: 2.0\nsteps:\n  PRE_BUILD:\n    " + step + "\n" }
	with := func(top string) string {
		return "version: 2.0\n" + top + "\nsteps:\n  BUILD:\n    - sh: {inputs: {command: a}}\n"
	}
	nested := strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)
	laughs := "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
	for i := range 12 {
		laughs += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i), 9), ","))
	}
	tests := []struct{ name, file, want string }{
		{"no version", "steps:\n  BUILD:\n    - sh: {inputs: {command: a}}\n", "b.yml:1:1: version: is missing; write version: 2.0"},
		{"another version", "version: 1.0\n" + with("")[13:], `b.yml:1:10: version: must be 2.0, found "1.0"`},
		{"no blank behind a colon", with("env:\n  resource:\n    type:docker\n    arch: X86"), "b.yml:5:9: is not YAML: mapping values are not allowed in this context; line 4: write a blank behind the colon"},
		{"no blank behind the only colon", with("env:\n  resource:\n    type:docker"), `env.resource: must be a map with the keys type, arch, class, pool, found the text "type:docker"`},
		{"a full-width colon", with("env:\n  resource:\n    type: custom\n    pool：lab\n    arch: X86"), "the colon is a full-width one, use :"},
		{"a tab", "version: 2.0\nsteps:\n  BUILD:\n    - sh:\n\tname: a\n", "a tab may not indent, use spaces"},
		{"an escape", build(`- sh: {inputs: {command: "docker build -f .\scripts\x.Dockerfile ."}}`), "in double quotes a backslash begins an escape, use single quotes or a block"},
		{"text behind a quote", build(`- upload_artifact: {inputs: {path: "dist/*"e}}`), "b.yml:4:"},
		{"settings without inputs", build("- maven:\n        command: mvn package"), "steps.BUILD[0].maven.command: belongs below inputs"},
		{"image below inputs", build("- swr: {inputs: {image: x, command: y}}"), "steps.BUILD[0].swr.inputs.image: stands beside inputs, not below it"},
		{"checkout in BUILD", build("- checkout: {inputs: {branch: main}}"), "steps.BUILD[0].checkout: cannot stand in BUILD, only in PRE_BUILD"},
		{"POST_BUILD", "version: 2.0\nsteps:\n  POST_BUILD:\n    - sh: {inputs: {command: a}}\n", "steps.POST_BUILD: there is no such stage; write these steps at the end of BUILD"},
		{"PACKAGE", "version: 2.0\nsteps:\n  PACKAGE: []\n", "steps.PACKAGE: is not known; known are: BUILD, PRE_BUILD"},
		{"another product's keyword", build("- build_execute: {command: a}"), "steps.BUILD[0].build_execute: is not known"},
		{"two keywords in one step", build("- {sh: {inputs: {command: a}}, npm: {inputs: {command: a}}}"), "has the keywords sh and npm; each step is an element of its own"},
		{"a list of steps", "version: 2.0\nsteps:\n  - {name: docker, args: [a]}\n", "b.yml:3:3: steps: a list of steps is the format of another vendor's service"},
		{"env and envs", with("env: {resource: {type: docker}}\nenvs: []"), "b.yml:3:1: envs: stands beside env; use one of them"},
		{"a translated class", with(`env: {resource: {class: "8 vCPUs | 16 GB"}}`), `env.resource.class: must be one of 2U8G, 4U8G, 8U16G, 16U32G, 16U64G, found "8 vCPUs | 16 GB"`},
		{"no pool", with("env: {resource: {type: custom}}"), "env.resource.pool: is missing"},
		{"parameters in a map", with("params: {a: 1}"), "params: must be a list of name and value pairs, found a map"},
		{"a reserved parameter", with("params: [{name: PATH, value: /x}]"), `params[0].name: "PATH" is reserved`},
		{"a parameter of the service's", with("params: [{name: COMMIT_ID, value: x}]"), `params[0].name: "COMMIT_ID" is set by the service`},
		{"no path", build("- upload_artifact: {inputs: {version: 1}}"), "steps.BUILD[0].upload_artifact.inputs.path: is missing"},
		{"both kinds of file", with("buildflow: {jobs: []}"), "buildflow: stands beside steps; a file describes either one task or several"},
		{"several tasks", "version: 2.0\nbuildflow: {jobs: []}\n", "buildflow: this version cannot run files with several tasks yet"},
		{"depth", prepare("- checkout: {inputs: {branch: main, depth: many}}"), `steps.PRE_BUILD[0].checkout.inputs.depth: must be a whole number of 1 or more, found "many"`},
		{"depth 0", prepare("- checkout: {inputs: {branch: main, depth: 0}}"), `must be a whole number of 1 or more, found "0"`},
		{"lfs", prepare("- checkout: {inputs: {branch: main, lfs: maybe}}"), `steps.PRE_BUILD[0].checkout.inputs.lfs: must be true or false, found "maybe"`},
		{"scm", prepare("- checkout: {inputs: {scm: svn, url: x, branch: main}}"), `inputs.scm: must be codehub, found "svn"`},
		{"no url", prepare("- checkout: {inputs: {scm: codehub, branch: main}}"), "steps.PRE_BUILD[0].checkout.inputs.url: is missing"},
		{"credentials", prepare("- checkout: {inputs: {branch: main, password: x}}"), "inputs.password: is not known"},
		{"path", prepare("- checkout: {inputs: {branch: main, path: a/../../b}}"), `inputs.path: must be a directory below the workspace, found "a/../../b"`},
		{"absolute path", prepare("- checkout: {inputs: {branch: main, path: /b}}"), "must be a directory below the workspace"},
		{"twice into one directory", prepare("- checkout: {inputs: {branch: main, path: a}}\n    - checkout: {inputs: {branch: main, path: ./a/}}"), "an earlier checkout goes into the same directory"},
		{"a key twice", "version: 2.0\nsteps: {}\nversion: 2.0\n", "b.yml:3:1: version: stands twice, first in line 1"},
		{"no steps", "version: 2.0\nsteps:\n  BUILD:\n", "steps: has no steps"},
		{"steps are missing", "version: 2.0\n", "steps: is missing"},
		{"51 steps", "version: 2.0\nsteps:\n  BUILD:\n" + strings.Repeat("    - sh: {inputs: {command: a}}\n", 51), "steps: has 51 steps, at most 50 are allowed"},
		{"a cycle", with("params: [{name: a, value: '${b}'}, {name: b, value: '${a}'}]"), `b.yml:2:1: params: the value of "a" refers to itself, or through more than 10 others: a → b → a`},
		{"a condition", with("envs: [{condition: 'a = 1', resource: {type: docker}}]"), `envs[0].condition: the condition is not valid at character 3: an operator, && or || is expected, found "= 1"`},
		{"no condition", with("envs: [{resource: {type: docker}}]"), "envs[0].condition: is missing"},
		{"empty", "", "the file is empty"},
		{"only a comment", "# nothing\n", "the file is empty"},
		{"a text", "hello", `must be a map with the keys version and steps, found the text "hello"`},
		{"an empty map", "{}", "version: is missing; write version: 2.0"},
		{"null", "~", "must be a map with the keys version and steps, found nothing"},
		{"two documents", with("") + "---\na: 1\n", "a second document begins here; a build file is one document"},
		{"too large", with("#" + strings.Repeat("x", 2<<20)), "bytes, at most 1048576 are allowed"},
		{"not text", "version: 2.0\nsteps: \xff\xfe\n", "is not YAML: "},
		{"deep", "version: 2.0\nsteps: " + nested, "b.yml:"},
		{"aliases of aliases", laughs + with(""), "is not known"},
		{"a long value", with("params: [{name: '" + strings.Repeat("y", 200) + "'}]"), `found "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy`},
		{"a key that is no word", "version: 2.0\n? [a]\n: b\nsteps:\n  BUILD:\n    - sh: {inputs: {command: a}}\n", "a key must be a plain word, found a list"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := fileInput(tt.file)
			in.File.Path = "b.yml"
			_, err := plan.New(in)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("the problems are\n%v\nand not\n%s", err, tt.want)
			}
			if !fault.Is(err, fault.Invalid) {
				t.Error("they are no fault of the kind Invalid")
			}
		})
	}
}

// TestAccepted has what looks wrong and is not.
func TestAccepted(t *testing.T) {
	t.Parallel()
	file := "version: 2.0\nsteps:\n  BUILD:\n    - sh: {inputs: {command: a}}\n"
	chain := "version: 2.0\nparams:\n"
	for i := range 9 {
		chain += fmt.Sprintf("  - {name: p%d, value: '${p%d}'}\n", i, i+1)
	}
	for name, text := range map[string]string{
		"a byte-order mark": "\ufeff" + file, "line ends of Windows": strings.ReplaceAll(file, "\n", "\r\n"),
		"a document mark": "---\n" + file, "quotes": strings.Replace(file, "2.0", `"2.0"`, 1), "no params": "params:\n" + file,
		"env without a value": "env:\n" + file, "references to references": chain + "  - {name: p9, value: x}\n" + file[13:],
	} {
		if _, err := plan.New(fileInput(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestManyProblems: a file of another kind does not make a message that nobody reads.
func TestManyProblems(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, "k%d: 1\n", i)
	}
	_, err := plan.New(fileInput(b.String()))
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 51 || lines[50] != "build.yml: and 952 more problems" {
		t.Errorf("%d lines, the last is %q", len(lines), lines[len(lines)-1])
	}
}
