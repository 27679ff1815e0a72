package browser_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"atelier/internal/needs"
	"atelier/internal/server/servertest"
)

// hostile is a text with everything that some language takes for something else.
const hostile = "a\"b'c`d\\e\\u0041$HOME $(id) ${x}\t<b>&amp;</b>%s\u00e9\u4e2d\U0001F600\u2028\ufeff\u0085\x7f"

// page is the explorer in a browser.
type page struct {
	*testing.T
	ctx context.Context
}

func openExplorer(t *testing.T, s *servertest.Server) page {
	t.Helper()
	p := page{t, open(t)}
	p.do(chromedp.Navigate(s.URL()+"/docs"), chromedp.WaitVisible(`#list a`))
	return p
}

func (p page) do(actions ...chromedp.Action[chromedp.Void]) {
	p.Helper()
	if err := chromedp.Do(p.ctx, actions...); err != nil {
		p.Fatal(err)
	}
}

// evaluate runs an expression, waits for what it promises, and decodes that.
func evaluate[T any](p page, expression string) T {
	p.Helper()
	got, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.Fatal(err)
	}
	return got
}

func quoted(t *testing.T, text any) string {
	t.Helper()
	b, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestExplorer signs in, sends requests and reads the answers.
func TestExplorer(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	job := s.MakeTask("hello", "echo '<b id=markup>hello</b>'")
	p := openExplorer(t, s)
	fill := func(name, value string) chromedp.Action[chromedp.Void] {
		return chromedp.SendKeys(fmt.Sprintf(`[name="%s"]`, name), value)
	}
	open := func(operation string) {
		t.Helper()
		p.do(chromedp.Navigate(s.URL()+"/docs#"+operation), chromedp.WaitVisible(`//h1[starts-with(., "`+operation+`")]`))
	}
	// send presses the button and returns the status and the answer, which has to have something in it.
	send := func(want string) (status, answer string) {
		t.Helper()
		p.do(chromedp.Click(`#send`), chromedp.WaitVisible(`//*[@id="answer"][contains(., "`+want+`")]`))
		return evaluate[string](p, `document.getElementById("status").textContent`), evaluate[string](p, `document.getElementById("answer").textContent`)
	}

	open("ListJob")
	if status, _ := send("APIGW.0301"); status != "401 Unauthorized" {
		t.Errorf("without a token: %s", status)
	}
	p.do(chromedp.Click(`#sign-in-open`), fill("user", s.Developer.Name), fill("password", "wrong"), chromedp.Click(`#sign-in-send`), chromedp.WaitVisible(`#notice`))
	p.do(chromedp.SetValue(`[name=password]`, servertest.Password), chromedp.Click(`#sign-in-send`), chromedp.WaitNotVisible(`#sign-in`))
	if status, answer := send(job); status != "200 OK" || !strings.Contains(answer, `"job_name": "hello"`) {
		t.Errorf("with one: %s %s", status, answer)
	}

	open("RunJob")
	p.do(chromedp.SetValue(`[name=body]`, `{"job_id": `), chromedp.Click(`#send`), chromedp.WaitVisible(`//*[@id="wrong"][.="The body is no JSON."]`))
	p.do(chromedp.SetValue(`[name=body]`, `{"job_id": "`+job+`"}`))
	if status, answer := send("octopus_job_name"); status != "200 OK" || !strings.Contains(answer, `"actual_build_number": "1"`) {
		t.Errorf("%s %s", status, answer)
	}
	open("ShowRecordInfo")
	p.do(fill("path job_id", job), fill("path build_no", "1"))
	for range 100 {
		if _, answer := send("status"); strings.Contains(answer, `"status": "SUCCESS"`) {
			break
		}
	}
	open("DownloadRealTimeLog")
	p.do(fill("path job_id", job), fill("path build_no", "1"))
	if status, answer := send("hello"); status != "200 OK" || !strings.Contains(answer, "<b id=markup>hello</b>") {
		t.Errorf("%s %s", status, answer)
	}
	if evaluate[bool](p, `document.getElementById("markup") !== null`) {
		t.Error("what a build printed became a part of the page")
	}
	open("ShowBuildDetails")
	p.do(fill("path job_id", "a/b"), fill("path build_no", "1"))
	if status, answer := send("CB.00060201"); status != "400 Bad Request" || !strings.Contains(answer, "a/b") {
		t.Errorf("%s %s", status, answer)
	}
	open("DownloadKeystore")
	if evaluate[int](p, `document.querySelectorAll("main .field").length`) != 2 {
		t.Error("DownloadKeystore has two parameters")
	}

	p.do(chromedp.SendKeys(`#search`, "recycl"))
	if names := evaluate[[]string](p, `[...document.querySelectorAll("#list a")].map((a) => a.textContent)`); !slices.Contains(names, "RestoreRecyclingJobs") || slices.Contains(names, "RunJob") {
		t.Errorf("a search found %q", names)
	}
	evaluate[string](p, `location.hash = "<img src=x onerror=document.title=1>"`)
	p.do(chromedp.WaitVisible(`//h1[.="API explorer"]`))
	if evaluate[bool](p, `document.querySelector("main img") !== null`) {
		t.Error("an address became a part of the page")
	}
	if kept := evaluate[string](p, `JSON.stringify(localStorage)`); strings.Contains(kept, "token") {
		t.Errorf("the browser keeps %s", kept)
	}
}

// samples fills in the forms of all operations and returns the programs that the page shows, by operation.
func (p page) samples(language, value string) map[string]string {
	p.Helper()
	return evaluate[map[string]string](p, `(async () => {
		localStorage.setItem("language", `+quoted(p.T, language)+`);
		const value = `+quoted(p.T, value)+`, out = {};
		const { paths } = await (await fetch("/openapi.json")).json();
		for (const methods of Object.values(paths)) for (const operation of Object.values(methods)) {
			const shown = new Promise((done) => addEventListener("hashchange", () => setTimeout(done), { once: true }));
			location.hash = operation.operationId;
			await shown;
			const form = document.querySelector("main form");
			for (const input of form.querySelectorAll("input:not([type=file])")) {
				input.value = input.closest("label").textContent.includes("whole number") ? "7" : value;
				input.dispatchEvent(new Event("input", { bubbles: true }));
			}
			const body = form.elements.body;
			if (body) {
				const walk = (v) => typeof v === "string" ? value : Array.isArray(v) ? v.map(walk)
					: v && typeof v === "object" ? Object.fromEntries(Object.entries(v).map(([k, inner]) => [k, walk(inner)])) : v;
				body.value = JSON.stringify(walk(JSON.parse(body.value)));
				body.dispatchEvent(new Event("input", { bubbles: true }));
			}
			out[operation.operationId] = document.getElementById("code").textContent;
		}
		return out;
	})()`)
}

// TestSamples lets compilers and interpreters read the programs that the page shows of every operation.
func TestSamples(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	p := openExplorer(t, s)
	operations := 0
	t.Run("go", func(t *testing.T) {
		dir := t.TempDir()
		for name, value := range map[string]string{"plain": "x", "hostile": hostile} {
			programs := p.samples("go", value)
			operations = len(programs)
			for id, program := range programs {
				writeFile(t, filepath.Join(dir, name, strings.ToLower(id), "main.go"), program)
			}
		}
		for _, file := range []string{"go.mod", "go.sum"} {
			text, err := os.ReadFile(filepath.Join("..", "..", file))
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, filepath.Join(dir, file), strings.Replace(string(text), "module atelier", "module samples", 1))
		}
		vet := exec.Command("go", "vet", "./...")
		vet.Dir = dir
		vet.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=mod")
		if out, err := vet.CombinedOutput(); err != nil {
			t.Errorf("%v\n%.5000s", err, out)
		}
	})
	if operations < 150 {
		t.Errorf("the page has programs for %d operations", operations)
	}
	t.Run("python", func(t *testing.T) {
		python := needs.Program(t, "python3")
		for _, value := range []string{"x", hostile} {
			check := exec.Command(python, "-c", "import ast, json, sys\nfor id, program in json.load(sys.stdin).items(): ast.parse(program, id)")
			check.Stdin = strings.NewReader(quoted(t, p.samples("python", value)))
			if out, err := check.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		}
	})
	t.Run("curl", func(t *testing.T) {
		for id, program := range p.samples("curl", hostile) {
			// The shell reads the words, and a function in the place of curl is content with them.
			if out, err := exec.Command("bash", "-euc", "ATELIER_TOKEN=; curl() { [ \"$#\" -ge 2 ]; }\n"+program).CombinedOutput(); err != nil {
				t.Errorf("%s: %v %s\n%s", id, err, out, program)
			}
		}
	})
	t.Run("java", func(t *testing.T) {
		// The compiler reads them and stops before it looks for the classes of the SDK, which is not here.
		arguments := []string{"-proc:none", "--should-stop=ifNoError=PARSE", "-d", t.TempDir()}
		dir := t.TempDir()
		for name, value := range map[string]string{"plain": "x", "hostile": hostile} {
			for id, program := range p.samples("java", value) {
				file := filepath.Join(dir, name, id, "Sample.java")
				writeFile(t, file, program)
				arguments = append(arguments, file)
			}
		}
		if out, err := exec.Command(needs.Program(t, "javac"), arguments...).CombinedOutput(); err != nil {
			t.Errorf("%v\n%.5000s", err, out)
		}
	})
}

// TestSampleTexts checks that a text reaches the program that is shown just as it was typed.
func TestSampleTexts(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	p := openExplorer(t, s)
	python, bash := needs.Program(t, "python3"), needs.Program(t, "bash")
	for _, text := range []string{"", hostile, "\x01\x1f\r\n", "\\", "\\\\u000a", "'", "$", "{{}}", "%"} {
		literals := evaluate[[]string](p, `import("/console/samples.js").then((m) => [m.quote(`+quoted(t, text)+`), m.word(`+quoted(t, text)+`)])`)
		if got, err := strconv.Unquote(literals[0]); err != nil || got != text {
			t.Errorf("Go reads %s as %q, %v", literals[0], got, err)
		}
		out, err := exec.Command(python, "-c", "import sys; sys.stdout.buffer.write(("+literals[0]+").encode())").Output()
		if err != nil || string(out) != text {
			t.Errorf("Python reads %s as %q, %v", literals[0], out, err)
		}
		out, err = exec.Command(bash, "-c", "printf %s "+literals[1]).Output()
		if err != nil || string(out) != text {
			t.Errorf("the shell reads %s as %q, %v", literals[1], out, err)
		}
	}
}

func writeFile(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
