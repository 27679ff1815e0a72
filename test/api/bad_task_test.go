package api_test

import (
	"fmt"
	"strings"

	"atelier/internal/server/servertest"
)

// taskWith is the body of a task to be made, with a repository.
func taskWith(s *servertest.Server, scm string) string {
	return fmt.Sprintf(`{"arch": "x86-64", "project_id": %q, "job_name": "new", "steps": [], "scms": [{"scm_type": "default", %s}]}`, s.Project, scm)
}

// badAddresses are addresses of repositories that would make git do something else, or read what nobody allowed.
func badAddresses(s *servertest.Server, a app) []badRequest {
	const remote = "allowed are https://host/path"
	var out []badRequest
	for address, words := range map[string]string{
		"--upload-pack=touch /tmp/pwned": "must not begin with a hyphen; " + remote,
		"-oProxyCommand=id":              "must not begin with a hyphen; " + remote,
		"file:///etc":                    "below a directory that the operator has allowed",
		"file:///etc/passwd":             "below a directory that the operator has allowed",
		"file://" + s.Config.DataDir:     "below a directory that the operator has allowed",
		a.url + "/../../data":            "below a directory that the operator has allowed",
		"/etc":                           remote,
		"../app":                         remote,
		"ext::sh":                        remote,
		"ext::sh -c id":                  "a space",
		"ext::sh%20-c%20id":              remote,
		"git://example.org/a":            "another transport",
		"ftp://example.org/a":            "another transport",
		"HTTPS://example.org/a":          "another transport",
		"https://u:hunter2@a.org/b":      "holds a user name or a password",
		"https://example.org/a?b":        "after ? or #",
		"https://":                       "has no host",
		"ssh://-oProxyCommand=id/a":      "has no host",
		"git@-oProxyCommand=id:a":        "has no host",
		"https://example.org/a\\nb":      "a control character",
		"":                               "is empty",
		"https://a.org/" + strings.Repeat("a", 3000): "at most 2048",
	} {
		text := strings.ReplaceAll(fmt.Sprintf("%q", address), `\\n`, `\n`)
		out = append(out, invalid(fmt.Sprintf("%.40s", address), "POST", "/v1/job/create", taskWith(s, `"url": `+text), "scms[0].url: repository address ", words))
	}
	update := strings.Replace(taskWith(s, `"url": "ext::sh"`), "{", fmt.Sprintf(`{"job_id": %q, `, a.job), 1)
	return append(out, invalid("in an update", "POST", "/v1/job/update", update, "scms[0].url", remote))
}

// badReferences are names of branches, tags and commits that git takes for something else.
func badReferences(s *servertest.Server, a app) []badRequest {
	var out []badRequest
	for _, name := range []string{"-x", "--upload-pack=id", "a..b", "a b", "a~1", "a^", "a:b", "a\\b", "@{-1}", "a.lock", "/a", "a/", "a\x01b", "HEAD:a", strings.Repeat("a", 5000)} {
		add := func(where, path, body, field string) {
			out = append(out, invalid(fmt.Sprintf("%.20q as %s", name, where), "POST", path, body, field+": "))
		}
		add("the task's branch", "/v1/job/create", taskWith(s, fmt.Sprintf(`"url": %q, "branch": %q`, a.url, name)), "scms[0].branch")
		add("a build's branch", "/v3/jobs/build", fmt.Sprintf(`{"job_id": %q, "scm": {"branch": %q}}`, a.job, name), "scm.branch")
		add("a parameter", "/v1/job/execute", fmt.Sprintf(`{"job_id": %q, "parameter": [{"name": "codeBranch", "value": %q}]}`, a.job, name), "scm.branch")
		add("a tag", "/v3/jobs/build", fmt.Sprintf(`{"job_id": %q, "scm": {"build_tag": %q}}`, a.job, name), "scm.build_tag")
		add("a commit", "/v3/jobs/build", fmt.Sprintf(`{"job_id": %q, "scm": {"build_commit_id": %q}}`, a.job, name), "scm.build_commit_id")
	}
	for i := range out { // what %q writes for a control character is no JSON
		out[i].body = strings.ReplaceAll(out[i].body, `\x01`, `\u0001`)
	}
	kind := fmt.Sprintf(`{"job_id": %q, "scm": {"build_type": "commit"}}`, a.job)
	return append(out, invalid("kind", "POST", "/v3/jobs/build", kind, `scm.build_type: must be branch, tag or commitId, found "commit"`))
}

// badTasks are configurations that break a rule each.
func badTasks(s *servertest.Server, a app) []badRequest {
	full := func(key string) string {
		return fmt.Sprintf(`{"arch": "x86-64", "project_id": %q, "job_name": "new", "steps": [], %s}`, s.Project, key)
	}
	bare := func(arch, project, name string) string {
		return fmt.Sprintf(`{"arch": %q, "project_id": %q, "job_name": %q, "steps": []}`, arch, project, name)
	}
	parameter := func(name, value, more string) string {
		return full(fmt.Sprintf(`"parameters": [{"name": "hudson.model.StringParameterDefinition", "params": [
			{"name": "name", "value": %q}, {"name": "defaultValue", "value": %q}%s]}]`, name, value, more))
	}
	const private = `, {"name": "sensitiveVar", "value": "true"}`
	steps := func(list string) string {
		return strings.Replace(full(`"a": 1`), `"steps": []`, `"steps": [`+list+`]`, 1)
	}
	out := []badRequest{{
		"project", "POST", "/v1/job/create", bare("arm", "web", "new"), 400, "CB.00060202", []string{`project_id: must be 32 lower-case letters or digits, found "web"`},
	}}
	for _, r := range []struct {
		name, body string
		words      []string
	}{
		{"architecture", bare("riscv", s.Project, "new"), []string{`arch: must be x86-64 or arm, found "riscv"`}},
		{"no name", bare("arm", s.Project, ""), []string{`job_name: must be 1 to 115 letters, digits, hyphens or underscores, found ""`}},
		{"blank in a name", bare("arm", s.Project, "a b"), []string{"job_name", `found "a b"`}},
		{"markup in a name", bare("arm", s.Project, "<script>"), []string{"job_name", `found "<script>"`}},
		{"long name", bare("arm", s.Project, strings.Repeat("a", 116)), []string{"job_name: must be 1 to 115"}},
		{"several", bare("mips", s.Project, "a/b"), []string{"arch", `"mips"`, "job_name", `"a/b"`}},
		{"class", full(`"flavor": "3u7g"`), []string{"flavor: must be DEFAULT or one of 2U8G", `found "3u7g"`}},
		{"kind", full(`"build_config_type": "yaml"`), []string{`build_config_type: must be YAML or ACTION, found "yaml"`}},
		{"YAML without a repository", full(`"build_config_type": "YAML"`), []string{"scms: is empty", "a YAML task needs the repository"}},
		{"submodules", full(`"auto_update_sub_module": "yes"`), []string{`auto_update_sub_module: must be "true" or "false", found "yes"`}},
		{"group", full(`"group_id": "1"`), []string{`group_id: must be 32 lower-case letters or digits, found "1"`}},
		{"module", steps(`{"module_id": "devcloud2018.codeci_action_99999.action", "name": "x"}`), []string{"steps[0]", "module_id", `"devcloud2018.codeci_action_99999.action"`, "known are"}},
		{"step name", steps(`{"module_id": "sh", "name": "a\nb"}`), []string{"steps[0].name: must be 1 to 128 letters"}},
		{"command", steps(`{"module_id": "sh", "name": "a", "properties": {"command": ["x"]}}`), []string{"steps[0]: properties.command: must be a text"}},
		{"steps", steps(strings.Repeat(`{"module_id": "sh", "name": "a"},`, 50) + `{}`), []string{"steps: has 51 entries, at most 50 are allowed"}},
		{"two repositories", full(`"scms": [{"url": "https://a.org/a", "scm_type": "x"}, {"url": "https://a.org/a", "scm_type": "x"}]`), []string{"scms: has 2 entries, one is allowed"}},
		{"depth", taskWith(s, `"url": "https://a.org/a", "depth": "-1"`), []string{`scms[0].depth: must be a whole number of 1 or more, found "-1"`}},
		{"kind of reference", taskWith(s, `"url": "https://a.org/a", "build_type": "head"`), []string{`scms[0].build_type: must be branch, tag or commitId, found "head"`}},
		{"unit", full(`"timeout": {"limit": "1", "unit": "day"}`), []string{`timeout: unit: must be minute or hour, found "day"`}},
		{"limit", full(`"timeout": {"limit": "0", "unit": "hour"}`), []string{`timeout: limit: must be a whole number of 1 or more, found "0"`}},
		{"too long", full(`"timeout": {"limit": "61", "unit": "minute"}`), []string{"timeout: is 1h1m0s, at most 1h0m0s is allowed"}},
		{"schedule", full(`"triggers": [{"name": "hudson.triggers.TimerTrigger", "parameters": [{"name": "spec", "value": "0 25 * * *"}]}]`), []string{"triggers[0]: spec: must have numbers", `"0 25 * * *"`}},
		{"trigger", full(`"triggers": [{"name": "cron", "parameters": []}]`), []string{`triggers[0]: name: must be hudson.triggers.TimerTrigger or atelier.triggers.PushTrigger, found "cron"`}},
		{"definition", full(`"parameters": [{"name": "text"}]`), []string{`parameters[0].name: must be hudson.model.StringParameterDefinition, found "text"`}},
		{"parameter's name", parameter("a-b", "", ""), []string{"parameters[0].params.name: must be 1 to 128 letters, digits or underscores", `"a-b"`}},
		{"reserved parameter", parameter("LD_PRELOAD", "", ""), []string{"parameters[0].params.name", `"LD_PRELOAD" is reserved`}},
		{"system parameter", parameter("WORKSPACE", "", ""), []string{`"WORKSPACE" is set by the service`}},
		{"long default", parameter("A", strings.Repeat("a", 8193), ""), []string{"defaultValue: has 8193 characters, at most 8192 are allowed"}},
		{"short secret", parameter("A", "abc", private), []string{"a private value of 3 characters cannot be hidden"}},
		{"mask of nothing", parameter("A", "******", private), []string{"parameters", "there is none"}},
	} {
		out = append(out, badRequest{r.name, "POST", "/v1/job/create", r.body, 400, "CB.00060200", r.words})
	}
	move := fmt.Sprintf(`{"job_id": %q, "arch": "arm", "project_id": %q, "job_name": "app", "steps": []}`, a.job, s.OtherProject)
	reason := fmt.Sprintf(`{"disabled": true, "reason": %q}`, strings.Repeat("a", 257))
	return append(
		out,
		invalid("move to another project", "POST", "/v1/job/update", move, "project_id: a task cannot move to another project"),
		badRequest{"a name that is taken", "POST", "/v1/job/create", bare("arm", s.Project, "app"), 400, "CB.00039001", []string{"app"}},
		invalid("long reason", "POST", "/v1/job/"+a.job+"/disable", reason, "reason: has 257 characters, at most 256 are allowed"),
		invalid("no switch", "POST", "/v1/job/"+a.job+"/disable", `{"reason": "x"}`, "disabled: is missing"),
	)
}

// badParameters are values for a build, and queries.
func badParameters(s *servertest.Server, a app) []badRequest {
	var out []badRequest
	for _, r := range []struct{ name, parameters, words string }{
		{"name", `{"name": "a b", "value": ""}`, `parameter[0].name: must be 1 to 128 letters, digits or underscores, found "a b"`},
		{"no name", `{"value": "x"}`, "parameter[0].name: must be 1 to 128"},
		{"reserved", `{"name": "PATH", "value": "/tmp"}`, `parameter[0].name: "PATH" is reserved`},
		{"twice", `{"name": "A", "value": "1"}, {"name": "A", "value": "2"}`, `parameter[1].name: "A" is given twice`},
		{"long", `{"name": "A", "value": "` + strings.Repeat("a", 8193) + `"}`, "parameter[0].value: has 8193 characters, at most 8192 are allowed"},
		{"type", `{"name": "A", "value": {"b": 1}}`, "parameter.value: must be a text, found object"},
	} {
		body := fmt.Sprintf(`{"job_id": %q, "parameter": [%s]}`, a.job, r.parameters)
		out = append(out, invalid(r.name, "POST", "/v1/job/execute", body, r.words))
	}
	for query, words := range map[string]string{
		"page_index=-1":                       `page_index: must be a whole number from 0 to 999999999, found "-1"`,
		"page_index=1000000000":               "page_index: must be",
		"page_size=101":                       `page_size: must be a whole number from 0 to 100, found "101"`,
		"page_size=ten":                       `found "ten"`,
		"page_size=1&page_size=2":             "page_size: is given 2 times, once is allowed",
		"search=%00":                          "search: must be UTF-8 text without zero bytes",
		"search=%ff":                          "search: must be UTF-8 text",
		"search=" + strings.Repeat("a", 1001): "search: has 1001 characters, at most 1000 are allowed",
	} {
		out = append(out, invalid(fmt.Sprintf("%.30s", query), "GET", "/v1/job/"+s.Project+"/list?"+query, "", words))
	}
	return out
}
