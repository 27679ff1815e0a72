package plan_test

import (
	"errors"
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
	flow := func(jobs ...string) string {
		return "version: 2.0\nbuildflow:\n  jobs:\n    - " + strings.Join(jobs, "\n    - ") + "\n"
	}
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprintf("{job: j%d, build_ref: a}", i)
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
		{"no blank behind the only colon", with("env:\n  resource:\n    type:docker"), `env.resource: must be a map with the keys type, arch, class, pool, found the text "type:docker"; write a blank behind the colon`},
		{"only a full-width colon", with("env:\n  resource:\n    pool：lab"), `found the text "pool：lab"; the colon is a full-width one, use :`},
		{"a full-width colon", with("env:\n  resource:\n    type: custom\n    pool：lab\n    arch: X86"), "the colon is a full-width one, use :"},
		{"a tab", "version: 2.0\nsteps:\n  BUILD:\n    - sh:\n\tname: a\n", "a tab may not indent, use spaces"},
		{"an escape", build(`- sh: {inputs: {command: "docker build -f .\scripts\x.Dockerfile ."}}`), "in double quotes a backslash begins an escape, use single quotes or a block"},
		{"text behind a quote", build(`- upload_artifact: {inputs: {path: "dist/*"e}}`), "b.yml:4:"},
		{"a wrong repository list", build("- maven: {inputs: {command: mvn, settings: {public_repos: https://repo}}}"), `steps.BUILD[0].maven.inputs.settings.public_repos: must be a list of texts, found the text "https://repo"`},
		{"a wrong setting", build("- maven: {inputs: {command: mvn, settings: {repos: []}}}"), "inputs.settings.repos: is not known; known are: private_repos, public_repos"},
		{"no report", build("- maven: {inputs: {command: mvn, unit_test: {enable: true}}}"), "steps.BUILD[0].maven.inputs.unit_test.report_path: is missing"},
		{"a wrong switch", build("- maven: {inputs: {command: mvn, unit_test: {report_path: a, coverage: perhaps}}}"), `unit_test.coverage: must be true or false, found "perhaps"`},
		{"a wrong cache", build("- go: {inputs: {command: go build, cache: maybe}}"), `b.yml:4:47: steps.BUILD[0].go.inputs.cache: must be true or false, found "maybe"`},
		{"a cache of a step without one", build("- sh: {inputs: {command: a, cache: true}}"), "steps.BUILD[0].sh.inputs.cache: is not known"},
		{"no report in two lines", build("- go:\n        inputs:\n          command: go test\n          unit_test:\n            coverage: false"), "b.yml:7:11: steps.BUILD[0].go.inputs.unit_test.report_path: is missing"},
		{"no coverage", build("- go: {inputs: {command: go test, unit_test: {coverage: true}}}"), "steps.BUILD[0].go.inputs.unit_test.coverage_report_path: is missing"},
		{"a wrong report", build("- sh:\n        inputs:\n          command: make\n          unit_test:\n            report_path: ../a.xml"), `b.yml:8:26: steps.BUILD[0].sh.inputs.unit_test.report_path: must not lead out of the workspace with .., found "../a.xml"`},
		{"a wrong report that is off", build("- sh: {inputs: {command: make, unit_test: {enable: false, coverage_report_path: /a}}}"), `unit_test.coverage_report_path: must be relative to the workspace`},
		{"a misspelt key", build("- sh: {inputs: {command: make, unit_test: {report_path: a, converage: true}}}"), `unit_test.converage: is not known (did you mean "coverage"?)`},
		{"reports as a text", build("- sh: {inputs: {command: make, unit_test: '**/*.xml'}}"), `unit_test: must be a map, found the text "**/*.xml"`},
		{"tests of docker", build("- docker: {inputs: {command: docker pull x, unit_test: {report_path: a}}}"), "steps.BUILD[0].docker.inputs.unit_test: is not known"},
		{"no jdk", build("- gradle: {inputs: {command: gradle build, gradle: 4.10}}"), "steps.BUILD[0].gradle.inputs.jdk: is missing"},
		{"docker run", build("- docker: {inputs: {command: docker run x}}"), `steps.BUILD[0].docker.inputs.command: line 1: "docker run x" is not allowed; allowed are docker build, tag, push, pull, login, logout, save`},
		{"another program", build("- docker: {inputs: {command: \"docker pull x\\n\\n# a comment\\nrm -rf /\"}}"), `command: line 4: the program "rm" is not docker; use an sh step for it`},
		{"an operator", build("- docker: {inputs: {command: docker pull x && docker push y}}"), `line 1: only plain commands are understood`},
		{"an operator in a continued line", build("- docker: {inputs: {command: \"docker build \\\\\\n -t x . > log\"}}"), `line 1: only plain commands are understood`},
		{"settings without inputs", build("- maven:\n        command: mvn package"), "steps.BUILD[0].maven.command: belongs below inputs"},
		{"image below inputs", build("- swr: {inputs: {image: x, command: y}}"), "steps.BUILD[0].swr.inputs.image: stands beside inputs, not below it"},
		{"checkout in BUILD", build("- checkout: {inputs: {branch: main}}"), "steps.BUILD[0].checkout: cannot stand in BUILD, only in PRE_BUILD"},
		{"POST_BUILD", "version: 2.0\nsteps:\n  POST_BUILD:\n    - sh: {inputs: {command: a}}\n", "steps.POST_BUILD: there is no such stage; write these steps at the end of BUILD"},
		{"PACKAGE", "version: 2.0\nsteps:\n  PACKAGE: []\n", "steps.PACKAGE: is not known; known are: BUILD, PRE_BUILD"},
		{"another product's keyword", build("- build_execute: {command: a}"), "b.yml:4:7: steps.BUILD[0].build_execute: is a keyword of a look-alike product; known are: android,"},
		{"another product's keyword with steps", build("- when: {condition: $a, steps: [{build_execute: {command: a}}]}"), "b.yml:1:1: the file is written for a look-alike product"},
		{"GitHub's format", "on: push\njobs:\n  build:\n    steps: [{run: make}]\n", "b.yml:1:1: the file is written for GitHub Actions; a build file here has the keys version and steps, or version and buildflow"},
		{"GitLab's format", "stages: [build]\nbuild:\n  script: make\n", "b.yml:1:1: the file is written for GitLab CI;"},
		{"Azure's format", "trigger: [main]\nsteps:\n- script: make\n", "b.yml:1:1: the file is written for Azure Pipelines;"},
		{"two keywords in one step", build("- {sh: {inputs: {command: a}}, npm: {inputs: {command: a}}}"), "has the keywords sh and npm; each step is an element of its own"},
		{"a list of steps", "version: 2.0\nsteps:\n  - {name: docker, args: [a]}\n", "b.yml:1:1: the file is written for Google Cloud Build;"},
		{"env and envs", with("env: {resource: {type: docker}}\nenvs: []"), "b.yml:3:1: envs: stands beside env; use one of them"},
		{"a translated class", with(`env: {resource: {class: "8 vCPUs | 16 GB"}}`), `env.resource.class: must be one of 2U8G, 4U8G, 8U16G, 16U32G, 16U64G, found "8 vCPUs | 16 GB"`},
		{"a condition for nothing", with("envs: [{condition: a == 1}]"), "b.yml:2:8: envs[0].resource: is missing"},
		{"a wrong code cache", with("env: {cache: [{type: files, local_path: code, comand: x}]}"), `b.yml:2:22: env.cache[0].type: must be code, found "files"`},
		{"a code cache without a command", with("env: {cache: [{type: code, local_path: code, comand: x}]}"), "env.cache[0].command: is missing"},
		{"no pool", with("env: {resource: {type: custom}}"), "env.resource.pool: is missing"},
		{"parameters in a map", with("params: {a: 1}"), "params: must be a list of name and value pairs, found a map"},
		{"a reserved parameter", with("params: [{name: PATH, value: /x}]"), `params[0].name: "PATH" is reserved`},
		{"a parameter of the service's", with("params: [{name: COMMIT_ID, value: x}]"), `params[0].name: "COMMIT_ID" is set by the service`},
		{"no path", build("- upload_artifact: {inputs: {version: 1}}"), "steps.BUILD[0].upload_artifact.inputs.path: is missing"},
		{"both kinds of file", with("buildflow: {jobs: []}"), "b.yml:3:1: steps: stands beside buildflow; a file describes either one task or several"},
		{"no jobs", "version: 2.0\nbuildflow: {jobs: []}\n", "b.yml:2:13: buildflow.jobs: has no jobs"},
		{"jobs are missing", "version: 2.0\nbuildflow: {strategy: lazy}\n", "b.yml:2:1: buildflow.jobs: is missing"},
		{"a flow that is a list", "version: 2.0\nbuildflow: []\n", "buildflow: must be a map with the key jobs, found a list"},
		{"a flow without a value", "version: 2.0\nbuildflow:\n", "buildflow: must be a map with the key jobs, found nothing"},
		{"both kinds of flow", flow("{job: A, build_ref: a.yml}") + "buildflows: []\n", "buildflows: stands beside buildflow; use one of them"},
		{"jobs alone", "version: 2.0\njobs: [{job: A, build_ref: a.yml}]\n", "b.yml:2:1: jobs: stands alone; write it below buildflow"},
		{"jobs twice", flow("{job: A, build_ref: a.yml}") + "jobs: [{job: B, build_ref: b.yml}]\n", "jobs: stands beside buildflow, which has jobs of its own"},
		{"a strategy", "version: 2.0\nbuildflow: {strategy: parallel, jobs: [{job: A, build_ref: a.yml}]}\n", `buildflow.strategy: must be lazy or eager, found "parallel"`},
		{"a resolver", "version: 2.0\nbuildflow: {jobs_resolver: {provider: x}}\n", "buildflow.jobs_resolver: jobs that a program works out are not supported; list them below jobs"},
		{"a wrong word", "version: 2.0\nbuild_flow: {}\nsteps:\n  BUILD:\n    - sh: {inputs: {command: a}}\n", "build_flow: is not known; it is called buildflow"},
		{"needs", flow("{job: A, build_ref: a.yml, needs: [B]}"), "buildflow.jobs[0].needs: is not known; a job names those that it waits for in depends_on"},
		{"build_jobs", "version: 2.0\nbuildflow: {build_jobs: []}\n", "b.yml:2:13: buildflow.build_jobs: is not known; it is called jobs and stands below buildflow"},
		{"build_jobs alone", "version: 2.0\nbuild_jobs: []\n", "b.yml:2:1: build_jobs: is not known; it is called jobs and stands below buildflow"},
		{"build_execute", flow("{job: A, build_execute: make}"), "buildflow.jobs[0].build_execute: is not known; a job names its build file in build_ref"},
		{"triggers", with("triggers: []"), "b.yml:2:1: triggers: is not known; what starts a build is set in the task, not in the file"},
		{"a condition of the only flow", "version: 2.0\nbuildflow: {condition: a, jobs: [{job: A, build_ref: a}]}\n", "buildflow.condition: is not known; a condition stands in"},
		{"two jobs of one name", flow("{job: A, build_ref: a.yml}", "{job: A, build_ref: b.yml}"), `b.yml:5:7: buildflow.jobs[1].job: there are two jobs with the name "A", the first in line 4`},
		{"a job without a name", flow("{build_ref: a.yml}"), "b.yml:4:7: buildflow.jobs[0].job: is missing"},
		{"a job without a file", flow("{job: A}"), "buildflow.jobs[0].build_ref: is missing"},
		{"a file outside", flow("{job: A, build_ref: ../a.yml}"), `buildflow.jobs[0].build_ref: must be the path of a file in the repository, counted from its root, found "../a.yml"`},
		{"an absolute file", flow("{job: A, build_ref: /etc/passwd}"), `counted from its root, found "/etc/passwd"`},
		{"an empty file name", flow("{job: A, build_ref: ''}"), "buildflow.jobs[0].build_ref: is empty"},
		{
			"no such job", flow("{job: Bar, build_ref: a.yml}", "{job: B, build_ref: b.yml, depends_on: [Bax]}"),
			`b.yml:5:47: buildflow.jobs[1].depends_on[0]: there is no job "Bax" (did you mean "Bar"?); there are: Bar, B`,
		},
		{"itself", flow("{job: A, build_ref: a.yml, depends_on: A}"), `buildflow.jobs[0].depends_on: the job "A" depends on itself`},
		{"one twice", flow("{job: A, build_ref: a.yml}", "{job: B, build_ref: b.yml, depends_on: [A, A]}"), `depends_on[1]: "A" stands twice`},
		{
			"a circle", flow("{job: X, build_ref: a.yml, depends_on: A}", "{job: A, build_ref: a.yml, depends_on: B}", "{job: B, build_ref: b.yml, depends_on: [A]}"),
			"b.yml:5:46: buildflow.jobs[1].depends_on: the jobs wait for each other: A → B → A",
		},
		{
			"a circle entered in its middle", flow("{job: X, build_ref: a, depends_on: C}", "{job: B, build_ref: a, depends_on: C}", "{job: C, build_ref: a, depends_on: B}"),
			"b.yml:5:42: buildflow.jobs[1].depends_on: the jobs wait for each other: B → C → B",
		},
		{
			"two circles", flow("{job: A, build_ref: a, depends_on: B}", "{job: B, build_ref: a, depends_on: A}", "{job: C, build_ref: a, depends_on: [A, D]}", "{job: D, build_ref: a, depends_on: C}"),
			"wait for each other: A → B → A\nb.yml:6:46: buildflow.jobs[2].depends_on[1]: the jobs wait for each other: C → D → C",
		},
		{"no such job among many", flow(append(many[:12:12], "{job: B, build_ref: a, depends_on: [C]}")...), "there are: j0, j1, j2, j3, j4, j5, j6, j7, j8, j9, …"},
		{"too many jobs", flow(many...), "b.yml:3:3: buildflow.jobs: has 101 jobs, at most 100 are allowed"},
		{"a name of two lines", flow(`{job: "a\nb", build_ref: a}`), `b.yml:4:13: buildflow.jobs[0].job: must be 1 to 128 letters, digits, spaces`},
		{"a reference in a name", flow("{job: '${a}', build_ref: a}"), `buildflow.jobs[0].job: must be 1 to 128 letters, digits, spaces`},
		{"a job's condition", flow("{job: A, build_ref: a.yml, condition: a =}"), "buildflow.jobs[0].condition: the condition is not valid at character 3"},
		{"a job's parameter", flow("{job: A, build_ref: a.yml, params: [{name: PATH}]}"), `buildflow.jobs[0].params[0].name: "PATH" is reserved`},
		{"no condition holds", "version: 2.0\nbuildflows:\n  - {condition: a == 1, jobs: [{job: A, build_ref: a.yml}]}\n", "b.yml:2:1: buildflows: none of the conditions holds, so there is nothing to build"},
		{"a flow without a condition", "version: 2.0\nbuildflows:\n  - {jobs: [{job: A, build_ref: a.yml}]}\n", "buildflows[0].condition: is missing"},
		{"a problem in a flow that is not taken", "version: 2.0\nbuildflows:\n  - {condition: true, jobs: [{job: A, build_ref: a.yml}]}\n  - {condition: false, jobs: [{job: A}]}\n", "buildflows[1].jobs[0].build_ref: is missing"},
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
		{"51 steps and another problem", "version: 2.0\nsteps:\n  BUILD:\n" + strings.Repeat("    - sh: {inputs: {command: a}}\n", 50) + "    - shell\n", "b.yml:2:1: steps: has 51 steps, at most 50 are allowed\nb.yml:54:7: steps.BUILD[50].shell: is not known"},
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
			_, ok, err := plan.ReadFlow(in)
			if !ok {
				_, err = plan.New(in)
			}
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

// TestOneProblem: what follows from a problem is not told as another one.
func TestOneProblem(t *testing.T) {
	t.Parallel()
	for _, file := range []string{
		"version: 2.0\nbuild_flow: {jobs: []}\n", "version: 2.0\nbuild_jobs: []\n", "version: 2.0\nbuildflow: {build_jobs: []}\n",
		"version: 2.0\nsteps:\n  BUILD:\n    - maven:\n        command: mvn package\n", "version: 2.0\nsteps:\n  BUILD:\n    - sh: {inputs: make}\n",
		"version: 2.0\nsteps:\n  PRE_BUILD:\n    - checkout: {inputs: {url: [a], scm: codehub, branch: main}}\n",
		"version: 2.0\nsteps:\n  BUILD:\n    - go: {inputs: {command: go test, unit_test: {report_path: [a]}}}\n",
		"version: 2.0\nbuildflow: {jobs_resolver: {}}\n", "version: 2.0\nbuildflow: {jobs: [{job: A, build_execute: make}]}\n",
	} {
		_, ok, err := plan.ReadFlow(fileInput(file))
		if !ok {
			_, err = plan.New(fileInput(file))
		}
		if problems, _ := errors.AsType[plan.Problems](err); len(problems) != 1 {
			t.Errorf("%q has the problems\n%v", file, err)
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
