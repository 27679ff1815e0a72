// Package browser_test opens the console in a real browser.
package browser_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"atelier/internal/needs"
	"atelier/internal/server/servertest"
)

// open returns a context in which chromedp drives a browser. Where there is none the test is skipped, unless it is required.
func open(t *testing.T) context.Context {
	t.Helper()
	program := needs.Program(t, "chromium")
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), // no traffic to elsewhere
	)
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 10*time.Minute) // on a busy machine it takes minutes to compile the programs of the explorer
	t.Cleanup(cancel)
	return ctx
}

// TestConsole signs in, runs a task, follows its log, and reads why another build failed.
func TestConsole(t *testing.T) {
	t.Parallel()
	ctx := open(t)
	s := servertest.Start(t)
	for name, command := range map[string]string{"hello": "echo '<b>hello</b>'", "broken": "exit 7"} {
		s.MakeTask(name, command)
	}
	do := func(actions ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, actions...); err != nil {
			t.Fatal(err)
		}
	}
	text := func(selector string) string {
		t.Helper()
		s, err := chromedp.Run(ctx, chromedp.Text(selector))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}

	do(
		chromedp.Navigate(s.URL()),
		chromedp.SendKeys(`input[name=user]`, s.Developer.Name),
		chromedp.SendKeys(`input[name=password]`, "wrong"),
		chromedp.Click(`form button`),
		chromedp.WaitVisible(`#notice`),
		chromedp.SetValue(`input[name=password]`, servertest.Password),
		chromedp.Click(`form button`),
		chromedp.Click(`//tr[td/a="hello"]//button`),
		chromedp.WaitVisible(`dd .SUCCESS`),
	)
	log, title := text(`pre`), text(`h1`)
	do(
		chromedp.Click(`.brand`),
		chromedp.Click(`//a[.="broken"]`),
		chromedp.WaitVisible(`//h1[.="broken"]`),
		chromedp.Click(`//button[.="Run"]`),
		chromedp.WaitVisible(`dd .FAILURE`),
	)
	reason := text(`dl`)
	do(
		chromedp.Click(`#sign-out`),
		chromedp.WaitVisible(`input[name=user]`),
	)
	if !strings.Contains(log, "<b>hello</b>") || !strings.Contains(log, "The build succeeded.") {
		t.Errorf("the log is\n%s", log)
	}
	if title != "Build #1 of this task" {
		t.Errorf("the title is %q", title)
	}
	if !strings.Contains(reason, "exit code 7") {
		t.Errorf("the reason is %q", reason)
	}
}
