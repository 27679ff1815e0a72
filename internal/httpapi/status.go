package httpapi

import (
	"cmp"
	"net/http"
	"strings"

	"atelier/internal/build"
)

// recordStatus is the state of a build in one of the vendor's vocabularies, with its number.
func recordStatus(s build.State) (string, int) {
	switch s {
	case build.Running:
		return "RUNNING", 4
	case build.Succeeded:
		return "SUCCESS", 5
	case build.Failed:
		return "FAILURE", 6
	case build.Unschedulable:
		return "SCHEDULE_FAILURE", 7
	case build.Aborted:
		return "ABORTED", 8
	case build.TimedOut:
		return "TIMEOUT", 9
	default:
		return "QUEUED", 1
	}
}

// runningStatus is the state of a build as lists show it. Finished means over, however it ended.
func runningStatus(s build.State) string {
	switch {
	case s.Final():
		return "Finished"
	case s == build.Running:
		return "Running"
	default:
		return "InQueue"
	}
}

// historyResult is how a build ended; empty while it goes on.
func historyResult(s build.State) text {
	switch s {
	case build.Succeeded:
		return "SUCCESS"
	case build.Failed, build.Unschedulable:
		return "FAILURE"
	case build.Aborted, build.TimedOut:
		return "ABORTED"
	default:
		return ""
	}
}

// stepStatus is the state of a step as the history shows it; empty for one that was not run.
func stepStatus(s build.StepState) string {
	switch s {
	case build.StepRunning:
		return "running"
	case build.StepSucceeded:
		return "success"
	case build.StepFailed, build.StepAborted:
		return "error"
	default:
		return ""
	}
}

var triggerWords = map[build.Trigger][2]string{ // English, Chinese
	build.Manual:     {"Manual", "手工触发"},
	build.Timed:      {"Scheduled", "定时触发"},
	build.CodeChange: {"Code change", "代码更新触发"},
	build.Pipeline:   {"Pipeline", "流水线触发"},
}

// triggerWord is what started a build, in the words for people and in the language that the client asks for.
func triggerWord(r *http.Request, t build.Trigger) string {
	words := triggerWords[t]
	if prefersChinese(r) {
		return words[1]
	}
	return words[0]
}

// prefersChinese reports whether the client asks for Chinese.
func prefersChinese(r *http.Request) bool {
	language := cmp.Or(r.Header.Get("X-Language"), r.Header.Get("Accept-Language"))
	return strings.HasPrefix(strings.ToLower(language), "zh")
}
